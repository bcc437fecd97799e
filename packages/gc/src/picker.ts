/**
 * Which files are worth collecting: pure functions over what the log tells of its files.
 *
 * All sealed files are ranked by the share of their bytes that is dead; a file that cannot be taken is skipped, so
 * that one bad candidate never hides the others. Figures steer only: liveness is decided record by record.
 */

import { checkArgument, checkFunction, checkOptions } from '@wk/codec'
import { checkFile, checkFiles, isBytes } from './file-figures.js'
import { FILE_HEADER_LENGTH, type GcFileInfo } from './value-log.js'

/** Live bytes of a file as the host knows them; `undefined` where it does not. */
export type LiveBytes = (fid: number) => number | undefined

/** A file and its garbage. */
export interface Candidate {
  readonly file: GcFileInfo
  /** Dead bytes of records. */
  readonly deadBytes: number
  /** Dead share of all record bytes, 0 to 1; 0 for a file without any record. */
  readonly deadRatio: number
}

export interface PickOptions {
  /** Least dead share, inside (0, 1). */
  readonly discardRatio: number
  /** Takes precedence over the log's own statistics. */
  readonly liveBytes?: LiveBytes | undefined
  /** Ranked behind all others: a file found damaged or unreadable must not keep the others from being collected. */
  readonly last?: ReadonlySet<number> | undefined
}

/** Dead bytes of one file: from `liveBytes`, else from the log's live bytes, else from its discard statistics. @throws InvalidArgumentError */
export function measureGarbage(file: GcFileInfo, liveBytes?: LiveBytes): Candidate {
  checkFile(file)
  checkFunction('liveBytes', liveBytes)
  return garbageOf(file, liveBytes)
}

/** {@link measureGarbage} of what was checked, but for what `liveBytes` tells. @throws InvalidArgumentError */
export function garbageOf(file: GcFileInfo, liveBytes: LiveBytes | undefined): Candidate {
  // A relocated file has holes up to its logical end; on disk it is as long as its records.
  const end = file.relocated === true ? file.size : file.validEnd
  const payload = Math.max(0, end - FILE_HEADER_LENGTH)
  const told = liveBytes?.(file.fid)
  checkArgument(isBytes(told), 'live bytes as a number from 0')
  const live = told ?? file.liveBytes ?? undefined
  const counted = live === undefined ? (file.discardBytes ?? 0) : payload - live
  const deadBytes = Math.min(payload, Math.max(0, counted))
  return { file, deadBytes, deadRatio: payload === 0 ? 0 : deadBytes / payload }
}

/** Every file that may be taken and has enough garbage, the worst first. Never an unsealed or a retired one. @throws InvalidArgumentError */
export function pickVictims(files: readonly GcFileInfo[], options: PickOptions): Candidate[] {
  checkFiles(files)
  const { discardRatio, last } = checkOptions(options)
  checkArgument(typeof discardRatio === 'number' && discardRatio > 0 && discardRatio < 1, 'a discardRatio inside (0, 1)')
  checkArgument(last === undefined || last instanceof Set, 'a set of file numbers')
  checkFunction('liveBytes', options.liveBytes)
  const isLast = (candidate: Candidate): number => (options.last?.has(candidate.file.fid) === true ? 1 : 0)
  return files
    .filter((file) => file.sealed && file.retired !== true)
    .map((file) => garbageOf(file, options.liveBytes))
    .filter((candidate) => candidate.deadRatio >= options.discardRatio)
    .sort(
      (a, b) =>
        isLast(a) - isLast(b) || b.deadRatio - a.deadRatio || b.deadBytes - a.deadBytes || a.file.fid - b.file.fid,
    )
}
