/**
 * `@wk/lsm`: an LSM-tree. WAL, memtables, leveled tables, manifest, snapshots, compaction. Knows no value log: an entry
 * may carry a pointer, and what it points to is the host's business.
 *
 * `PlainEngine` is the whole engine for values that lie in the tables; `LsmTree` is the part that a host drives.
 *
 * @packageDocumentation
 */
export { WkError } from '@wk/codec'
export { PlainEngine } from './plain-engine.js'
export type { PlainIterateOptions, PlainReadOptions, PlainWrite } from './plain-engine.js'
export { LsmTree, NO_DEPENDENCY } from './lsm-tree.js'
export type { CloseOptions, CursorOptions, EntriesOptions } from './lsm-tree.js'
export { writeCheckpointManifest } from './checkpoint.js'
export type { CheckpointState } from './checkpoint.js'
export type { FinishOptions, LsmRecovery } from './recovery.js'
export type { TailOperation } from './deferred-tail.js'
export type { PointerCheck } from './replay.js'
export { readCurrent } from './manifest/current.js'
export { isManifestHeader } from './manifest/manifest-reader.js'
export type { CleanClose } from './manifest/version-edit.js'
export { MIN_MEMTABLE_SIZE, resolveOptions } from './options.js'
export type { DependencyPosition, LsmOptions, ResolvedLsmOptions } from './options.js'
export { SYNC_WRITE_LIMIT } from './log/wal.js'
export type { WalGroup } from './write-group.js'
export type { ReadView } from './read-view.js'
export type { VisibleCursor } from './iterator/visible-cursor.js'
export type { Snapshot } from './snapshot-list.js'
export type { CompactOptions, Progress } from './compaction-scheduler.js'
export type { RecordRanges } from './compaction/references-task.js'
export type { ReferenceSum } from './manifest/version.js'
export type { Problem, VerifyOptions } from './verify.js'
export { SalvagedTree } from './salvage/salvaged-tree.js'
export type { Loss, ManifestCondition, SalvageOptions, SalvageProblem } from './salvage/salvaged-tree.js'
export type { LsmStats } from './tree-stats.js'
export { InlineExecutor } from './compaction/executor.js'
export type { Executor, Task } from './compaction/executor.js'
export { WorkerExecutor } from './compaction/worker-executor.js'
export type { LsmWarning, WorkerExecutorOptions } from './compaction/worker-executor.js'
export { serveWorker } from './compaction/worker-server.js'
export { runJob } from './compaction/job-runner.js'
export type { JobContext } from './compaction/job-runner.js'
export type { CompactionJob, FlushJob, Job, JobOptions, JobResult } from './compaction/job.js'
