/**
 * Snapshots that are alive, by sequence number. Compactions keep what they see.
 *
 * Synchronous: a snapshot is a number and a registration. It pins no file: entries at or below its sequence stay in
 * whatever tables there are.
 */
import { invariant } from '@wk/codec'

/** A fixed point in the order of writes. */
export interface Snapshot {
  /** Reads through the snapshot see entries up to this sequence number. */
  readonly sequence: number
  /** Lets go of it. Idempotent. */
  release(): void
}

export class SnapshotList {
  readonly #counts = new Map<number, number>()
  readonly #onReleased: () => void

  /** @param onReleased told when nothing sees a sequence number any more: what was kept for it may go */
  constructor(onReleased: () => void = () => {}) {
    this.#onReleased = onReleased
  }

  /** Number of snapshots alive. */
  get size(): number {
    let size = 0
    for (const count of this.#counts.values()) size += count
    return size
  }

  acquire(sequence: number): Snapshot {
    invariant(Number.isSafeInteger(sequence) && sequence >= 0, 'a snapshot has a sequence number')
    this.#counts.set(sequence, (this.#counts.get(sequence) ?? 0) + 1)
    let released = false
    return {
      sequence,
      release: () => {
        if (released) return
        released = true
        const count = this.#counts.get(sequence) ?? 0
        if (count > 1) this.#counts.set(sequence, count - 1)
        else {
          this.#counts.delete(sequence)
          this.#onReleased()
        }
      },
    }
  }

  /** The distinct sequence numbers, ascending. */
  sequences(): number[] {
    return [...this.#counts.keys()].sort((a, b) => a - b)
  }

  /** The oldest sequence number, if there is a snapshot. */
  oldest(): number | undefined {
    let oldest: number | undefined
    for (const sequence of this.#counts.keys()) if (oldest === undefined || sequence < oldest) oldest = sequence
    return oldest
  }
}
