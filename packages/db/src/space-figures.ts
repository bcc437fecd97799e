/**
 * How much room the database takes for what it holds: bytes on disk against bytes of keys and values, the garbage that is known and
 * the garbage that is estimated. Sums over table summaries and file lists; nothing is read.
 *
 * Known garbage are records that no entry refers to. Hidden garbage are entries that a compaction would drop; their
 * part of all entries is estimated (`hidden-garbage.ts`).
 */
import { POINTER_LENGTH } from '@wk/codec'
import type { LsmTree } from '@wk/lsm'
import type { ValueLog } from '@wk/vlog'

/** Bytes that a value-log record adds to key and value, about: header, version, checksum. */
const RECORD_OVERHEAD = 20

/** Sizes in bytes. */
export interface SpaceFigures {
  /** Value logs, with the lists of what is left of them, and tables. Not the WAL: it is no garbage, and goes with the next flush. */
  diskBytes: number
  tableBytes: number
  /** Records that some entry refers to, headers included. */
  referencedBytes: number
  /** How many records those are, as often as they are referred to. */
  references: number
  /** Keys and values of all entries, hidden ones included. */
  knownLiveBytes: number
  /** Estimated part of `knownLiveBytes` that a compaction would drop. */
  hiddenBytes: number
  /** `knownLiveBytes` without `hiddenBytes`. */
  liveBytes: number
  /** `diskBytes` over `knownLiveBytes`; 1 for an empty database. */
  knownSpaceAmp: number
  /** `diskBytes` over `liveBytes`; 1 for an empty database. */
  spaceAmp: number
}

/** The figures of now. @param hiddenShare part of all entries' bytes that is hidden, 0 to 1 */
export function measureSpace(tree: LsmTree, vlog: ValueLog, hiddenShare: number): SpaceFigures {
  let referencedBytes = 0
  let references = 0
  for (const { count, bytes } of tree.liveReferences().values()) {
    referencedBytes += bytes
    references += count
  }
  let diskBytes = 0
  for (const { size, holeBytes, listBytes } of vlog.physicalFiles()) diskBytes += size - holeBytes + listBytes
  const { tableBytes, inlineBytes } = measureTables(tree)
  diskBytes += tableBytes
  const knownLiveBytes = Math.max(0, referencedBytes - RECORD_OVERHEAD * references) + inlineBytes
  const knownSpaceAmp = ratio(diskBytes, knownLiveBytes)
  const figures = { diskBytes, tableBytes, referencedBytes, references, knownLiveBytes, hiddenBytes: 0, liveBytes: knownLiveBytes, knownSpaceAmp, spaceAmp: knownSpaceAmp }
  return withHidden(figures, hiddenShare)
}

/** The same figures with another estimate of the hidden part. */
export function withHidden(figures: SpaceFigures, hiddenShare: number): SpaceFigures {
  const { diskBytes, knownLiveBytes } = figures
  const hiddenBytes = Math.min(1, Math.max(0, hiddenShare)) * knownLiveBytes
  const liveBytes = knownLiveBytes - hiddenBytes
  return { ...figures, hiddenBytes, liveBytes, spaceAmp: ratio(diskBytes, liveBytes) }
}

function ratio(disk: number, live: number): number {
  // A value log of only dead values is all garbage; a finite figure is of more use than infinity.
  return disk === 0 ? 1 : disk / Math.max(1, live)
}

/** Bytes of the tables, and of the keys and values that lie in them as a whole. */
function measureTables(tree: LsmTree): { tableBytes: number; inlineBytes: number } {
  const view = tree.acquireView()
  let tableBytes = 0
  let inlineBytes = 0
  for (const { size, entries, tombstones, keyBytes, valueBytes, references } of view.version.tables()) {
    tableBytes += size
    let pointers = 0
    for (const { count } of references) pointers += count
    const inline = Math.max(0, entries - tombstones - pointers)
    if (inline > 0) inlineBytes += Math.max(0, valueBytes - POINTER_LENGTH * pointers) + (keyBytes * inline) / entries
  }
  view.release()
  return { tableBytes, inlineBytes }
}
