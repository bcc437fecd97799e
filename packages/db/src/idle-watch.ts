/**
 * Tells whether anybody writes: gaps that nothing goes into are garbage like all other (`gap-collector.ts`). It has a timer only while
 * somebody wants to know.
 */
import type { Runtime } from '@wk/fs'
import type { WrittenCounter } from './space-written.js'

/** So long nothing must have been written, in milliseconds. */
const IDLE_MS = 1000

export class IdleWatch {
  readonly #written: WrittenCounter
  readonly #runtime: Runtime
  readonly #signal: AbortSignal
  readonly #onEnd: () => void
  /** Bytes written when it was last found that nobody writes. */
  #idleAt = 0
  #isWatching = false

  /** `onEnd` is called after each time that was watched. */
  constructor(written: WrittenCounter, runtime: Runtime, signal: AbortSignal, onEnd: () => void) {
    this.#written = written
    this.#runtime = runtime
    this.#signal = signal
    this.#onEnd = onEnd
  }

  /** Nothing was written since open, or since it was last found that nobody writes. */
  get isIdle(): boolean {
    this.#written.update()
    return this.#written.bytes === this.#idleAt
  }

  /** Looks whether anything is written in the next second. */
  watch(): void {
    if (this.#isWatching) return
    this.#isWatching = true
    this.#written.update()
    const { bytes } = this.#written
    void this.#runtime
      .sleep(IDLE_MS, this.#signal)
      .then(() => {
        this.#isWatching = false
        this.#written.update()
        if (this.#written.bytes === bytes) this.#idleAt = bytes
        this.#onEnd()
      })
      // Aborted: the database is closed.
      .catch(() => undefined)
  }
}
