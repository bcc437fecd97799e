/**
 * Which records of value-log files are referenced, from the reference lists of the tables: what garbage collection has
 * to keep.
 *
 * All versions that somebody may still read count, not only the current one.
 */
import type { TableSummary } from '@wk/sstable'
import type { Executor } from './compaction/executor.js'
import { referencesTask } from './compaction/references-task.js'
import type { RecordRanges } from './compaction/references-task.js'
import type { ReadViews } from './read-view.js'

/** Where the lists are read, and how. */
export interface RangeReader {
  dir: string
  executor: Executor
  verifyChecksums: boolean
}

/**
 * The referenced records of each of `fids`, by offset, each once; `undefined` for a file that a memtable refers to: the
 * tables do not tell the whole. Read by a task, off this thread where there are workers. What is published meanwhile is
 * not in it: files that are sealed and flushed can only lose references. Rejects with `AbortedError`.
 */
export async function collectLiveRanges(fids: readonly number[], views: ReadViews, reader: RangeReader, signal?: AbortSignal): Promise<Map<number, RecordRanges | undefined>> {
  const { memtables, versions } = views.live()
  const unflushed = new Set<number>()
  for (const memtable of memtables) for (const fid of memtable.references().keys()) unflushed.add(fid)
  const wanted = fids.filter((fid) => !unflushed.has(fid))
  const asked = new Set(wanted)
  const tables = new Map<number, TableSummary>()
  for (const version of versions) {
    for (const table of version.tables()) if (table.references.some(({ fid }) => asked.has(fid))) tables.set(table.number, table)
  }
  const found = new Map<number, RecordRanges | undefined>(fids.map((fid) => [fid, undefined]))
  if (wanted.length === 0) return found
  const pinned = views.acquireAll()
  try {
    const { dir, executor, verifyChecksums } = reader
    const ranges = await executor.runTask(referencesTask, { dir, tables: [...tables.values()], fids: wanted, verifyChecksums }, signal)
    for (const [i, fid] of wanted.entries()) found.set(fid, ranges[i])
    return found
  } finally {
    for (const view of pinned) view.release()
  }
}
