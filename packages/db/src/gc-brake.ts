/**
 * Slows writers in proportion while the disk holds more garbage than the target allows.
 *
 * A group of writes waits until the background has given back its share for it: so many bytes for each byte written,
 * the more the further beyond the target. While the work itself needs groups to be written nobody waits. Every wait
 * ends: with the work done for it, when the background rests or stops, or after a time that is bounded as well.
 */
import type { Runtime } from '@wk/fs'

/** Bytes a millisecond down to which writers are slowed at full excess; beyond it they are slowed further, in proportion. */
const LEAST_RATE = 20_000
/** Longest wait of one group, in milliseconds. */
const LONGEST_MS = 1000
/** At full excess the background gives back this many bytes for each byte that is written. */
const GAIN = 2

export class GcBrake {
  /** Groups that waited. */
  slowdowns = 0
  /** Milliseconds that they waited. */
  slowedMs = 0
  readonly #runtime: Runtime
  /** Bytes given back so far; of a pass that is under way, in proportion to what it has copied. */
  #freed = 0
  #isOn = false
  /** Bytes written whose wait was too short to be one. */
  #saved = 0
  #wake: (() => void) | undefined

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** From now on groups wait for work to be done. The work must not wait for groups. */
  engage(): void {
    this.#isOn = true
  }

  /** The work waits for groups, or there is none: who waits goes on. */
  release(): void {
    this.#isOn = false
    this.#wake?.()
  }

  /** So many bytes have been given back since it said so last. */
  progress(bytes: number): void {
    this.#freed += Math.max(0, bytes)
    this.#wake?.()
  }

  /**
   * A promise for when the writer of `bytes` may go on, or `undefined` for at once: waits shorter than a millisecond are
   * saved up. @param excess 0 at the hard bound, 1 at full excess, or more
   */
  wait(bytes: number, excess: number): Promise<void> | undefined {
    this.#saved += bytes
    const longest = (this.#saved / LEAST_RATE) * excess
    if (!this.#isOn || longest < 1) return undefined
    const saved = this.#saved
    this.#saved = 0
    return this.#wait(saved * GAIN * Math.min(1, excess), Math.min(LONGEST_MS, longest))
  }

  /** Until `bytes` are given back, for `longest` milliseconds at most. */
  async #wait(bytes: number, longest: number): Promise<void> {
    const start = this.#runtime.monotonic()
    this.slowdowns++
    const target = this.#freed + bytes
    const timer = new AbortController()
    let isOver = false
    void this.#sleep(longest, timer.signal).then(() => {
      isOver = true
      this.#wake?.()
    })
    while (this.#isOn && !isOver && this.#freed < target) await new Promise<void>((resolve) => (this.#wake = resolve))
    timer.abort()
    this.slowedMs += this.#runtime.monotonic() - start
  }

  async #sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    // An aborted sleep is one that nobody waits for any more.
    await this.#runtime.sleep(milliseconds, signal).catch(() => undefined)
  }
}
