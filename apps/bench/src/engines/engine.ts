/**
 * What the workloads need of an engine. Each adapter is thin: it maps these calls to the engine's own, in the way its
 * documentation recommends for speed, and does nothing else.
 */

/** The engines that can be compared. */
export type EngineName = 'wk' | 'classic-level' | 'lmdb'

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

/**
 * An open database. Nothing is synced to the device at a write. Keys and values may be reused once the promise resolved.
 */
export interface Database {
  /** Writes all, atomically. */
  putBatch(operations: readonly PutOperation[]): Promise<void>
  /** Deletes all, atomically. */
  deleteBatch(keys: readonly Uint8Array[]): Promise<void>
  put(key: Uint8Array, value: Uint8Array): Promise<unknown>
  /** The engine's usual way to read; synchronous where the engine is. */
  get(key: Uint8Array): Eventual<Uint8Array | undefined>
  getSync(key: Uint8Array): Uint8Array | undefined
  scan(): Scan<readonly [Uint8Array, Uint8Array]>
  scanKeys(): Scan<Uint8Array>
  /**
   * Gives space back: the engine's garbage collection or compaction, until there is nothing left to do. Resolves with a line for
   * the report. Absent where there is none.
   */
  collect?(): Promise<string>
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
  /** What {@link Database.collect} does, in words; null where there is none. */
  readonly collection: string | null
  /** Opens the database in `dir`, creating it if it is not there. */
  open(dir: string): Promise<Database>
}
