/**
 * What the background does next about garbage, and why: a pure function of the figures.
 *
 * Below the soft bound nothing. Above it: hidden garbage is brought out by flush and compaction when that is worth its
 * cost, known garbage by relocating victims. A database with less garbage than the allowance is not worth the copying.
 * Where new records go into gaps of files (`gap-collector.ts`) garbage is brought out in time to be the next gaps, and copied only well beyond the hard bound.
 */
import { pickVictims } from './gc-victims.js'
import type { ValueLogFile } from './gc-victims.js'
import type { SpaceFigures } from './space-figures.js'

/** The space target, resolved. */
export interface SpaceBounds {
  /** Disk bytes a live byte up to which nothing runs. */
  soft: number
  /** Disk bytes a live byte above which writers are slowed. */
  hard: number
  /** Bytes of garbage that are let be, however little is alive: option `gc.minGarbage`. */
  allowance: number
  /** Most bytes of a value log: option `valueLogFileSize`. */
  fileSize: number
  /** New records go into gaps where those that are alive, so many, have at least this many bytes on average: option `gc.fillGaps`. Undefined: they never do. */
  readonly leastGap: (references: number) => number | undefined
}

/** The next step, with its reason in words. Victims are relocated while hidden garbage is brought out. */
export type GcStep =
  | { kind: 'rest'; reason: string }
  | { kind: 'bring out'; reason: string; seal: boolean; victims: ValueLogFile[] }
  | { kind: 'relocate'; reason: string; victims: ValueLogFile[] }

/** Value logs are not ended early before they have this many bytes. */
const LEAST_GRANULE = 8 * 1024 * 1024
/** From this part of the way to the soft bound on, value logs are ended at a granule. Not sooner: their names and syncs take a quarter of what writers are given. */
const SEAL_SHARE = 2 / 3
/** And always at this part of the live bytes, or half the garbage that is let pass anyway if that is more: a file that is most of the database could not be collected without holding it twice. */
const WHOLE_SHARE = 1 / 16
/** A value gets a file of its own from so many times the mean length on: it dies as a whole, and is not copied for what dies beside it. Where all are as long their gaps are filled. */
const ALONE_MEANS = 16
/** And from this part of where files end, or there would be too many of them. */
const ALONE_SHARE = 1 / 8
/** Shorter ones are written at the call: they are not to wait for a new file. */
const LEAST_ALONE = 8 * 1024 * 1024 + 1
/** Bytes of full value logs that may wait for their sync while there is little garbage. */
const MOST_WAITING = 64 * 1024 * 1024
/** From this part of the way to the soft bound on a thread is started for the work to come. Not sooner: loads need the processors (a fifth of a short one). */
const COMING_SHARE = 1 / 8
/** Parts of the garbage that the target allows: one file, one pass, and the least that is worth a flush and a compaction. */
const GRANULE_SHARE = 1 / 12
/** The same of a file where gaps are filled: each has its list and its sync, and hardly one is copied. */
const FILLED_GRANULE_SHARE = 1 / 6
const PASS_SHARE = 1 / 12
const HIDDEN_SHARE = 1 / 4
/** A file to be copied may be alive in this part of what an average file is, hidden garbage taken off, as long as there are such files. */
const VICTIM_SHARE = 0.84
/** Hidden bytes that a compaction shall bring out for each byte it writes. */
const HIDDEN_PER_TABLE_BYTE = 3
/** Hidden garbage is brought out when it is this part of the gaps that are left: while that lasts they are filled. */
const GAP_SHARE = 3 / 4
/** And from this part of the way to the soft bound on: the first gaps are there before writers would have to wait for them. Nothing is copied for it. */
const EARLY_SHARE = 0.7
/** Part of the garbage that the target allows which may be there in addition while gaps are filled: to copy it, beside writers who make it no more, takes longer than to wait for their end. */
const FILLING_EXCESS = 0.16
/** Part of the garbage allowed that the log and the tables of a merge count for at most: those of long keys are much, and no garbage. */
const MOST_PASSING = 1 / 4
/** After gaps were filled files that are nearly all alive are copied to this part of the way between the bounds, instead of the hard one alone: nobody writes beside it, and the WAL comes on top. */
const IDLE_PRESSURE = 1 / 2
/** Where the hard bound lies at least, in allowances: writers are not slowed at once where the allowance is all there is. */
const HARD_ALLOWANCE = 4 / 3

