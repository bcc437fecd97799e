/**
 * The tables a compaction reads, each once from beginning to end: no block is kept, few files are open.
 *
 * They are opened apart from the tree's own table cache: a job may run in another thread, and a scan of everything
 * must not push out what readers use.
 */
import { HandleCache } from '@wk/fs'
import type { FileSystem } from '@wk/fs'
import type { TableReader, TableSummary } from '@wk/sstable'
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

  /** Tables that are sorted by key and disjoint, as a source of a merge: each is opened when the one before has been walked. */
  source(tables: readonly TableSummary[]): () => TableReader | undefined {
    const rest = tables.values()
    return () => {
      const { value } = rest.next()
      return value === undefined ? undefined : openTable(this.#handles, this.#dir, value, { verifyChecksums: this.#verifyChecksums })
    }
  }

  /** Closes all files. */
  async close(): Promise<void> {
    await this.#handles.close()
  }
}
