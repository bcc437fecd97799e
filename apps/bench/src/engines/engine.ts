/**
 * What the workloads need of an engine. Each adapter is thin: it maps these calls to the engine's own, in the way its
 * documentation recommends for speed, and does nothing else. What an engine has not, its adapter leaves out: the workloads then
 * leave the row out, and the tables show a dash.
 */

/** The engines that can be compared; `registry.ts` says what each is. */
export type EngineName =
  | 'wk'
  | 'wk-holes'
  | 'wk-copies'
  | 'wk-gc-off'
  | 'wk-gc-loop'
  | 'classic-level'
  | 'lmdb'
  | 'rocksdb'
  | 'rocksdb-blobs'
  | 'level-blobs'
  | 'lmdb-blobs'
  | 'files'
  | 'null'

/** A value to write. Arrays of these are what `batch` of Level takes, so adapters need not convert. */
export interface PutOperation {
  readonly type: 'put'
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** A value, or a promise of it: awaiting either is right. */
export type Eventual<T> = T | Promise<T>

/** A scan in key order, in chunks of at most about a megabyte; an empty chunk is the end. */
export interface Scan<T> {
  next(): Eventual<readonly T[]>
  close(): Eventual<void>
}

/** How a database is opened. */
export interface OpenOptions {
  /** Every write is on the device before it is acknowledged. Only asked of engines with {@link Engine.syncedDurability}. */
  readonly sync: boolean
  /** Memory as the engine takes it by default, where it is otherwise set as large as that of the others. */
  readonly ownMemory?: boolean
  /** Bytes of one value-log file, for engines that have such files and this setting. */
  readonly valueLogFileSize?: number
}

/** An open database. Keys and values may be reused once the promise resolved. */
export interface Database {
  /** Writes all, atomically where the engine can. */
  putBatch(operations: readonly PutOperation[]): Promise<void>
  /** Deletes all, atomically where the engine can. */
  deleteBatch(keys: readonly Uint8Array[]): Promise<void>
  put(key: Uint8Array, value: Uint8Array): Promise<unknown>
  /** The engine's usual way to read; synchronous where the engine is. */
  get(key: Uint8Array): Eventual<Uint8Array | undefined>
  getSync?(key: Uint8Array): Uint8Array | undefined
  scan?(): Scan<readonly [Uint8Array, Uint8Array]>
  scanKeys?(): Scan<Uint8Array>
  /** Flushes and compacts everything, so that reads meet the engine at its best. Absent where there is nothing to do. */
  settle?(): Promise<void>
  /**
   * Gives space back: the engine's garbage collection or compaction, until there is nothing left to do. Resolves with a line for
   * the report. Absent where there is none.
   */
  collect?(): Promise<string>
  /** One pass of a collection that an application has to call itself, again and again; false: nothing was worth it. */
  collectPass?(): Promise<boolean>
  /** The engine's own check of its files; resolves with the problems found. Absent where there is none. */
  verify?(): Promise<string[]>
  /** Counters worth keeping in the report. */
  stats?(): Record<string, number>
  close(): Promise<void>
}

/** One engine: what it is, how it is set, and how to open it. */
export interface Engine {
  readonly name: EngineName
  readonly version: string
  /** Every setting that differs from the engine's default. */
  readonly settings: Readonly<Record<string, string | number | boolean>>
  /** What a write that was acknowledged survives, and by which setting. */
  readonly durability: string
  /** The same when opened with `sync: true`; null where there is no such way. */
  readonly syncedDurability: string | null
  /** What {@link Database.collect} or {@link Database.collectPass} does, in words; null where there is none. */
  readonly collection: string | null
  /** Of writes in flight to the same key, any may win: it does not keep the order of the calls. */
  readonly unordered?: boolean
  /** It keeps nothing: nothing is read back or compared. Its figures are those of the harness. */
  readonly forgets?: boolean
  /** Opens the database in `dir`, creating it if it is not there. */
  open(dir: string, options: OpenOptions): Promise<Database>
}