/** Bytes of garbage at the soft and at the hard bound. */
export function allowedGarbage(liveBytes: number, { soft, hard, allowance }: SpaceBounds): { soft: number; hard: number } {
  return { soft: Math.max(allowance, (soft - 1) * liveBytes), hard: Math.max(HARD_ALLOWANCE * allowance, (hard - 1) * liveBytes) }
}

/** Bytes at which the active value log is worth ending: small beside the garbage that the target allows. */
export function granuleOf(figures: SpaceFigures, bounds: SpaceBounds): number {
  const share = mayFill(figures, bounds) ? FILLED_GRANULE_SHARE : GRANULE_SHARE
  return Math.min(bounds.fileSize, Math.max(LEAST_GRANULE, allowedGarbage(figures.liveBytes, bounds).hard * share))
}

/** Whether values are long enough for gaps. */
function mayFill({ referencedBytes, references }: SpaceFigures, { leastGap }: SpaceBounds): boolean {
  return references > 0 && referencedBytes >= (leastGap(references) ?? Infinity) * references
}

/**
 * The same figures with what comes and goes on the disk counted as if it were there: the log, and the tables that a merge writes before those that it
 * replaces go. Where gaps are filled nothing else makes room for it: files do not become fewer.
 */
export function withPassing(figures: SpaceFigures, walBytes: number, bounds: SpaceBounds): SpaceFigures {
  if (!mayFill(figures, bounds)) return figures
  const passing = Math.min(walBytes + figures.tableBytes, MOST_PASSING * allowedGarbage(figures.liveBytes, bounds).hard)
  return { ...figures, diskBytes: figures.diskBytes + passing }
}

/** Whether there will soon be work, if it goes on like this. */
export function isComing({ diskBytes, liveBytes }: SpaceFigures, bounds: SpaceBounds): boolean {
  return diskBytes - liveBytes > COMING_SHARE * allowedGarbage(liveBytes, bounds).soft
}

/** Where value logs shall end. */
export interface FileLimit {
  /** Bytes of a file. */
  end: number
  /** Bytes of files that have ended that may wait for their sync. */
  waiting: number
  /** Bytes from which on a record gets a file of its own; infinite while nothing is known of others. */
  alone: number
}

/** What {@link FileLimit} says, for these figures. */
export function fileLimitOf(figures: SpaceFigures, bounds: SpaceBounds): FileLimit {
  const limit = limitOf(figures, bounds)
  const { references, referencedBytes } = figures
  const alone = references === 0 ? Infinity : Math.max(LEAST_ALONE, (ALONE_MEANS * referencedBytes) / references, ALONE_SHARE * Math.min(limit.end, bounds.fileSize))
  return { ...limit, alone }
}

function limitOf(figures: SpaceFigures, bounds: SpaceBounds): { end: number; waiting: number } {
  const granule = granuleOf(figures, bounds)
  const isGrowing = figures.diskBytes - figures.liveBytes > SEAL_SHARE * allowedGarbage(figures.liveBytes, bounds).soft
  // Only what is sealed can be collected.
  if (isGrowing) return { end: granule, waiting: 0 }
  return { end: Math.max(granule, bounds.allowance / 2, figures.liveBytes * WHOLE_SHARE), waiting: MOST_WAITING }
}

/** 0 at the soft bound, 1 at the hard one, above 1 beyond it; negative below. */
export function pressureOf({ diskBytes, liveBytes }: Pick<SpaceFigures, 'diskBytes' | 'liveBytes'>, bounds: SpaceBounds): number {
  const { soft, hard } = allowedGarbage(liveBytes, bounds)
  const over = diskBytes - liveBytes - soft
  if (over <= 0) return over < 0 ? -1 : 0
  return hard <= soft ? 2 : over / (hard - soft)
}

/** What writers are slowed by, of `excess` in parts of `fullExcess` times the garbage allowed: more of it is let be while they fill gaps, for then they add none. */
export function strainOf(excess: number, fullExcess: number, isFilling: boolean): number {
  return isFilling ? excess - FILLING_EXCESS / fullExcess : excess
}

/** What {@link planStep} has to know besides figures and files. */
export interface PlanState {
  /** Hidden garbage is being brought out. */
  isBringingOut: boolean
  /** Something was written since the tree was last compacted for this. */
  canBringOut: boolean
  /** Bytes of gaps that new records may go to, and of garbage that may be made some; 0 if there are none, or nobody writes. */
  gapBytes: number
  /** Gaps were filled, and nobody writes any more. */
  isIdle: boolean
}

