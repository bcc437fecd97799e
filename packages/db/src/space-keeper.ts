/**
 * Holds the space target in the background: looks at the figures whenever enough was written or the tables changed, and does what
 * the plan says, step by step, until it says rest.
 *
 * It is driven by what happens, not by a clock: a database at rest has no timer, but for a second after gaps were last filled. Each step takes the collector's lock, so
 * that explicit calls get their turn between two of them. Between the bounds it gives way to writers, the more the
 * further below the hard bound; above it writers are slowed (`gc-brake.ts`), unless that would not help. Damage and
 * failures end it and go to `onFailure`; what was damaged is kept.
 */
import { AbortedError, WkError, isOutOfResources } from '@wk/codec'
import type { Runtime } from '@wk/fs'
import type { LsmTree } from '@wk/lsm'
import type { ValueLog } from '@wk/vlog'
import { GapPace } from './gap-pace.js'
import { GcBrake } from './gc-brake.js'
import { publishGc } from './gc-events.js'
import { fileLimitOf, isComing, planStep, pressureOf, strainOf, victimsBeyond } from './gc-plan.js'
import type { GcStep, SpaceBounds } from './gc-plan.js'
import type { ValueLogFile } from './gc-victims.js'
import { GcWork } from './gc-work.js'
import { IdleWatch } from './idle-watch.js'
import { FULL_EXCESS, SpaceEstimate } from './space-estimate.js'
import type { ValueLogGc } from './value-log-gc.js'

export interface SpaceKeeperParts {
  readonly dir: string
  readonly tree: LsmTree
  readonly vlog: ValueLog
  readonly runtime: Runtime
  readonly gc: ValueLogGc
  readonly bounds: SpaceBounds
  /** Bytes read and written a second by passes. Undefined: no limit. */
  readonly bytesPerSecond: number | undefined
  /** Whether the database still takes writes. */
  readonly isWritable: () => boolean
  /** A failure that nobody waits for. */
  readonly onFailure: (failure: WkError) => void
}

/** Passes at once at most, some of which wait for the disk while another copies. */
const MOST_PASSES = 4
/** The excess up to which there is room for the copies of a second pass while one is under way, and for those of more. */
const SECOND_EXCESS = 1.4
const MORE_EXCESS = 1
/** Longest pause between two steps of the copying, in milliseconds. */
const LONGEST_PAUSE_MS = 50
/** Bytes of gaps at which more are opened, if there is garbage for some. */
const LEAST_OPEN = 1 << 26
/** Passes that may fail for want of space or descriptors, one after another, before that counts as a failure. */
const RETRIES = 3

export class SpaceKeeper {
  readonly brake: GcBrake
  readonly #pace: GapPace
  readonly #space: SpaceEstimate
  readonly #parts: SpaceKeeperParts
  readonly #controller = new AbortController()
  readonly #idle: IdleWatch
  #unsubscribe: (() => void) | undefined
  #running: Promise<void> | undefined
  #isWanted = false
  /** What the round at work has under way. */
  #work: GcWork | undefined
  /** Passes under way, and the bytes that they have still to copy. */
  #passes = 0
  #uncopied = 0
  #isBringingOut = false
  /** It rests, and there were readers that may keep garbage alive. */
  #isHoldingBack = false
  #failures = 0
  /** Operations written when the copying last paused. */
  #pausedAt = 0
  #isDeferred = false
  /** Bytes written when a writer was last asked to wait, or not to. */
  #slowedAt = 0
  /** Gaps were opened since this database was. */
  #hasFilled = false
  #isOpening = false
  #reason = 'nothing was written yet'

  constructor(parts: SpaceKeeperParts) {
    this.#parts = parts
    this.brake = new GcBrake(parts.runtime)
    this.#pace = new GapPace(parts.runtime)
    this.#space = new SpaceEstimate({ ...parts, hiddenShare: () => parts.gc.hidden.share(), isFillable: () => this.#isFillable() })
    this.#idle = new IdleWatch(this.#space.written, parts.runtime, this.#controller.signal, () => this.#wake())
  }

