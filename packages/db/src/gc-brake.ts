/**
 * Slows writers in proportion while the disk holds more garbage than the target allows.
 *
 * Each group of writes waits for its share of the time, like the pull of a spring: hardly at all near the bound, ever longer the
 * further beyond it. Where that pull equals what the background gives back, space stays. Nothing is measured for it, so that it
 * holds from the first moment on. Every wait ends: it is bounded, it is reckoned anew as space comes back, and it ends at once
 * when the background rests, stops, or needs writers.
 */
import type { Runtime } from '@wk/fs'

/** Bytes a millisecond down to which writers are slowed at full excess. */
const FULL_RATE = 40_000
/** How that grows towards the bound and shrinks beyond full excess: eight times at half of it, a third at one and a half times. */
const STEEPNESS = 3
/** Bytes that a group waits for beside its own, at most. */
const MOST_SAVED = 16_000_000
/** Longest wait of one group, in milliseconds. */
const LONGEST_MS = 1000

export class GcBrake {
  /** Groups that waited. */
  slowdowns = 0
  /** Milliseconds that they waited. */
  slowedMs = 0
  readonly #runtime: Runtime
  #isOn = false
  /** Bytes written whose wait was too short to be one, or is still to come. */
  #saved = 0
  #end: AbortController | undefined

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** From now on groups wait. */
  engage(): void {
    this.#isOn = true
  }

  /** There is no work, or the work waits for groups: who waits goes on. */
  release(): void {
    this.#isOn = false
    this.#end?.abort()
  }

  /** Space may have come back: who waits may wait for less. */
  ease(): void {
    this.#end?.abort()
  }

  /**
   * A promise for when the writer of `bytes` may go on, or `undefined` for at once: waits shorter than a millisecond are
   * saved up. @param excess tells 0 or less where writers are not to be slowed, 1 at full excess, or more
   */
  wait(bytes: number, excess: () => number): Promise<void> | undefined {
    // What is let through for the work's sake waits later. What was written before there was excess does, too, up to a bound: a
    // crowd of writers is met at once, not a while after it has passed the target.
    this.#saved = Math.min(this.#saved + bytes, Math.max(bytes, MOST_SAVED))
    if (!this.#isOn || shareOf(this.#saved, excess()) < 1) return undefined
    const saved = this.#saved
    this.#saved = 0
    return this.#wait(saved, excess)
  }

  async #wait(bytes: number, excess: () => number): Promise<void> {
    const start = this.#runtime.monotonic()
    this.slowdowns++
    while (this.#isOn) {
      const left = start + shareOf(bytes, excess()) - this.#runtime.monotonic()
      if (left <= 0) break
      this.#end = new AbortController()
      // An aborted sleep is one whose end is to be reckoned anew.
      await this.#runtime.sleep(left, this.#end.signal).catch(() => undefined)
      this.#end = undefined
    }
    this.slowedMs += this.#runtime.monotonic() - start
  }
}

/** Milliseconds that `bytes` take. */
function shareOf(bytes: number, excess: number): number {
  return excess <= 0 ? 0 : Math.min(LONGEST_MS, (bytes / FULL_RATE) * excess ** STEEPNESS)
}
