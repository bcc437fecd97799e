/**
 * Keeps the event loop turning under callers that do nothing but await us.
 *
 * Small writes and reads are done synchronously, so their promises resolve within the same turn of the event loop: a
 * caller that awaits one after the other would run on microtasks for ever, and no timer, no socket and no thread-pool
 * result would get its turn. The guard notices that the loop has not turned for {@link MAX_HOLD_MS} and tells the next
 * operation to wait for it.
 */
import type { Runtime } from './runtime.js'

/** Longest time, in milliseconds, that operations go on answering without a turn of the event loop. */
const MAX_HOLD_MS = 4

export class LoopGuard {
  readonly #runtime: Runtime
  /** Settles with the next turn; undefined when the loop has turned since the last question. */
  #turn: Promise<void> | undefined
  #since = 0

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** `undefined`, or what to wait for before the operation is answered. */
  due(): Promise<void> | undefined {
    if (this.#turn === undefined) {
      void this.next()
      return undefined
    }
    return this.#runtime.monotonic() - this.#since < MAX_HOLD_MS ? undefined : this.#turn
  }

  /** Resolves once {@link due} has nothing to wait for: of many that wait for the same turn some have to wait for a further one. */
  async pass(): Promise<void> {
    for (let turn = this.due(); turn !== undefined; turn = this.due()) await turn
  }

  /** Settles with the next turn. */
  next(): Promise<void> {
    if (this.#turn === undefined) {
      this.#since = this.#runtime.monotonic()
      this.#turn = this.#runtime.yield().then(() => {
        this.#turn = undefined
      })
    }
    return this.#turn
  }
}
