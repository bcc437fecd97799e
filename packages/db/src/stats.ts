/**
 * `db.stats()`: one flat object of numbers.
 */
import type { Parts } from './open.js'
import { measureSpace } from './space-figures.js'

/** Sizes are in bytes, counters start at open. */
export interface DbStats {
  /** Version of the newest write. */
  version: number
  memtableBytes: number
  /** Bytes of table blocks in memory. */
  blockCacheBytes: number
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
  /** Entries of run tables in memory, which tell where collected values lie now: 16 bytes each. */
  valueLogRuns: number
  /** Number of the newest logical value log: grows by one with every roll. */
  valueLogNumber: number
  gcFilesCollected: number
  gcBytesMoved: number
  gcBytesReclaimed: number
  /** Bytes of `gcBytesReclaimed` that were holes in files that stay: option `gc.punchHoles`. */
  gcBytesPunched: number
  /** Bytes of values that were written where garbage was: option `gc.fillGaps`. */
  gcBytesFilled: number
  /** Collections that copied values. */
  gcPasses: number
  /** Logical value logs that pointers were rewritten away from, so that their run tables could be forgotten. */
  gcReaddressed: number
  /** Write groups that waited because the disk held too much garbage, and the milliseconds that they waited. */
  gcSlowdowns: number
  gcSlowedMs: number
  /** Bytes of logs of writes that are not in tables yet. */
  walBytes: number
  /** Keys and values, hidden garbage included. */
  liveBytes: number
  /** Estimated part of `liveBytes` that is overwritten or deleted already, and that no compaction has met. */
  hiddenBytes: number
  /** Bytes of value logs and tables for each byte of keys and values, as far as is known. */
  spaceAmp: number
  /** `spaceAmp` with the hidden garbage that was last estimated; the same if the background collects nothing. */
  estimatedSpaceAmp: number
  snapshots: number
  iterators: number
}

export function collectStats({ tree, vlog, gc, keeper }: Parts, iterators: number): DbStats {
  const lsm = tree.stats()
  let live = 0
  for (const { bytes } of tree.liveReferences().values()) live += bytes
  let valueLogBytes = 0
  const files = vlog?.physicalFiles() ?? []
  let runs = 0
  for (const file of files) {
    valueLogBytes += file.size - file.holeBytes
    runs += file.runs
  }
  const space = vlog === undefined ? undefined : measureSpace(tree, vlog, keeper?.hiddenShare ?? 0)
  return {
    version: tree.visibleSequence,
    memtableBytes: lsm.memtableBytes,
    blockCacheBytes: lsm.blockCacheBytes,
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
    valueLogRuns: runs,
    valueLogNumber: vlog?.position().fid ?? 0,
    gcFilesCollected: gc?.filesCollected ?? 0,
    gcBytesMoved: gc?.bytesMoved ?? 0,
    gcBytesReclaimed: gc?.bytesReclaimed ?? 0,
    gcBytesPunched: gc?.holes.bytes ?? 0,
    gcBytesFilled: vlog?.appended.bytesInGaps ?? 0,
    gcPasses: gc?.passes ?? 0,
    gcReaddressed: gc?.filesReaddressed ?? 0,
    gcSlowdowns: keeper?.brake.slowdowns ?? 0,
    gcSlowedMs: keeper?.brake.slowedMs ?? 0,
    walBytes: lsm.walBytes,
    liveBytes: space?.knownLiveBytes ?? 0,
    hiddenBytes: space?.hiddenBytes ?? 0,
    spaceAmp: space?.knownSpaceAmp ?? 1,
    estimatedSpaceAmp: space?.spaceAmp ?? 1,
    snapshots: lsm.snapshots,
    iterators,
  }
}
