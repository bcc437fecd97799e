/**
 * Which records of a value-log file are referenced, from the reference lists of the tables: what garbage collection has
 * to keep.
 *
 * All versions that somebody may still read count, not only the current one.
 */
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
  const { memtables, versions } = views.live()
  for (const memtable of memtables) if (memtable.references().has(fid)) return undefined
  const lists: { offsets: Uint32Array; lengths: Uint32Array }[] = []
  const seen = new Set<number>()
  for (const version of versions) {
    for (const table of version.tables()) {
      if (seen.has(table.number) || !table.references.some((reference) => reference.fid === fid)) continue
      seen.add(table.number)
      const list = tables.get(table).references().find((candidate) => candidate.fid === fid)
      if (list !== undefined) lists.push(list)
    }
  }
  return merge(lists)
}

/** Merges sorted lists; equal offsets are one record. */
function merge(lists: readonly { offsets: Uint32Array; lengths: Uint32Array }[]): Iterable<LiveRange> {
  const total = lists.reduce((sum, { offsets }) => sum + offsets.length, 0)
  // Offset and length of a record packed in one number would not fit: sort the offsets, then look the lengths up.
  const offsets = new Float64Array(total)
  let at = 0
  lists.forEach((list, index) => {
    for (let i = 0; i < list.offsets.length; i++) offsets[at++] = list.offsets[i]! * LISTS + index
  })
  offsets.sort()
  const places = new Uint32Array(lists.length)
  return {
    *[Symbol.iterator]() {
      places.fill(0)
      let last = -1
      for (let i = 0; i < total; i++) {
        const offset = Math.floor(offsets[i]! / LISTS)
        const index = offsets[i]! % LISTS
        const len = lists[index]!.lengths[places[index]!++]!
        if (offset === last) continue
        last = offset
        yield { offset, len }
      }
    },
  }
}

/** More lists than there can be tables: 2^32 offsets times this stay exact. */
const LISTS = 2 ** 20
