/**
 * Slows writers while the disk holds more garbage than the target allows.
 *
 * Each group of writes waits for its share of the time. In the first second under pressure that follows a steep law, like the pull of a
 * spring: hardly anything near the bound, ever more beyond it. Nothing need be known for that. Then it follows a rate that is
 * learnt: it begins with what the first second let through, sinks while there is more excess than where space shall rest, and rises while
 * there is less, so that it comes to what the background gives back. Excess goes up and down several times a second, as garbage is
 * brought out; the learnt rate follows its mean, so that one group waits about as long as another. At full excess and beyond the steep
 * law holds as well.
 *
 * Every wait ends: it is bounded, and it is reckoned anew as space comes back. Writers are not slowed where that would not help: when the
 * background rests for longer than a moment, or has stopped.
 */
import type { Runtime } from '@wk/fs'

/** The steep law: bytes a millisecond at full excess, and how that grows towards the bound and shrinks beyond: eight times at half of it, a third at one and a half times. */
const FULL_RATE = 40_000
const STEEPNESS = 3
/** So long it holds alone, in milliseconds. */
const FIRST_MS = 1000
/** Excess at which space shall rest. */
const RESTING_POINT = 0.7
/** Powers of e by which the learnt rate changes in a millisecond, for each unit of excess beside the resting point; its bounds in bytes a millisecond. */
const LEARNING = 0.01
const LEAST_RATE = 40_000
const MOST_RATE = 2_000_000
/** Bytes that a group waits for beside its own, at most. */
const MOST_SAVED = 4_000_000
/** Longest wait of one group, in milliseconds. */
const LONGEST_MS = 1000
/** Rests of the background up to so many milliseconds are part of its work: writers go on at some times the learnt rate. */
const MOMENT_MS = 100
const EXCESS_IN_RESTS = -1

const NO_TIME = (): number => 0

export class GcBrake {
  /** Groups that waited. */
  slowdowns = 0
  /** Milliseconds that they waited. */
  slowedMs = 0
  readonly #runtime: Runtime
  #isWorking = false
  #isStopped = false
  #workedAt = -Infinity
  /** When excess began that has not gone since, and the bytes written since. */
  #pressedAt: number | undefined
  #passed = 0
  /** Learnt, in bytes a millisecond. */
  #rate: number | undefined
  /** Bytes written whose wait was too short to be one, or is still to come. */
  #saved = 0
  #end: AbortController | undefined

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** The background works on what groups wait for. */
  engage(): void {
    this.#isWorking = true
  }

  /** It rests. */
  release(): void {
    this.#isWorking = false
    this.ease()
  }

  /** Nobody waits any more. */
  stop(): void {
    this.#isStopped = true
    this.ease()
  }

  /** Space may have come back: who waits may wait for less. */
  ease(): void {
    this.#end?.abort()
  }

  /**
   * A promise for when the writer of `bytes` may go on, or `undefined` for at once: waits shorter than a millisecond are
   * saved up. @param excess tells 0 at the bound beyond which writers are slowed, 1 at full excess, or less or more
   * @param due tells the time on the clock before which they do not go on in any case
   */
  wait(bytes: number, excess: () => number, due = NO_TIME): Promise<void> | undefined {
    this.#passed += bytes
    // What was written before there was excess waits, too, up to a bound: a crowd of writers is met at once, not a while after it has passed the target.
    this.#saved = Math.min(this.#saved + bytes, Math.max(bytes, MOST_SAVED))
    if (this.#shareOf(this.#saved, excess) < 1 && (this.#isStopped || due() - this.#runtime.monotonic() < 1)) return undefined
    const saved = this.#saved
    this.#saved = 0
    return this.#wait(saved, excess, due)
  }

  async #wait(bytes: number, excess: () => number, due: () => number): Promise<void> {
    const start = this.#runtime.monotonic()
    this.slowdowns++
    for (;;) {
      const until = Math.max(start + this.#shareOf(bytes, excess), Math.min(due(), start + LONGEST_MS))
      const left = until - this.#runtime.monotonic()
      if (left <= 0 || this.#isStopped) break
      this.#end = new AbortController()
      // An aborted sleep is one whose end is to be reckoned anew.
      await this.#runtime.sleep(Math.min(left, MOMENT_MS), this.#end.signal).catch(() => undefined)
      this.#end = undefined
    }
    this.slowedMs += this.#runtime.monotonic() - start
  }

  /** Milliseconds that `bytes` take. */
  #shareOf(bytes: number, excess: () => number): number {
    if (this.#isStopped || (!this.#isWorking && this.#pressedAt === undefined)) return 0
    const now = this.#runtime.monotonic()
    const counted = this.#isWorking ? excess() : EXCESS_IN_RESTS
    if (this.#isWorking) this.#learn(now, counted)
    if (this.#pressedAt === undefined || now - this.#workedAt >= MOMENT_MS) return 0
    const steep = (bytes / FULL_RATE) * Math.max(0, counted) ** STEEPNESS
    if (this.#rate === undefined) return Math.min(LONGEST_MS, steep)
    const share = (bytes / this.#rate) * Math.exp(counted - RESTING_POINT)
    return Math.min(LONGEST_MS, counted < 1 ? share : Math.max(share, steep))
  }

  #learn(now: number, excess: number): void {
    const milliseconds = now - this.#workedAt
    this.#workedAt = now
    if (excess <= -1 || milliseconds > FIRST_MS) {
      this.#pressedAt = undefined
      this.#rate = undefined
    }
    if (this.#pressedAt === undefined) {
      if (excess <= 0) return
      this.#pressedAt = now
      this.#passed = 0
    }
    const pressed = now - this.#pressedAt
    if (pressed < FIRST_MS) return
    const rate = this.#rate === undefined ? this.#passed / pressed : this.#rate * Math.exp(LEARNING * Math.min(milliseconds, MOMENT_MS) * (RESTING_POINT - excess))
    this.#rate = Math.min(MOST_RATE, Math.max(LEAST_RATE, rate))
  }
}
