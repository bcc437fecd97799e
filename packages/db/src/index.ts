/**
 * `@wk/db`: a key-value engine for values that are not tiny.
 *
 * An LSM-tree holds keys and pointers, a value log holds the values, and a garbage collector gives the space back.
 *
 * @packageDocumentation
 */
export { DB } from './db.js'
export type { ClearOptions, CompactOptions, GcRunOptions, HealthEvent, ReadOptions } from './call-options.js'
export type { BytesLike, RangeOptions, WriteOptions } from './arguments.js'
export type { BackupOptions } from './backup.js'
export type { BackupChunks } from './load.js'
export type { BatchOperation } from './batch.js'
export type { Entry } from './entry-reader.js'
export { DbIterator } from './iterator.js'
export type { IteratorMode, IteratorOptions } from './iterator.js'
export type { MaintenanceOptions, Progress } from './maintenance.js'
export { DEFAULT_VALUE_THRESHOLD, MAX_VALUE_LENGTH } from './options.js'
export type { DbOptions, GcOptions } from './options.js'
export { GC_CHANNEL } from './gc-events.js'
export type { GcEvent } from './gc-events.js'
export type { FileState, Generation, ValueLogFile } from './gc-victims.js'
export type { GcPlan } from './dry-run.js'
export type { RepairLoss, RepairOptions, RepairReport } from './repair.js'
export { Snapshot } from './snapshot.js'
export { Transaction } from './transaction.js'
export type { TransactionIteratorOptions, TransactionOptions, TransactionPutOptions } from './transaction.js'
export type { DbStats } from './stats.js'
export type { TableInfo } from './table-info.js'
export type { Problem, VerifyReport } from './verify.js'
export { WorkerPool } from '@wk/lsm'
export type { WorkerPoolOptions } from '@wk/lsm'
export type { GcReport } from '@wk/gc'
export { CorruptionError, IoError, LockedError, WkError } from '@wk/codec'
export type { WkErrorCode } from '@wk/codec'
