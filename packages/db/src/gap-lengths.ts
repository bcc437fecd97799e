/**
 * From which length on dead bytes side by side are worth filling: short gaps are, as long as there are not too many, and the blocks that they share with
 * what is alive are in memory (ADR 0035).
 *
 * The device writes whole blocks, so a short gap costs it as much as copies would; where a block has to be read first, too, it costs far more. That is told
 * by the time that writes into gaps take, and counts for a minute: without short gaps nothing can tell whether it is still so. Where there are more records
 * than run tables may have entries for, some files could be filled and others not, which is no faster than to copy all, and holds everybody up for longer.
 */
import type { Runtime } from '@wk/fs'
import type { Appended } from '@wk/vlog'

/** The least length where nothing has to be read, by default. */
export const LEAST_GAP = 1024
/** The least one otherwise: the time of a read is to be shared by some KiB, and there are fewer records. */
const LEAST_LONG_GAP = 8 * 1024
/** What a write takes on the average where blocks have to be read, or more, in milliseconds. A warm one takes a fifth or less. */
const COLD_MS = 0.025
/** Writes that tell. */
const TELLING = 2000
/** How long it counts, in milliseconds. */
const COLD_FOR_MS = 60_000

export class GapLengths {
  readonly #least: number | undefined
  readonly #mostRecords: number
  readonly #appended: Pick<Appended, 'pieces'>
  readonly #runtime: Runtime
  /** Writes that were judged, and what they took. */
  #judged = { count: 0, milliseconds: 0 }
  #coldUntil = -Infinity

  /** `least`: the least length where nothing has to be read. Undefined: nothing is ever filled. `mostRecords`: with more of them only long gaps are filled. */
  constructor(least: number | undefined, mostRecords: number, appended: Pick<Appended, 'pieces'>, runtime: Runtime) {
    this.#least = least
    this.#mostRecords = mostRecords
    this.#appended = appended
    this.#runtime = runtime
  }

  /** The least length now, among so many records that are alive. Undefined: nothing is ever filled. */
  least(records: number): number | undefined {
    if (this.#least === undefined) return undefined
    const { count, milliseconds } = this.#appended.pieces
    const writes = count - this.#judged.count
    const now = this.#runtime.monotonic()
    if (writes >= TELLING) {
      if (milliseconds - this.#judged.milliseconds > COLD_MS * writes) this.#coldUntil = now + COLD_FOR_MS
      this.#judged = { count, milliseconds }
    }
    return now < this.#coldUntil || records > this.#mostRecords ? Math.max(this.#least, LEAST_LONG_GAP) : this.#least
  }
}
