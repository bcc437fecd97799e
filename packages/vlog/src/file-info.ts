/**
 * What `files()` tells of each logical file.
 */
import type { DiscardStats } from './discard-stats.js'
import { FILE_HEADER_LENGTH } from './format.js'
import type { VlogSet } from './vlog-set.js'

/** A logical file, as `files()` tells it. */
export interface VlogFileInfo {
  fid: number
  /** Number of the physical file that holds it. */
  physical: number
  /** In an `.rlog`: only what was live is left, at the same offsets as before (a direct one: all of it). */
  relocated: boolean
  /** Bytes that it takes on disk, header included. */
  size: number
  /** End of its last whole record, in bytes. */
  validEnd: number
  /** Entries of its run table in memory. */
  runs: number
  /** Nothing will be appended any more. */
  sealed: boolean
  /** Given up, and pinned by somebody. */
  retired: boolean
  /** Bytes of records reported dead. Absent where the host keeps its own figures. */
  discardBytes?: number
  /** Bytes of the other records, absent likewise. */
  liveBytes?: number
}

export function describeFiles(set: VlogSet, stats: DiscardStats | undefined): VlogFileInfo[] {
  return set.map.list().map(({ fid, physical, runs, end, written, sealed, retired }) => {
    const { relocated } = physical
    const size = runs !== undefined ? FILE_HEADER_LENGTH + runs.bytes : physical.size
    const validEnd = !sealed ? written : runs !== undefined ? runs.end : end
    const common = { fid, physical: physical.number, relocated, size, validEnd, runs: runs?.count ?? 0, sealed, retired }
    if (stats === undefined) return common
    const recordBytes = runs !== undefined ? runs.bytes : validEnd - FILE_HEADER_LENGTH
    const discardBytes = Math.min(recordBytes, stats.bytes(fid))
    return { ...common, discardBytes, liveBytes: recordBytes - discardBytes }
  })
}
