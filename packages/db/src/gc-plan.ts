/**
 * What the background does next about garbage, and why: a pure function of the figures.
 *
 * Below the soft bound nothing. Above it: hidden garbage is brought out by flush and compaction when that is worth its
 * cost, known garbage by relocating victims. Both bounds come with an allowance: a database smaller than that is not worth
 * the copying.
 */
import { gainOf, pickVictims } from './gc-victims.js'
import type { ValueLogFile } from './gc-victims.js'
import type { SpaceFigures } from './space-figures.js'

/** The space target, resolved. */
export interface SpaceBounds {
  /** Disk bytes a live byte up to which nothing runs. */
  soft: number
  /** Disk bytes a live byte above which writers are slowed. */
  hard: number
  /** Bytes of garbage that both bounds let pass, however little is alive: option `gc.minGarbage`. */
  allowance: number
  /** Most bytes of a value log: option `valueLogFileSize`. */
  fileSize: number
}

/** The next step, with its reason in words. */
export type GcStep =
  | { kind: 'rest'; reason: string }
  | { kind: 'seal'; reason: string }
  | { kind: 'bring out'; reason: string; seal: boolean }
  | { kind: 'relocate'; reason: string; victims: ValueLogFile[] }

/** Value logs are not ended early before they have this many bytes. */
const LEAST_GRANULE = 8 * 1024 * 1024
/** From this part of the way to the soft bound on, value logs are ended at a granule. */
const SEAL_SHARE = 1 / 3
/** And always at this part of the live bytes, or half the garbage that is let pass anyway if that is more: a file that is most of the database could not be collected without holding it twice. */
const WHOLE_SHARE = 1 / 16
/** Parts of the garbage that the target allows: one file, and the least that is worth a flush and a compaction. */
const GRANULE_SHARE = 1 / 8
const HIDDEN_SHARE = 1 / 6
/** Hidden bytes that a compaction shall bring out for each byte it writes. */
const HIDDEN_PER_TABLE_BYTE = 3

/** Bytes at which the active value log is worth ending: small beside the garbage that the target allows. */
export function granuleOf({ liveBytes }: SpaceFigures, { hard, fileSize }: SpaceBounds): number {
  return Math.min(fileSize, Math.max(LEAST_GRANULE, liveBytes * (hard - 1) * GRANULE_SHARE))
}

/** Live bytes that one pass copies: as much again is on disk twice until it ends. */
function passBytesOf(figures: SpaceFigures, bounds: SpaceBounds): number {
  return Math.max(granuleOf(figures, bounds), figures.liveBytes * (bounds.hard - 1) * GRANULE_SHARE)
}

/** 0 at the soft bound, 1 at the hard one, above 1 beyond it; negative below. */
export function pressureOf({ diskBytes, liveBytes }: SpaceFigures, bounds: SpaceBounds): number {
  const over = diskBytes - bounds.soft * liveBytes - bounds.allowance
  const range = (bounds.hard - bounds.soft) * liveBytes
  if (over <= 0) return over < 0 ? -1 : 0
  return range <= 0 ? 2 : over / range
}

/** Decides. @param canBringOut something was written since the tree was last compacted for this */
export function planStep(figures: SpaceFigures, files: readonly ValueLogFile[], bounds: SpaceBounds, canBringOut: boolean): GcStep {
  const { diskBytes, liveBytes, hiddenBytes, tableBytes } = figures
  const amp = figures.spaceAmp.toFixed(2)
  const pressure = pressureOf(figures, bounds)
  const granule = granuleOf(figures, bounds)
  const active = files.find(({ state }) => state === 'active')
  const isGrowing = figures.spaceAmp > 1 + SEAL_SHARE * (bounds.soft - 1)
  if (active !== undefined && active.size >= (isGrowing ? granule : Math.max(granule, bounds.allowance / 2, liveBytes * WHOLE_SHARE))) {
    // In small steps, long before it is collected: what is ended late has to be synced and copied all at once.
    return { kind: 'seal', reason: `the active file has ${megabytes(active.size)}, a large part of all` }
  }
  if (pressure <= 0) return { kind: 'rest', reason: `space amplification ${amp} is within ${bounds.soft.toFixed(2)}` }
  const { allowance } = bounds
  const garbageAllowed = (bounds.hard - 1) * liveBytes
  const worthwhile = Math.max(allowance / 4, Math.min(garbageAllowed / 3, Math.max(garbageAllowed * HIDDEN_SHARE, HIDDEN_PER_TABLE_BYTE * tableBytes)))
  const seal = active !== undefined && active.deadRatio > 0.5
  const bringOut = (reason: string): GcStep => ({ kind: 'bring out', reason, seal })
  const victims = pickVictims(files, {
    leastDead: (1 - 1 / bounds.soft) / 2,
    liveBytes: passBytesOf(figures, bounds),
    deadBytes: diskBytes - bounds.soft * liveBytes,
  })
  // Whatever is known already goes first where it is more: under steady writes there is always something hidden.
  let collectable = 0
  for (const file of files) if (file.state === 'collectable') collectable += Math.max(0, gainOf(file))
  if (canBringOut && hiddenBytes >= worthwhile && (victims.length === 0 || hiddenBytes >= collectable)) {
    return bringOut(`about ${megabytes(hiddenBytes)} of garbage are hidden in the tree`)
  }
  if (victims.length > 0) return { kind: 'relocate', reason: `space amplification ${amp} is above ${bounds.soft.toFixed(2)}`, victims }
  let waiting = hiddenBytes
  for (const { state, recordBytes, liveBytes: live } of files) {
    if (state === 'unflushed' || (state === 'active' && seal)) waiting += Math.max(0, recordBytes - live)
  }
  if (canBringOut && waiting >= allowance / 4) return bringOut(`about ${megabytes(waiting)} of garbage wait for a flush and a compaction`)
  const states = [...new Set(files.map(({ state }) => state))].filter((state) => state !== 'clean' && state !== 'collectable')
  return { kind: 'rest', reason: `space amplification ${amp}, and no file holds enough garbage${states.length === 0 ? '' : ` (others are ${states.join(', ')})`}` }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`
}
