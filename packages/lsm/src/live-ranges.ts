/**
 * Which records of a value-log file are referenced, from the reference lists of the tables: what garbage collection has
 * to keep.
 *
 * All versions that somebody may still read count, not only the current one.
 */
import { throwIfAborted } from '@wk/codec'
import type { TimeSlice } from '@wk/fs'
import type { ReferenceList, TableSummary } from '@wk/sstable'
import type { ReadViews } from './read-view.js'
import type { TableCache } from './table-cache.js'

/** A record in a value-log file, in bytes. */
export interface LiveRange {
  offset: number
  len: number
}

/**
 * The referenced records of file `fid`, by offset, each once; `undefined` if a memtable references the file, so that the
 * tables do not tell the whole. Reads the reference lists from the table files.
 */
export function liveRangesOf(fid: number, views: ReadViews, tables: TableCache): Iterable<LiveRange> | undefined {
  const found = tablesOf(fid, views)
  if (found === undefined) return undefined
  const lists: ReferenceList[] = []
  for (const table of found) lists.push(...listsOf(fid, tables, table))
  return merge(lists)
}

/**
 * {@link liveRangesOf} without holding the thread for longer than a slice and one list. What is
 * published meanwhile is not in it: a file that is sealed and flushed can only lose references. Rejects with `AbortedError`.
 */
export async function collectLiveRanges(fid: number, views: ReadViews, tables: TableCache, slice: TimeSlice, signal?: AbortSignal): Promise<Iterable<LiveRange> | undefined> {
  const found = tablesOf(fid, views)
  if (found === undefined) return undefined
  const pinned = views.acquireAll()
  try {
    const lists: ReferenceList[] = []
    for (const table of found) {
      throwIfAborted(signal)
      if (slice.due()) await slice.pause()
      lists.push(...listsOf(fid, tables, table))
    }
    return merge(lists)
  } finally {
    for (const view of pinned) view.release()
  }
}

/** The tables of all live versions that reference the file; `undefined` if a memtable does. */
function tablesOf(fid: number, views: ReadViews): Iterable<TableSummary> | undefined {
  const { memtables, versions } = views.live()
  for (const memtable of memtables) if (memtable.references().has(fid)) return undefined
  const found = new Map<number, TableSummary>()
  for (const version of versions) {
    for (const table of version.tables()) if (table.references.some((reference) => reference.fid === fid)) found.set(table.number, table)
  }
  return found.values()
}

function listsOf(fid: number, tables: TableCache, table: TableSummary): ReferenceList[] {
  return tables.get(table).references().filter((candidate) => candidate.fid === fid)
}

/** Merges sorted lists as they are walked, through a heap of the lists by their next offset; equal offsets are one record. */
function merge(lists: readonly ReferenceList[]): Iterable<LiveRange> {
  return {
    *[Symbol.iterator]() {
      const places = new Uint32Array(lists.length)
      const heap = lists.map((_, index) => index).filter((index) => lists[index]!.offsets.length > 0)
      const offsetOf = (index: number): number => lists[index]!.offsets[places[index]!]!
      const sink = (at: number): void => {
        const moved = heap[at]!
        const offset = offsetOf(moved)
        for (;;) {
          let child = 2 * at + 1
          if (child >= heap.length) break
          if (child + 1 < heap.length && offsetOf(heap[child + 1]!) < offsetOf(heap[child]!)) child++
          if (offsetOf(heap[child]!) >= offset) break
          heap[at] = heap[child]!
          at = child
        }
        heap[at] = moved
      }
      for (let at = (heap.length >> 1) - 1; at >= 0; at--) sink(at)
      let last = -1
      while (heap.length > 0) {
        const index = heap[0]!
        const offset = offsetOf(index)
        const len = lists[index]!.lengths[places[index]!++]!
        if (places[index]! === lists[index]!.offsets.length) {
          const tail = heap.pop()!
          if (heap.length > 0) heap[0] = tail
        }
        if (heap.length > 0) sink(0)
        if (offset === last) continue
        last = offset
        yield { offset, len }
      }
    },
  }
}
