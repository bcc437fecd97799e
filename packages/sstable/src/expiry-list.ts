/**
 * When the entries of a table expire: gathered while it is written, kept as the one time that a compaction asks for.
 */
import { runSteps, sortSteps } from './steps.js'

/** Part of a table's entries that must have expired before the table is worth rewriting for it. */
const PART = 4

export class ExpiryList {
  #times = new Float64Array(64)
  #count = 0

  /** Entries that expire. */
  get count(): number {
    return this.#count
  }

  /** Adds an entry that expires at `time`, Unix seconds. */
  add(time: number): void {
    if (this.#count === this.#times.length) {
      const grown = new Float64Array(this.#times.length * 2)
      grown.set(this.#times)
      this.#times = grown
    }
    this.#times[this.#count++] = time
  }

  /** From when on a quarter of `entries` has expired, Unix seconds; 0 if fewer ever do. */
  quarterAt(entries: number): number {
    return runSteps(this.quarterSteps(entries))
  }

  /** {@link ExpiryList.quarterAt} in steps of a millisecond or two. */
  *quarterSteps(entries: number): Generator<undefined, number, void> {
    const rank = Math.ceil(entries / PART)
    if (rank === 0 || this.#count < rank) return 0
    const sorted = yield* sortSteps(this.#times.slice(0, this.#count))
    return sorted[rank - 1] ?? 0
  }
}
