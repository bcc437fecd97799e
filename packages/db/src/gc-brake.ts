/**
 * Slows writers in proportion while the disk holds more garbage than the target allows.
 *
 * A group of writes waits until the background has given back its share for it: so many bytes for each byte written,
 * the more the further beyond the target. Beside a flush, which itself waits for groups to be written, it waits some
 * milliseconds. Every wait ends: with the work done for it, when the background rests or stops, or after a time that
 * is bounded as well.
 */
import type { Runtime } from '@wk/fs'

/** Longest wait of one group, in milliseconds, at full excess; and how many times longer it may get beyond that. */
const LONGEST_MS = 100
const LONGEST_TIMES = 10
/** Wait of a group beside a flush, at full excess, in milliseconds; and how many times longer it may get. */
const BESIDE_FLUSH_MS = 30
const BESIDE_FLUSH_TIMES = 5
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

  /** Resolves when the writer of `bytes` may go on. @param excess 0 at the hard bound, 1 at full excess, or more */
  async wait(bytes: number, excess: number): Promise<void> {
    const start = this.#runtime.monotonic()
    const part = Math.min(1, excess)
    this.slowdowns++
    if (!this.#isOn) await this.#sleep(BESIDE_FLUSH_MS * Math.min(BESIDE_FLUSH_TIMES, excess))
    else {
      const target = this.#freed + bytes * GAIN * part
      const timer = new AbortController()
      let isOver = false
      void this.#sleep(LONGEST_MS * Math.min(LONGEST_TIMES, excess), timer.signal).then(() => {
        isOver = true
        this.#wake?.()
      })
      while (this.#isOn && !isOver && this.#freed < target) await new Promise<void>((resolve) => (this.#wake = resolve))
      timer.abort()
    }
    this.slowedMs += this.#runtime.monotonic() - start
  }

  async #sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    // An aborted sleep is one that nobody waits for any more.
    await this.#runtime.sleep(milliseconds, signal).catch(() => undefined)
  }
}
