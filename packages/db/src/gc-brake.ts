/**
 * Slows writers in proportion while the disk holds more garbage than the target allows.
 *
 * Each group of writes waits for its share of the time: writers go on at the rate at which the background has given space back of
 * late, faster near the bound, slower the further beyond it. That is a pause for every group rather than a long one for some:
 * the rate is an average over {@link AVERAGE_MS}, while space itself comes back in lumps, file by file. Every wait ends: it is
 * bounded, it becomes shorter as space comes back, and it ends at once when the background rests, stops, or needs writers.
 */
import type { Runtime } from '@wk/fs'

/** Bytes a millisecond down to which writers are slowed at full excess whatever was given back; beyond it further, in proportion. */
const LEAST_RATE = 20_000
/** Longest wait of one group, in milliseconds. */
const LONGEST_MS = 1000
/** Writers go on at so many times the rate of what is given back at no excess, half of it in the middle, none of it at full excess. */
const GAIN = 2
/** Milliseconds that the rate is averaged over. */
const AVERAGE_MS = 500

export class GcBrake {
  /** Groups that waited. */
  slowdowns = 0
  /** Milliseconds that they waited. */
  slowedMs = 0
  readonly #runtime: Runtime
  #isOn = false
  /** Bytes given back, those of long ago forgotten, and the milliseconds that they took, likewise. */
  #freed = 0
  #elapsed = 0
  #agedAt: number
  /** Bytes written whose wait was too short to be one. */
  #saved = 0
  #end: AbortController | undefined

  constructor(runtime: Runtime) {
    this.#runtime = runtime
    this.#agedAt = runtime.monotonic()
  }

  /** From now on groups wait. */
  engage(): void {
    if (this.#isOn) return
    this.#isOn = true
    // Time in which nothing was to be given back says nothing about how fast it is.
    this.#agedAt = this.#runtime.monotonic()
  }

  /** There is no work, or the work waits for groups: who waits goes on. */
  release(): void {
    if (!this.#isOn) return
    this.#age()
    this.#isOn = false
    this.#end?.abort()
  }

  /** So many bytes have been given back since it said so last; of a pass that is under way, in proportion to what it has copied. */
  progress(bytes: number): void {
    this.#age()
    this.#freed += Math.max(0, bytes)
    this.#end?.abort()
  }

  /**
   * A promise for when the writer of `bytes` may go on, or `undefined` for at once: waits shorter than a millisecond are
   * saved up. @param excess tells 0 or less where writers are not to be slowed, 1 at full excess, or more
   */
  wait(bytes: number, excess: () => number): Promise<void> | undefined {
    this.#saved += bytes
    if (!this.#isOn || this.#share(this.#saved, excess()) < 1) return undefined
    const saved = this.#saved
    this.#saved = 0
    return this.#wait(saved, excess)
  }

  async #wait(bytes: number, excess: () => number): Promise<void> {
    const start = this.#runtime.monotonic()
    this.slowdowns++
    while (this.#isOn) {
      const left = start + this.#share(bytes, excess()) - this.#runtime.monotonic()
      if (left <= 0) break
      this.#end = new AbortController()
      // An aborted sleep is one whose end is to be reckoned anew.
      await this.#runtime.sleep(left, this.#end.signal).catch(() => undefined)
      this.#end = undefined
    }
    this.slowedMs += this.#runtime.monotonic() - start
  }

  /** Milliseconds that `bytes` take. */
  #share(bytes: number, excess: number): number {
    if (excess <= 0) return 0
    this.#age()
    const rate = this.#elapsed === 0 ? 0 : this.#freed / this.#elapsed
    return Math.min(LONGEST_MS, bytes / Math.max(GAIN * rate * (1 - excess), LEAST_RATE / excess))
  }

  #age(): void {
    if (!this.#isOn) return
    const now = this.#runtime.monotonic()
    const kept = Math.exp((this.#agedAt - now) / AVERAGE_MS)
    this.#freed *= kept
    this.#elapsed = this.#elapsed * kept + now - this.#agedAt
    this.#agedAt = now
  }
}
