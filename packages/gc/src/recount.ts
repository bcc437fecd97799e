/**
 * Live bytes by asking: reads files record by record and looks every key up. Changes nothing.
 *
 * Exact for the moment of each lookup. It answers what discard statistics would say had nothing been lost or forgotten:
 * the check for law 8, and the way back for a host whose statistics are gone.
 */

import type { GcProgress } from './report.js'
import { readSlices, selectLive, sumLengths, type ScanContext } from './slices.js'
import type { GcFileInfo } from './value-log.js'

/** What a count found in one file. */
export interface FileCount {
  readonly fid: number
  /** Bytes of records that the index points to. */
  readonly liveBytes: number
  readonly deadBytes: number
  readonly deadRecords: number
}

/** Counts each file. Throws `CorruptionError` at damage. */
export async function countFiles(
  context: ScanContext,
  files: readonly GcFileInfo[],
  onProgress: ((progress: GcProgress) => void) | undefined,
): Promise<FileCount[]> {
  const total = files.reduce((sum, file) => sum + file.size, 0)
  const counts: FileCount[] = []
  let done = 0
  for (const file of files) {
    let liveBytes = 0
    let deadBytes = 0
    let deadRecords = 0
    for await (const slice of readSlices(context, file)) {
      const live = await selectLive(context.index, slice)
      liveBytes += sumLengths(live)
      deadBytes += sumLengths(slice) - sumLengths(live)
      deadRecords += slice.length - live.length
      onProgress?.({ phase: 'recount', done: done + liveBytes + deadBytes, total, bytes: 0 })
    }
    counts.push({ fid: file.fid, liveBytes, deadBytes, deadRecords })
    done += file.size
    onProgress?.({ phase: 'recount', done, total, bytes: 0 })
  }
  return counts
}
