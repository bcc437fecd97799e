/**
 * Gaps instead of copies (option `gc.fillGaps`), in files of values of 1 KiB and more: new records are written where dead ones lie, so that nothing is
 * written twice (ADR 0029). How long they have to be is said by `gap-lengths.ts`.
 *
 * Which files are filled is decided here; that it is done safely is the value log's business.
 */
import { TimeSlice, type Runtime } from '@wk/fs'
import type { RecordRanges } from '@wk/lsm'
import type { GapPlan, ValueLog } from '@wk/vlog'
import { GapLengths } from './gap-lengths.js'
import { publishGc } from './gc-events.js'
import type { ValueLogFile } from './gc-victims.js'
import type { LiveRangeCache } from './live-range-cache.js'

/** Part of the mean record of a file that a gap has at least: into shorter ones hardly anything would go. */
const MEAN_SHARE = 1 / 2
/** Least dead part of a file. */
const LEAST_DEAD = 0.08
/** Part of a file's garbage that must lie in such gaps; else it is copied, which gives back all. */
const LEAST_SHARE = 1 / 2
/** Part of the entries of run tables that there may be; from half on pointers are rewritten, which helps with none of these. */
const ENTRIES_SHARE = 1 / 4

/** Bytes of gaps that are opened at once, about, and most files. */
const PORTION = 1 << 27
const MOST_FILES = 32
/** Gaps are planned for so long without a turn of the event loop, in milliseconds, and a file, which takes some: writers wait for them. */
const PLANNING_MS = 1

export interface GapCollectorOptions {
  readonly dir: string
  readonly runtime: Runtime
  /** Least dead bytes side by side that are filled where that takes no reads. Undefined: nothing ever is. */
  readonly least: number | undefined
  /** Dead bytes that may be given back as holes: files of such values are left to those. Undefined: there are none. */
  readonly leastHole: number | undefined
  /** Most entries of run tables. */
  readonly mostRuns: number
  /** Files that something is under way with, and the bytes that it will give back. */
  readonly moving: Map<number, number>
  /** Ends the active value log. */
  readonly seal: () => Promise<void>
}

export class GapCollector {
  readonly #vlog: ValueLog
  readonly #ranges: LiveRangeCache
  readonly #options: GapCollectorOptions
  /** Files that were looked at since garbage was last brought out. */
  readonly #passedOver = new Set<number>()
  /** The longest record before the gaps that are open. */
  #longest = 0
  readonly #lengths: GapLengths
  /** Most entries of run tables after gaps were opened. */
  readonly #mostEntries: number

  constructor(vlog: ValueLog, ranges: LiveRangeCache, options: GapCollectorOptions) {
    this.#vlog = vlog
    this.#ranges = ranges
    this.#options = options
    this.#mostEntries = options.mostRuns * ENTRIES_SHARE
    this.#lengths = new GapLengths(options.least, this.#mostEntries, vlog.appended, options.runtime)
  }

  /** Dead bytes side by side, and bytes of a record on the average, that are worth filling now, among so many records. Undefined: nothing ever is. */
  least(records: number): number | undefined {
    return this.#lengths.least(records)
  }

  /** Whether it ever opens any. */
  get isWanted(): boolean {
    return this.#options.least !== undefined
  }

