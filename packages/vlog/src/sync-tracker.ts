/**
 * Up to where the log is durable, and the one sync under way that everybody shares who waits for it.
 */

/** A place in the log: file, then offset. */
export interface LogPosition {
  fid: number
  offset: number
}

/** Order of places. */
export function isBefore(a: LogPosition, b: LogPosition): boolean {
  return a.fid < b.fid || (a.fid === b.fid && a.offset < b.offset)
}

/** The durable end of the log. It only grows. */
export class SyncTracker {
  #synced: LogPosition
  #syncing: Promise<void> | undefined

  constructor(synced: LogPosition) {
    this.#synced = synced
  }

  /** Everything before this is durable, all lower files included. */
  get position(): LogPosition {
    return { ...this.#synced }
  }

  /** Whether something before this place is not durable yet. */
  isBehind(fid: number, offset: number): boolean {
    return this.#synced.fid < fid || (this.#synced.fid === fid && this.#synced.offset < offset)
  }

  /** File `fid` is durable up to `offset`, and so is every lower file. */
  note(fid: number, offset: number): void {
    const position = { fid, offset }
    if (isBefore(this.#synced, position)) this.#synced = position
  }

  /**
   * Resolves when everything before `target` is durable. `syncOnce` makes durable what is written when it is called, and
   * notes it; `check` throws once nothing may be acknowledged any more.
   */
  async reach(target: LogPosition, syncOnce: () => Promise<void>, check: () => void): Promise<void> {
    while (isBefore(this.#synced, target)) {
      check()
      // A sync under way may have begun before our bytes were written: then another one follows, shared by all who wait.
      this.#syncing ??= syncOnce().finally(() => {
        this.#syncing = undefined
      })
      await this.#syncing
    }
    check()
  }
}
