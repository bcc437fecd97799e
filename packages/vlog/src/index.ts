/**
 * `@wk/vlog`: a value log in Badger v4's record format. Append, rotate, read verified, iterate, recover, relocate.
 *
 * What it is not: an index. A host keeps the 12-byte pointers and says what is dead.
 *
 * @packageDocumentation
 */
export { ValueLog } from './value-log.js'
export type { BatchReading } from './read-batch.js'
export { RecordBatch, ValueBatch } from './record-batch.js'
export type { ValueRequest } from './record-batch.js'
export type { ValueLogOptions } from './options.js'
export type { AppendEntry, AppendOptions } from './appender.js'
export type { VlogEntry } from './vlog-entry.js'
export type { VlogFileInfo } from './file-info.js'
export type { GapFiles, GapPlan } from './gap-files.js'
export type { HolePlan, HolePuncher } from './hole-punching.js'
export type { Appended } from './appended.js'
export type { DirectPlaces, PhysicalFileInfo } from './vlog-set.js'
export type { PointerSource, StreamOptions } from './record-stream.js'
export type { PointerLookup } from './recount.js'
export { readMemtableLog } from './memtable-log.js'
export type { MemtableLogEnd, MemtableLogEntry, MemtableLogOptions } from './memtable-log.js'
export type { IterateOptions, PlacedEntry, SkippedDamage, VerifyOptions, VerifyReport, VlogProblem } from './file-walk.js'
export type { LogPosition } from './sync-tracker.js'
export { copyTask } from './copy-task.js'
export type { CopyContext, CopyQuery } from './copy-task.js'
export { readTask } from './read-task.js'
export type { ReadQuery } from './read-task.js'
export type { ReadHelper } from './read-help.js'
export type { RecordRanges, RelocationResult, RelocationWriter, RunCopy } from './relocation-writer.js'
export {
  META_DELETE,
  META_DISCARD_EARLIER_VERSIONS,
  META_COMMIT,
  META_LZ4,
  META_MERGE_ENTRY,
  META_VALUE_POINTER,
} from './format.js'
export { strayRecords } from './stray-records.js'
export type { StrayRecord } from './stray-records.js'
export { recordLength } from './record.js'
export { POINTER_LENGTH, WkError, decodePointer, encodePointer, samePointer } from '@wk/codec'
export type { ValuePointer } from '@wk/codec'
