/**
 * The tables a compaction reads, each once from beginning to end: no block is kept, few files are open.
 *
 * They are opened apart from the tree's own table cache: a job may run in another thread, and a scan of everything
 * must not push out what readers use.
 */
import type { EntryCursor } from '@wk/codec'
import { HandleCache } from '@wk/fs'
import type { FileSystem } from '@wk/fs'
import type { TableSummary } from '@wk/sstable'
import { openTable } from '../table-cache.js'

/** Files open at once. More inputs than that are read in turn. */
const MAX_OPEN_FILES = 64

export class TableInputs {
  readonly #handles: HandleCache
  readonly #dir: string
  readonly #verifyChecksums: boolean

  constructor(fs: FileSystem, dir: string, verifyChecksums: boolean) {
    this.#handles = new HandleCache(fs, MAX_OPEN_FILES)
    this.#dir = dir
    this.#verifyChecksums = verifyChecksums
  }

  /** Opens a cursor: the opener of a `LevelCursor`. */
  readonly open = (table: TableSummary): EntryCursor =>
    openTable(this.#handles, this.#dir, table, { verifyChecksums: this.#verifyChecksums }).cursor({ fillCache: false })

  /** Closes all files. */
  async close(): Promise<void> {
    await this.#handles.close()
  }
}
