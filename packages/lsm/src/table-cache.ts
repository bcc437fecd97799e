/**
 * The tables that are open: their readers (index and filter in memory) and their files, both bounded by `maxOpenFiles`.
 *
 * A reader that was dropped from here stays good for whoever holds it: it asks for its file when it reads, and the
 * file is opened again by name. So cursors pin nothing; it is the pinned version that keeps a table's file from being
 * removed. Blocks are shared by all tables through one cache.
 */
import { CorruptionError, formatFileName, invariant } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import { HandleCache, isNotFound } from '@wk/fs'
import type { FileSystem } from '@wk/fs'
import { TableReader } from '@wk/sstable'
import type { BlockCache, TableReaderOptions, TableSummary } from '@wk/sstable'

export interface TableCacheOptions {
  fs: FileSystem
  /** Directory of the tables. */
  dir: string
  /** Most tables and files that are open at once, at least 1. */
  maxOpenFiles: number
  /** Default: no block is kept. */
  blockCache?: BlockCache | undefined
  /** Whether the checksum of every block is verified when it is read from a file. Default true. */
  verifyChecksums?: boolean
}

interface OpenTable {
  readonly reader: TableReader
  /** When it was used last, in calls of `get`. */
  used: number
}

export class TableCache {
  readonly #dir: string
  readonly #maxOpen: number
  readonly #handles: HandleCache
  readonly #blockCache: BlockCache | undefined
  readonly #readerOptions: TableReaderOptions
  readonly #tables = new Map<number, OpenTable>()
  #clock = 0

  constructor(options: TableCacheOptions) {
    invariant(options.maxOpenFiles >= 1, 'a table cache keeps at least one table')
    this.#dir = options.dir
    this.#maxOpen = options.maxOpenFiles
    this.#handles = new HandleCache(options.fs, options.maxOpenFiles)
    this.#blockCache = options.blockCache
    this.#readerOptions = { cache: options.blockCache, verifyChecksums: options.verifyChecksums ?? true }
  }

  /** Bytes of blocks in memory. */
  get cacheBytes(): number {
    return this.#blockCache?.stats().bytes ?? 0
  }

  /** Readers held. */
  get openTables(): number {
    return this.#tables.size
  }

  /** Files open. */
  get openFiles(): number {
    return this.#handles.openCount
  }

  /** Bytes that the readers hold in memory: filters and indexes. */
  get memory(): number {
    let bytes = 0
    for (const { reader } of this.#tables.values()) bytes += reader.memory
    return bytes
  }

  /**
   * The table's reader, opened if it is not. Throws `CorruptionError` when the file is missing or damaged, `IoError`
   * when it cannot be read, `ClosedError` after `close`.
   */
  get(table: TableSummary): TableReader {
    const open = this.#tables.get(table.number)
    if (open !== undefined) {
      open.used = ++this.#clock
      return open.reader
    }
    const reader = openTable(this.#handles, this.#dir, table, this.#readerOptions)
    if (this.#tables.size >= this.#maxOpen) this.#dropOldest()
    this.#tables.set(table.number, { reader, used: ++this.#clock })
    return reader
  }

  /** A cursor over a table: the opener of a `LevelCursor`. */
  readonly openCursor = (table: TableSummary): EntryCursor => this.get(table).cursor()

  /**
   * Whether a table of the deepest level may hold entries that a compaction could drop: tombstones, entries that may
   * have expired, older versions. Opens the table.
   */
  readonly mayHoldGarbage = (table: TableSummary): boolean =>
    table.tombstones > 0 || table.expiring > 0 || this.get(table).properties.distinctKeys < table.entries

  /** Forgets a table that no version holds any more; its file is closed and may be removed. */
  evict(number: number): void {
    this.#tables.delete(number)
    this.#handles.forget(tablePath(this.#dir, number))
    this.#blockCache?.evictTable(number)
  }

  /** Closes all files; every later read fails with `ClosedError`. Idempotent. */
  async close(): Promise<void> {
    this.#tables.clear()
    await this.#handles.close()
  }

  /** Linear, but only when a table is opened, which costs far more. */
  #dropOldest(): void {
    let oldest = -1
    let used = Infinity
    for (const [number, table] of this.#tables) {
      if (table.used >= used) continue
      used = table.used
      oldest = number
    }
    this.#tables.delete(oldest)
    this.#handles.forget(tablePath(this.#dir, oldest))
  }
}

/** Path of a table's file. */
export function tablePath(dir: string, number: number): string {
  return `${dir}/${formatFileName('table', number)}`
}

/** Opens a table that reads through `handles`. A file that is not there is damage: something names the table. */
export function openTable(handles: HandleCache, dir: string, table: TableSummary, options: TableReaderOptions): TableReader {
  const path = tablePath(dir, table.number)
  const handle = { acquireSync: () => handles.acquireSync(path), release: () => handles.release(path) }
  try {
    return TableReader.openSync(handle, table.number, table.size, options)
  } catch (error) {
    if (!isNotFound(error)) throw error
    const file = formatFileName('table', table.number)
    throw new CorruptionError(`table ${file} is missing`, { file, cause: error })
  }
}