  /** Bytes of garbage in those of `files` whose gaps may be opened, about. */
  fillable(files: readonly ValueLogFile[]): number {
    let bytes = 0
    for (const file of this.#candidates(files, this.#leastAmong(files))) bytes += deadBytesOf(file)
    return bytes
  }

  /** What was found not worth filling is looked at again: the tables know of more garbage. */
  forget(): void {
    this.#passedOver.clear()
  }

  /**
   * Opens gaps of files that have enough of them, for records like those of late: the files with most garbage first, {@link PORTION} bytes at once, so that
   * an unclean end leaves no more to be made durable. From the call on they are `moving` until it is done. What was looked at, and `copied`, which had better
   * be copied, is not looked at again before {@link forget}. Resolves with whether there were any.
   */
  async open(files: readonly ValueLogFile[], copied: readonly ValueLogFile[], signal: AbortSignal): Promise<boolean> {
    const { moving } = this.#options
    const least = this.#leastAmong(files)
    for (const { number } of copied) this.#passedOver.add(number)
    const wanted: ValueLogFile[] = []
    let bytes = 0
    for (const file of this.#candidates(files, least).sort((a, b) => b.deadRatio - a.deadRatio)) {
      if (bytes >= PORTION || wanted.length === MOST_FILES) break
      bytes += deadBytesOf(file)
      wanted.push(file)
    }
    if (wanted.length === 0) return false
    for (const { number } of wanted) {
      moving.set(number, 0)
      this.#passedOver.add(number)
    }
    try {
      return await this.#open(wanted, least, signal)
    } finally {
      for (const { number } of wanted) moving.delete(number)
    }
  }

  /** Nothing more goes into gaps that are open now, so that the files that have them may be collected, or shared. */
  async end(): Promise<void> {
    const { gaps } = this.#vlog
    gaps.giveUp()
    if (this.#vlog.physicalFiles().some(({ hasOpenGaps }) => hasOpenGaps)) await this.#options.seal()
  }

  async #open(wanted: readonly ValueLogFile[], least: number, signal: AbortSignal): Promise<boolean> {
    const { dir, runtime } = this.#options
    const longest = this.#longestOfLate()
    const live = new Map<number, RecordRanges>()
    for (const [fid, ranges] of await this.#ranges.get(wanted.flatMap(({ logical }) => logical), () => [], signal)) if (ranges !== undefined) live.set(fid, ranges)
    let room = this.#mostEntries
    for (const { runs } of this.#vlog.physicalFiles()) room -= runs
    const plans: GapPlan[] = []
    const slice = new TimeSlice(runtime, PLANNING_MS)
    for (const file of wanted) {
      if (slice.due()) await slice.pause()
      const { number, logical, runs } = file
      const plan = logical.every((fid) => live.has(fid)) ? this.#vlog.gaps.plan(number, live, leastIn(file, least)) : undefined
      if (plan === undefined || plan.longest < longest || plan.bytes < LEAST_SHARE * deadBytesOf(file) || plan.entries - runs > room) continue
      room -= plan.entries - runs
      plans.push(plan)
    }
    if (plans.length === 0) return false
    const opened = await this.#vlog.gaps.open(plans)
    publishGc(() => ({ dir, type: 'fill', reason: 'new values go where nothing alive is left in them', files: opened.map(({ number }) => number), gapBytes: opened.reduce((sum, { bytes }) => sum + bytes, 0) }))
    return opened.length > 0
  }

  #candidates(files: readonly ValueLogFile[], least: number): ValueLogFile[] {
    const { leastHole } = this.#options
    const below = leastHole === undefined || this.#vlog.holes.isRefused ? Infinity : leastHole
    return files.filter((file) => mayHaveGaps(file, least, below) && !this.#passedOver.has(file.number))
  }

  /** {@link least}, as a number that no mean record reaches where nothing is filled. */
  #leastAmong(files: readonly ValueLogFile[]): number {
    return this.least(files.reduce((sum, { liveRecords }) => sum + liveRecords, 0)) ?? Infinity
  }

  /** The longest record since the gaps before those of now were opened: what comes next will be no longer, most likely. */
  #longestOfLate(): number {
    const { appended } = this.#vlog
    const longest = Math.max(this.#longest, appended.longest)
    this.#longest = appended.longest
    appended.longest = 0
    return longest
  }
}

/** As far as can be told without knowing where its dead ranges are: a record should fill a gap. */
function mayHaveGaps({ state, deadRatio, liveBytes, liveRecords }: ValueLogFile, least: number, below: number): boolean {
  return state === 'collectable' && deadRatio >= LEAST_DEAD && liveRecords * least <= liveBytes && liveBytes < liveRecords * below
}

/** Least gap of a file that has records which are alive. */
function leastIn({ liveBytes, liveRecords }: ValueLogFile, least: number): number {
  return Math.max(least, Math.floor((MEAN_SHARE * liveBytes) / liveRecords))
}

function deadBytesOf({ recordBytes, liveBytes }: ValueLogFile): number {
  return Math.max(0, recordBytes - liveBytes)
}
