/**
 * `db.stats()`: one flat object of numbers.
 */
import type { Parts } from './open.js'

/** Sizes are in bytes, counters start at open. */
export interface DbStats {
  /** Version of the newest write. */
  version: number
  memtableBytes: number
  /** Sealed memtables that wait for their flush. */
  immutableMemtables: number
  tables: number
  tableBytes: number
  level0Tables: number
  flushes: number
  compactions: number
  compactionBytesRead: number
  compactionBytesWritten: number
  /** Physical value-log files. */
  valueLogFiles: number
  valueLogBytes: number
  /** Bytes of value-log records that some entry of the tree refers to. */
  valueLogLiveBytes: number
  /** Number of the newest logical value log: grows by one with every roll. */
  valueLogNumber: number
  gcFilesCollected: number
  gcBytesMoved: number
  gcBytesReclaimed: number
  /** Bytes on disk over live bytes, keys and tables included. */
  spaceAmp: number
  snapshots: number
  iterators: number
}

export function collectStats({ tree, vlog, gc }: Parts, iterators: number): DbStats {
  const lsm = tree.stats()
  let live = 0
  for (const { bytes } of tree.liveReferences().values()) live += bytes
  let valueLogBytes = 0
  const files = vlog?.physicalFiles() ?? []
  for (const { size } of files) valueLogBytes += size
  const liveTotal = live + lsm.tableBytes
  return {
    version: tree.visibleSequence,
    memtableBytes: lsm.memtableBytes,
    immutableMemtables: lsm.immutableMemtables,
    tables: lsm.tables,
    tableBytes: lsm.tableBytes,
    level0Tables: lsm.levelZeroTables,
    flushes: lsm.flushes,
    compactions: lsm.compactions,
    compactionBytesRead: lsm.compactionBytesRead,
    compactionBytesWritten: lsm.compactionBytesWritten,
    valueLogFiles: files.length,
    valueLogBytes,
    valueLogLiveBytes: live,
    valueLogNumber: vlog?.position().fid ?? 0,
    gcFilesCollected: gc?.filesCollected ?? 0,
    gcBytesMoved: gc?.bytesMoved ?? 0,
    gcBytesReclaimed: gc?.bytesReclaimed ?? 0,
    spaceAmp: liveTotal === 0 ? 1 : (valueLogBytes + lsm.tableBytes) / liveTotal,
    snapshots: lsm.snapshots,
    iterators,
  }
}
