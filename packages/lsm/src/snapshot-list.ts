/**
 * Snapshots that are alive, by sequence number. Compactions keep what they see.
 *
 * Synchronous: a snapshot is a number and a registration. It pins no file: entries at or below its sequence stay in
 * whatever tables there are. However many there are, one more or less costs the same.
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
  /** Ascending, from `#first` on: the sequence numbers of `#counts`, and some that nothing sees any more, but never as many again. */
  #order: number[] = []
  #first = 0
  readonly #onReleased: () => void
  readonly #defer: (task: () => void) => void
  #isTelling = false

  /**
   * @param onReleased told when the oldest sequence number is seen no more: what was kept for it may go
   * @param defer when it is told: once for all that are released in a row, for to look what may go takes longer than to release one
   */
  constructor(onReleased: () => void = () => {}, defer: (task: () => void) => void = (task) => task()) {
    this.#onReleased = onReleased
    this.#defer = defer
  }

  /** Number of snapshots alive. */
  get size(): number {
    let size = 0
    for (const count of this.#counts.values()) size += count
    return size
  }

  acquire(sequence: number): Snapshot {
    invariant(Number.isSafeInteger(sequence) && sequence >= 0, 'a snapshot has a sequence number')
    const others = this.#counts.get(sequence)
    if (others === undefined) this.#insert(sequence)
    this.#counts.set(sequence, (others ?? 0) + 1)
    let released = false
    return {
      sequence,
      release: () => {
        if (released) return
        released = true
        const count = this.#counts.get(sequence) ?? 0
        if (count > 1) this.#counts.set(sequence, count - 1)
        else this.#remove(sequence)
      },
    }
  }

  /** The distinct sequence numbers, ascending. */
  sequences(): number[] {
    return this.#order.slice(this.#first).filter((sequence) => this.#counts.has(sequence))
  }

  /** The oldest sequence number, if there is a snapshot. */
  oldest(): number | undefined {
    return this.#order[this.#first]
  }

  /** Nearly always at the end: time only goes back where a failure has hidden what was visible. */
  #insert(sequence: number): void {
    let at = this.#order.length
    while (at > this.#first && (this.#order[at - 1] as number) >= sequence) at--
    if (this.#order[at] !== sequence) this.#order.splice(at, 0, sequence)
  }

  #remove(sequence: number): void {
    this.#counts.delete(sequence)
    const isOldest = this.#order[this.#first] === sequence
    while (this.#first < this.#order.length && !this.#counts.has(this.#order[this.#first] as number)) this.#first++
    if (this.#order.length > 2 * this.#counts.size) {
      this.#order = this.sequences()
      this.#first = 0
    }
    if (!isOldest || this.#isTelling) return
    this.#isTelling = true
    this.#defer(() => {
      this.#isTelling = false
      this.#onReleased()
    })
  }
}
