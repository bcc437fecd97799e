/**
 * Test kit of this repository: a seeded generator, the plain model every engine is compared with, random histories and
 * the runner that drives a database through them, the crash oracle, and the explorer that crashes a workload before
 * every mutating file-system operation. Private; a devDependency only.
 */
export type { BatchEntry, Bytes, Database, IteratorHandle, OpenDatabase, ReadOptions, ScanOptions, SnapshotHandle, VerifyReport, WriteOptions } from './database.js'
export { countAtClose } from './count-at-close.js'
export { exploreCrashes, type CrashFinding, type CrashPoint, type CrashReport, type ExploreOptions, type Law } from './crash-explorer.js'
export { readAll } from './crash-judge.js'
export { endlessStep, isEndlessKey } from './endless-workload.js'
export { errorCases, shortCases, syncCases, type FaultCase } from './fault-case.js'
export { operationsOf, runFault, type FaultReport, type FaultRunOptions } from './fault-run.js'
export { createsTable, HoldingFileSystem } from './holding-file-system.js'
export { HistoryFailure, HistoryRunner, type HistoryCounts } from './history-runner.js'
export { bytesOf, inRange, Model, textOf, type Change, type KeyText, type ModelRange } from './model.js'
export { describe, valueBytes, type Operation, type ValueSpec, type WriteSpec } from './operations.js'
export { drawOptions, EAGER, FEW_RUNS, GAPPED_SPECIMEN_OPTIONS, HOLED_SPECIMEN_OPTIONS, KILLED, KILLED_FILLING, KILLED_REWRITING, SMALLEST, SPECIMEN_OPTIONS, THRESHOLD, withGaps, withHoles, type OptionSet } from './option-sets.js'
export { CrashOracle, sameBytes, type Bounds, type KeyState, type Step, type Verdict } from './oracle.js'
export { Rng } from './rng.js'
export { shrinkHistory } from './shrink.js'
export { writeStep } from './write-step.js'
export { crashProfile, drawHistory, drawKeys, fillingGaps, gapsProfile, holesProfile, LONG_SIZES, modelProfile, openCloseProfile, type Profile } from './workload.js'
export { appendices, blocks, FLIPS, flips, truncations, wholeFiles, type Damage, type Flip } from './damage.js'
export { cleanSpecimen, gappedSpecimen, holedSpecimen, holesIn, uncleanSpecimen, type LogExtents, type Specimen, type State } from './damage-images.js'
export { MAX_PROBE_MS, probe, type ProbeResult, type ProbeTarget } from './damage-probe.js'
export { ImageFileSystem } from './image-file-system.js'
export { captureImage, imageBytes, mountImage, readFile, type DiskImage } from './disk-image.js'
export { HOSTILE_FIELDS, hostileFields, hostileImage, hostileName, mutate, partsOf, type Part } from './hostile.js'
export { locksAreShared } from './shared-locks.js'
