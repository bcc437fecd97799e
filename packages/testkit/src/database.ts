/**
 * The shape of a database as the test kit drives it: the part of `@wk/db`'s public interface (api.md section 2) that
 * workloads use. The kit never imports `@wk/db`, so that `@wk/db` may use the kit in its own tests; a test passes a
 * function that opens one.
 */

/** Text is stored as UTF-8. */
export type Bytes = string | Uint8Array

/** Options of one write. */
export interface WriteOptions {
  sync?: boolean
}

/** Options of one read. */
export interface ReadOptions {
  snapshot?: SnapshotHandle
}

/** Options of one scan. */
export interface ScanOptions extends ReadOptions {
  gt?: Bytes
  gte?: Bytes
  lt?: Bytes
  lte?: Bytes
  reverse?: boolean
  limit?: number
}

/** One operation of a batch. */
export type BatchEntry = { type: 'put'; key: Bytes; value: Bytes } | { type: 'del'; key: Bytes }

/** A view that does not move. */
export interface SnapshotHandle {
  close(): void
}

/** A scan under way. */
export interface IteratorHandle<T> extends AsyncIterable<T> {
  next(): Promise<T | undefined>
  nextv(size: number): Promise<T[]>
  seek(target: Bytes): void
  close(): Promise<void>
}

/** What a verification says. */
export interface VerifyReport {
  readonly ok: boolean
  readonly problems: readonly { readonly file: string; readonly code: string; readonly message: string }[]
}

/** A database under test. Every promise rejects with a `WkError`. */
export interface Database {
  put(key: Bytes, value: Bytes, options?: WriteOptions): Promise<void>
  del(key: Bytes, options?: WriteOptions): Promise<void>
  batch(entries: BatchEntry[], options?: WriteOptions): Promise<void>
  clear(range?: ScanOptions): Promise<void>
  get(key: Bytes, options?: ReadOptions): Promise<Uint8Array | undefined>
  getSync(key: Bytes, options?: ReadOptions): Uint8Array | undefined
  getMany(keys: Bytes[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]>
  has(key: Bytes, options?: ReadOptions): Promise<boolean>
  iterator(options?: ScanOptions): IteratorHandle<[Uint8Array, Uint8Array]>
  keys(options?: ScanOptions): IteratorHandle<Uint8Array>
  values(options?: ScanOptions): IteratorHandle<Uint8Array>
  snapshot(): SnapshotHandle
  flush(): Promise<void>
  compact(): Promise<unknown>
  sync(): Promise<void>
  runValueLogGC(discardRatio: number): Promise<unknown>
  verify(): Promise<VerifyReport>
  /** Tables that it knows of, and how often they have changed since it was opened. Absent where a database has none. */
  stats?(): { readonly tables: number; readonly flushes?: number; readonly compactions?: number }
  close(): Promise<void>
}

/** Opens the database under test, anew each time it is called. */
export type OpenDatabase = () => Promise<Database>
