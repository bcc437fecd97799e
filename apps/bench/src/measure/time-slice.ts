/**
 * Keeps the harness from holding the event loop: after each slice of work it lets the loop turn once.
 *
 * The time given away is counted: an engine that does background work in-line does it in these turns, and pays for it in
 * the throughput of the phase.
 */

/** A clock for slices of `budget` milliseconds. One per process; several loops may share it. */
export class TimeSlice {
  /** Milliseconds spent in pauses since the last {@link TimeSlice.takeSpent}. */
  private spent = 0
  private since = performance.now()
  private readonly budget: number
  private turn: Promise<void> | undefined

  constructor(budget = 1) {
    this.budget = budget
  }

  /** Whether the slice is over at `now`; a caller that has just read the clock passes what it read. */
  due(now = performance.now()): boolean {
    return now - this.since >= this.budget
  }

  /** Lets the event loop turn once. Callers that wait at the same time wait for the same turn. */
  pause(): Promise<void> {
    if (this.turn === undefined) {
      const start = performance.now()
      this.turn = new Promise((resolve) => {
        setImmediate(() => {
          this.since = performance.now()
          this.spent += this.since - start
          this.turn = undefined
          resolve()
        })
      })
    }
    return this.turn
  }

  /** Milliseconds spent in pauses since the last call; starts anew from zero. */
  takeSpent(): number {
    const { spent } = this
    this.spent = 0
    return spent
  }
}