  /** Why nothing runs, or what does. */
  get reason(): string {
    return this.#reason
  }

  /** Part of all entries' bytes that is hidden garbage, as last estimated. */
  get hiddenShare(): number {
    return this.#space.hiddenShare
  }

  /** Takes up work, and has a look at once. */
  start(): void {
    this.#unsubscribe = this.#parts.tree.onVersionChange(() => {
      this.#space.tablesChanged()
      this.#wake()
    })
    this.#wake()
  }

  /** To be called for each group that was written. `undefined`: the writer need not wait. */
  slowdown(): Promise<void> | undefined {
    if (this.#controller.signal.aborted) return undefined
    const { written } = this.#space
    written.update()
    const bytes = written.bytes - this.#slowedAt
    this.#slowedAt = written.bytes
    const isDue = this.#isDue()
    if (isDue) this.#wake()
    // Where there is room for what comes nobody need wait for gaps.
    this.#pace.note(bytes, pressureOf(this.#space.now, this.#parts.bounds) > 0 ? this.#parts.vlog.gaps.bytes : Infinity)
    const wait = bytes === 0 ? undefined : this.brake.wait(bytes, () => this.#strain(), () => this.#pace.due)
    if (wait !== undefined || this.#running === undefined) return wait
    // Writers that never let the event loop turn would keep the background from having its look.
    return isDue ? this.#parts.runtime.yield() : undefined
  }

  /** An iterator or a snapshot has ended: what only it kept may go. */
  readerEnded(): void {
    // A database that reads a lot must not look at its figures for each of many short reads.
    if (this.#isHoldingBack) this.#wake()
  }

  /** Ends the step that is running at its next safe point, and starts no other. Idempotent. */
  async stop(): Promise<void> {
    this.#controller.abort()
    this.#unsubscribe?.()
    this.brake.stop()
    await this.#running
  }

  #wake(): void {
    this.#isWanted = true
    this.#work?.wake()
    if (this.#running !== undefined || this.#controller.signal.aborted) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      if (this.#isWanted) this.#wake()
    })
  }

  /** Step after step until there is none to do. */
  async #run(): Promise<void> {
    const { gc, runtime } = this.#parts
    gc.forgetPinned()
    try {
      do {
        this.#isWanted = false
        await runtime.yield()
        // Somebody else's work does not give back what writers would wait for.
        if (gc.isLocked) this.brake.release()
      } while ((await gc.locked(() => this.#round())) || this.#isWanted)
      this.#failures = 0
    } catch (error) {
      this.#isWanted = false
      this.#failed(error)
    } finally {
      this.brake.release()
    }
  }

  /**
   * Step after step, side by side, until there is none, or somebody else waits for the lock. Returns whether there may be more to do.
   * What has begun has ended when it resolves.
   */
  async #round(): Promise<boolean> {
    const { gc } = this.#parts
    const work = new GcWork()
    this.#work = work
    try {
      while (!this.#controller.signal.aborted && this.#parts.isWritable()) {
        this.#isWanted = false
        if (!(await this.#step(work))) return false
        if (gc.isAwaited) return true
      }
      return false
    } finally {
      this.#work = undefined
      await work.settled()
    }
  }

  /** Begins what the plan says; with as much under way as there may be, waits for the end of some. Returns false if nothing is to be done. */
  async #step(work: GcWork): Promise<boolean> {
    const { gc, tree, vlog, bounds } = this.#parts
    this.brake.engage()
    if (gc.gaps.isWanted && !this.#isFillable()) await gc.gaps.end()
    await gc.removeDead()
    if (gc.isReaddressingDue) work.add(gc.readdress(this.#controller.signal))
    await this.#look()
    this.brake.ease()
    // What passes under way will give back is as good as gone.
    const figures = { ...this.#space.figures, diskBytes: this.#space.figures.diskBytes - gc.expectedGain }
    const files = gc.files()
    const isFillable = this.#isFillable()
    const fillable = isFillable ? gc.gaps.fillable(files) : 0
    const gapBytes = isFillable ? vlog.gaps.bytes + fillable : 0
    const step = planStep(figures, files, bounds, { isBringingOut: this.#isBringingOut, canBringOut: this.#space.canBringOut(), gapBytes, isIdle: this.#hasFilled && !isFillable })
    if (fillable > 0 && vlog.gaps.bytes < LEAST_OPEN && pressureOf(figures, bounds) > 0 && !this.#isBringingOut && !this.#isOpening) work.add(this.#openGaps())
    if (step.kind === 'rest' && work.size > 0) {
      await work.next()
      return true
    }
    this.#tell(step)
    this.#isHoldingBack = step.kind === 'rest' && (tree.stats().views > 1 || this.#space.snapshots > 0)
    if (step.kind === 'rest') {
      if (gapBytes > 0) this.#idle.watch()
      this.brake.release()
      return false
    }
    if (step.kind === 'bring out') work.add(this.#bringOut(step.seal))
    if (step.victims.length > 0) {
      // Each victim is gone afterwards, or is known to be pinned: the next step finds others.
      while (!this.#mayBegin(step.victims)) await work.next()
      work.add(this.#relocate(step.victims))
    }
    return true
  }

  /** Whether a pass may begin beside those under way. */
  #mayBegin(victims: readonly ValueLogFile[]): boolean {
    if (this.#passes === 0) return true
    if (this.#passes >= MOST_PASSES || this.#parts.bytesPerSecond !== undefined || this.#space.excess() <= 0) return false
    // As long as they last their copies are on the disk as well.
    let copied = this.#uncopied
    for (const { liveBytes } of victims) copied += liveBytes
    return this.#space.excess(copied) <= (this.#passes === 1 ? SECOND_EXCESS : MORE_EXCESS)
  }

  async #relocate(victims: readonly ValueLogFile[]): Promise<void> {
    const { gc, bytesPerSecond, bounds } = this.#parts
    let live = 0
    for (const { liveBytes } of victims) live += liveBytes
    let copied = 0
    this.#passes++
    this.#uncopied += live
    try {
      await gc.relocate(victims, {
        signal: this.#controller.signal,
        onProgress: ({ phase, bytes }) => {
          if (phase !== 'relocate') return
          this.#uncopied -= bytes - copied
          copied = bytes
        },
        pace: (milliseconds) => this.#pause(milliseconds),
        sweep: false,
        bytesPerSecond,
        leastDead: (1 - 1 / bounds.soft) / 4,
      })
    } finally {
      this.#passes--
      this.#uncopied -= live - copied
    }
  }

  /** Brings hidden garbage out, and opens gaps where it was. */
  async #bringOut(seal: boolean): Promise<void> {
    const { gc, vlog } = this.#parts
    const before = this.#space.beginBringOut()
    this.#isBringingOut = true
    if (vlog.gaps.bytes > 0) this.#pace.beginOut()
    let isDone = false
    try {
      await gc.bringOut({ seal, signal: this.#controller.signal })
      await this.#space.broughtOut(before)
      isDone = true
    } finally {
      this.#isBringingOut = false
      this.#pace.endOut(isDone)
    }
    // Last: while gaps are opened more may be brought out, which the figures above must not know of.
    gc.gaps.forget()
    await this.#openGaps()
  }

  /** Somebody writes that may fill gaps. */
  #isFillable(): boolean {
    return this.#parts.gc.gaps.isWanted && !this.#idle.isIdle
  }

  /** Garbage that is known becomes gaps for what is written next, but for what is too much on the disk. */
  async #openGaps(): Promise<void> {
    if (!this.#isFillable() || this.#isOpening) return
    const { gc, vlog, bounds } = this.#parts
    this.#isOpening = true
    if (vlog.gaps.bytes > 0) this.#pace.beginOpening()
    let came = false
    try {
      const files = gc.files()
      came = await gc.gaps.open(files, victimsBeyond(this.#space.measureKnown(), files, bounds), this.#controller.signal)
    } finally {
      this.#isOpening = false
      this.#pace.endOpening(came)
    }
    this.#hasFilled ||= came
    // Who waited for gaps need not wait for the next look.
    this.brake.ease()
  }

  /** New figures, and what follows from them at once. */
  async #look(): Promise<void> {
    const { tree, vlog, bounds } = this.#parts
    await this.#space.look()
    const { figures, written } = this.#space
    // In small files, long before they are collected: what is ended late has to be synced and copied all at once.
    const { end, waiting, alone } = fileLimitOf(figures, bounds)
    vlog.limitFiles(end, waiting, alone)
    // The first garbage is brought out as soon as a thread has started and learnt its work.
    if (written.operations > 0 && isComing(figures, bounds)) tree.prepare()
  }

  /** Enough was written since the last look to make another worthwhile. If it is too early for that, it comes in time. */
  #isDue(): boolean {
    const milliseconds = this.#space.dueIn()
    if (milliseconds !== undefined && milliseconds > 0) this.#defer(milliseconds)
    return milliseconds === 0
  }

  /** Has a look when its time has come, also if nobody writes any more by then. */
  #defer(milliseconds: number): void {
    if (this.#isDeferred) return
    this.#isDeferred = true
    void this.#parts.runtime
      .sleep(Math.max(1, milliseconds), this.#controller.signal)
      .then(() => this.#wake())
      // Aborted by stop().
      .catch(() => undefined)
      .finally(() => (this.#isDeferred = false))
  }

  /** What writers wait for. */
  #strain(): number {
    return strainOf(this.#space.excess(), FULL_EXCESS, this.#parts.vlog.gaps.bytes > 0 || this.#pace.areNextDue)
  }

  /** After a step of the copying: gives way to writers, if there are any, for longer the less it presses. */
  async #pause(milliseconds: number): Promise<void> {
    const { runtime, bounds } = this.#parts
    const { written } = this.#space
    const before = this.#pausedAt
    written.update()
    this.#pausedAt = written.operations
    if (written.operations === before || this.#space.excess() > 0) return
    const pressure = pressureOf({ ...this.#space.figures, ...this.#space.now }, bounds)
    await runtime.sleep(Math.min(LONGEST_PAUSE_MS, milliseconds / Math.max(0.01, pressure) - milliseconds), this.#controller.signal)
  }

  #tell(step: GcStep): void {
    if (step.kind === 'rest' && step.reason === this.#reason) return
    this.#reason = step.reason
    const { dir } = this.#parts
    const { spaceAmp } = this.#space.figures
    publishGc(() => ({ dir, type: step.kind, reason: step.reason, spaceAmp, ...(step.kind === 'relocate' ? { files: numbersOf(step.victims) } : {}) }))
    if (step.kind === 'bring out' && step.victims.length > 0) publishGc(() => ({ dir, type: 'relocate', reason: 'meanwhile', spaceAmp, files: numbersOf(step.victims) }))
  }

  #failed(error: unknown): void {
    if (this.#controller.signal.aborted || error instanceof AbortedError || !this.#parts.isWritable()) return
    const failure = error instanceof WkError ? error : new WkError('WK_IO', `garbage collection failed: ${String(error)}`, { cause: error })
    this.#reason = failure.message
    publishGc(() => ({ dir: this.#parts.dir, type: 'failed', reason: failure.message }))
    // CR13: what a pass was writing is thrown away and may be written again, to a new file.
    if (isOutOfResources(error) && ++this.#failures <= RETRIES) return
    this.#parts.onFailure(failure)
  }
}

function numbersOf(files: readonly ValueLogFile[]): number[] {
  return files.map(({ number }) => number)
}