/** Decides. */
export function planStep(figures: SpaceFigures, files: readonly ValueLogFile[], bounds: SpaceBounds, state: PlanState): GcStep {
  const { diskBytes, liveBytes, hiddenBytes, tableBytes } = figures
  const { gapBytes } = state
  const amp = figures.spaceAmp.toFixed(2)
  const pressure = pressureOf(figures, bounds)
  const canBringOut = state.canBringOut && !state.isBringingOut
  const active = files.find((file) => file.state === 'active')
  const allowed = allowedGarbage(liveBytes, bounds)
  const isFilling = gapBytes > 0
  const mayCopy = !isFilling || diskBytes - liveBytes > mostWhileFilling(allowed)
  const worthwhile = Math.min(allowed.hard / 3, Math.max(allowed.hard * HIDDEN_SHARE, HIDDEN_PER_TABLE_BYTE * tableBytes))
  const isHiddenDue = canBringOut && hiddenBytes >= Math.max(worthwhile, GAP_SHARE * gapBytes)
  const hidden = `about ${megabytes(hiddenBytes)} of garbage are hidden in the tree`
  if (pressure <= 0) {
    const isEarly = isHiddenDue && mayFill(figures, bounds) && diskBytes - liveBytes > EARLY_SHARE * allowed.soft
    if (isEarly) return { kind: 'bring out', reason: hidden, seal: false, victims: [] }
    const isLetBe = figures.spaceAmp > bounds.soft
    return { kind: 'rest', reason: isLetBe ? `${megabytes(diskBytes - liveBytes)} of garbage are less than is let be (gc.minGarbage)` : `space amplification ${amp} is within ${bounds.soft.toFixed(2)}` }
  }
  const seal = active !== undefined && active.deadRatio > 0.5
  const pick = (leastDead: number): ValueLogFile[] => pickVictims(files, { leastDead, liveBytes: passBytes(allowed), deadBytes: diskBytes - liveBytes - allowed.soft })
  const least = (1 - 1 / bounds.soft) / 2
  const relocate = (victims: ValueLogFile[]): GcStep => ({ kind: 'relocate', reason: `space amplification ${amp} is above ${bounds.soft.toFixed(2)}`, victims })
  // Copying what is nearly all alive gives little back: first what is hidden and, at the same time, what is better; then that.
  const good = pick(Math.max(least, 1 - VICTIM_SHARE * (liveBytes / diskBytes)))
  const bringOut = (reason: string): GcStep => ({ kind: 'bring out', reason, seal, victims: mayCopy ? good : [] })
  if (isHiddenDue) return bringOut(hidden)
  if (mayCopy && good.length > 0) return relocate(good)
  if (isFilling) return { kind: 'rest', reason: `space amplification ${amp}, and new values go where garbage was` }
  const poor = pressure < (state.isIdle ? IDLE_PRESSURE : 1) || state.isBringingOut ? [] : pick(least)
  if (poor.length > 0) return relocate(poor)
  let waiting = hiddenBytes
  for (const { state: kind, recordBytes, liveBytes: live } of files) {
    if (kind === 'unflushed' || (kind === 'active' && seal)) waiting += Math.max(0, recordBytes - live)
  }
  if (canBringOut && waiting >= bounds.allowance / 4) return bringOut(`about ${megabytes(waiting)} of garbage wait for a flush and a compaction`)
  const states = [...new Set(files.map((file) => file.state))].filter((kind) => kind !== 'clean' && kind !== 'collectable')
  return { kind: 'rest', reason: `space amplification ${amp}, and no file holds enough garbage${states.length === 0 ? '' : ` (others are ${states.join(', ')})`}` }
}

/** Files whose garbage is too much even while gaps are filled: they are to be copied rather than filled, for only that makes the disk hold less. */
export function victimsBeyond({ diskBytes, liveBytes }: SpaceFigures, files: readonly ValueLogFile[], bounds: SpaceBounds): ValueLogFile[] {
  const allowed = allowedGarbage(liveBytes, bounds)
  const deadBytes = diskBytes - liveBytes - mostWhileFilling(allowed)
  return deadBytes <= 0 ? [] : pickVictims(files, { leastDead: (1 - 1 / bounds.soft) / 2, liveBytes: passBytes(allowed), deadBytes })
}

function mostWhileFilling({ hard }: { hard: number }): number {
  return hard * (1 + FILLING_EXCESS)
}

/** Most bytes that a pass copies. */
function passBytes({ hard }: { hard: number }): number {
  // As much again is on disk twice until a pass ends.
  return Math.max(LEAST_GRANULE / 2, hard * PASS_SHARE)
}

function megabytes(bytes: number): string {
  return `${(bytes / 1_048_576).toFixed(1)} MiB`
}
