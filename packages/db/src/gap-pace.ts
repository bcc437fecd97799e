/**
 * Spreads writers over the time in which the gaps that are left have to do: until the next ones are there (`gap-collector.ts`).
 *
 * Gaps come by the hundred megabytes, a few times a second. Who writes as fast as it can has used them up long before, and then waits for a
 * tenth of a second; who is told what there is for how long waits a little for each group. How long it takes is learnt. A group is
 * due when the one before it was, and the time for its own bytes, have passed, so that what writing takes is no wait on top.
 */
import type { Runtime } from '@wk/fs'

/** What bringing garbage out, and opening gaps, takes at first, in milliseconds. */
const FIRST_OUT_MS = 150
const FIRST_OPENING_MS = 100
/** Weight of the last time in what is learnt. */
const LEARNING = 1 / 4
/** Least part of what it takes that is still to come, however long it has lasted. */
const LEAST_LEFT = 1 / 4
/** Gaps are not taken for less: one group then waits for the next ones. */
const LEAST_GAPS = 1 << 22
/** Longest time since the last group was due that counts for the next one, in milliseconds. */
const MOST_CREDIT_MS = 30

/** A stage that takes its time. */
class Stage {
  #usual: number
  #since: number | undefined

  constructor(usual: number) {
    this.#usual = usual
  }

  get usual(): number {
    return this.#usual
  }

  get isUnderWay(): boolean {
    return this.#since !== undefined
  }

  begin(now: number): void {
    this.#since = now
  }

  /** `counts`: it came to what it usually comes to. */
  end(now: number, counts: boolean): void {
    if (counts && this.#since !== undefined) this.#usual += LEARNING * (now - this.#since - this.#usual)
    this.#since = undefined
  }

  /** Milliseconds that are left of it, most likely. */
  left(now: number): number {
    return Math.max(this.#usual - (now - (this.#since ?? now)), LEAST_LEFT * this.#usual)
  }
}

export class GapPace {
  readonly #runtime: Runtime
  readonly #out = new Stage(FIRST_OUT_MS)
  readonly #opening = new Stage(FIRST_OPENING_MS)
  /** When the last group was due. */
  #due = 0

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** Garbage is being brought out that will become gaps. */
  beginOut(): void {
    this.#out.begin(this.#runtime.monotonic())
  }

  /** `counts`: it came to its end. */
  endOut(counts: boolean): void {
    this.#out.end(this.#runtime.monotonic(), counts)
  }

  /** Gaps are being opened. */
  beginOpening(): void {
    this.#opening.begin(this.#runtime.monotonic())
  }

  /** `came`: there are more of them than before. Whoever waits need not wait for these any more. */
  endOpening(came: boolean): void {
    this.#opening.end(this.#runtime.monotonic(), came)
    if (came) this.#due = this.#runtime.monotonic()
  }

  /** More gaps will be there soon. */
  get areNextDue(): boolean {
    return this.#out.isUnderWay || this.#opening.isUnderWay
  }

  /** Time on the clock before which no writer goes on: not later than the next gaps are there, most likely. */
  get due(): number {
    const now = this.#runtime.monotonic()
    return this.areNextDue ? Math.min(this.#due, now + this.#left(now)) : now
  }

  /** Notes a group of `bytes` that was written while there are `gapBytes` left; infinitely many where nobody need wait. */
  note(bytes: number, gapBytes: number): void {
    const now = this.#runtime.monotonic()
    if (!this.areNextDue) {
      this.#due = now
      return
    }
    const left = this.#left(now)
    this.#due = Math.min(now + left, Math.max(this.#due, now - MOST_CREDIT_MS) + (bytes * left) / Math.max(LEAST_GAPS, gapBytes))
  }

  /** Milliseconds until there are more gaps. */
  #left(now: number): number {
    return this.#opening.isUnderWay ? this.#opening.left(now) : this.#out.left(now) + this.#opening.usual
  }
}
