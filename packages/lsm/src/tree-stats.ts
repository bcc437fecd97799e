/**
 * Figures about an open tree: counters since it was opened, and sizes of now. A flat object of numbers.
 */
import type { BackgroundWork } from './background-work.js'
import type { TreeContext } from './tree-context.js'

export interface LsmStats {
  /** Sequence number of the last visible operation. */
  sequence: number
  /** Entries in memtables, older versions and tombstones included. */
  memtableEntries: number
  /** Bytes of memtable arenas in use. */
  memtableBytes: number
  immutableMemtables: number
  /** Bytes in live logs. */
  walBytes: number
  tables: number
  tableBytes: number
  levelZeroTables: number
  /** Entries in tables, older versions and tombstones included. */
  tableEntries: number
  /** Files that are no longer needed and not removed yet. */
  obsoleteFiles: number
  snapshots: number
  views: number
  openTables: number
  /** Bytes of table blocks in memory. */
  blockCacheBytes: number
  flushes: number
  flushBytesWritten: number
  compactions: number
  compactionMoves: number
  compactionBytesRead: number
  compactionBytesWritten: number
  compactionDroppedEntries: number
  stallSlowdowns: number
  stallStops: number
  /** Milliseconds that writers waited. */
  stalledMs: number
}

export function statsOf(context: TreeContext, work: BackgroundWork, sequence: number): LsmStats {
  const { memtables, wal, versions, obsolete, retirement, snapshots, views, tables } = context
  const version = versions.current
  const flushes = work.flushes.stats
  const compactions = work.compactions.stats
  const stalls = work.pressure.stats
  let tableBytes = 0
  let tableEntries = 0
  for (const { size, entries } of version.tables()) {
    tableBytes += size
    tableEntries += entries
  }
  return {
    sequence,
    memtableEntries: memtables.immutables.reduce((sum, { memtable }) => sum + memtable.count, memtables.active.memtable.count),
    memtableBytes: memtables.bytes,
    immutableMemtables: memtables.immutables.length,
    walBytes: wal.bytes,
    tables: version.tableCount,
    tableBytes,
    levelZeroTables: version.levels[0]?.length ?? 0,
    tableEntries,
    obsoleteFiles: obsolete.size + retirement.size,
    snapshots: snapshots.size,
    views: views.size,
    openTables: tables.openTables,
    blockCacheBytes: tables.cacheBytes,
    flushes: flushes.flushes,
    flushBytesWritten: flushes.bytesWritten,
    compactions: compactions.compactions,
    compactionMoves: compactions.moves,
    compactionBytesRead: compactions.bytesRead,
    compactionBytesWritten: compactions.bytesWritten,
    compactionDroppedEntries: compactions.droppedEntries,
    stallSlowdowns: stalls.slowdowns,
    stallStops: stalls.stops,
    stalledMs: stalls.stalledMs,
  }
}
