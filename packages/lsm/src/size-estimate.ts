/**
 * How many bytes on disk the keys of a range take, by the indexes of the tables alone: no data block is read.
 *
 * A table wholly inside counts with its size and the value-log records that it refers to. Of a table at an edge counts
 * the share of its data blocks, half of those in which a bound lies. Memtables do not count, garbage does.
 */
import { MAX_SEQUENCE, isAtOrAfterStart, isAtOrBeforeEnd } from '@wk/codec'
import type { KeyRange } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import type { Version } from './manifest/version.js'
import type { TableCache } from './table-cache.js'

/** Estimated bytes of `range`. Opens the tables at its edges; throws what opening a table throws. */
export function estimateSize(version: Version, tables: TableCache, range: KeyRange): number {
  let bytes = 0
  for (const table of version.tables()) {
    if (!isAtOrAfterStart(range, table.largestKey) || !isAtOrBeforeEnd(range, table.smallestKey)) continue
    let size = table.size
    for (const reference of table.references) size += reference.bytes
    bytes += size * shareOf(table, tables, range)
  }
  return Math.round(bytes)
}

/** The part of a table that lies in the range, by its data blocks. */
function shareOf(table: TableSummary, tables: TableCache, range: KeyRange): number {
  const isStartInside = !isAtOrAfterStart(range, table.smallestKey)
  const isEndInside = !isAtOrBeforeEnd(range, table.largestKey)
  if (!isStartInside && !isEndInside) return 1
  const reader = tables.get(table)
  const start = isStartInside ? reader.findBlock((range.gte ?? range.gt) as Uint8Array, MAX_SEQUENCE) + 0.5 : 0
  const end = isEndInside ? reader.findBlock((range.lte ?? range.lt) as Uint8Array, MAX_SEQUENCE) + 0.5 : reader.dataBlocks
  return Math.min(1, Math.max(0, end - start) / reader.dataBlocks)
}
