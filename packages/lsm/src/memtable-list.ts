/**
 * The active memtable and the sealed ones that wait for their flush.
 *
 * Rotation is synchronous and in memory. The first write makes an arena, not the opening: until then, and after a flush,
 * the active memtable is a placeholder without room. While writing goes on, arenas of usual size are used again once no view
 * holds them: fresh pages cost more than what is copied into them. A database at rest keeps none.
 */
import { invariant } from '@wk/codec'
import { Memtable } from '@wk/memtable'
import { LoggedMemtable } from './log/wal.js'

/** Arenas kept for reuse. */
const SPARE_ARENAS = 1

export class MemtableList {
  readonly #capacity: number
  #active: LoggedMemtable
  /** Oldest first. */
  readonly #immutables: LoggedMemtable[] = []
  /** Flushed ones whose arena may still be read through a view. */
  #retired: Memtable[] = []
  readonly #spares: SharedArrayBuffer[] = []

  /** `capacity` is the usual size of a memtable in bytes. */
  constructor(capacity: number) {
    // As the memtable itself rounds it.
    this.#capacity = Math.ceil(capacity / 64) * 64
    this.#active = new LoggedMemtable(Memtable.placeholder())
  }

  get active(): LoggedMemtable {
    return this.#active
  }

  /** Sealed and not yet flushed, oldest first. */
  get immutables(): readonly LoggedMemtable[] {
    return this.#immutables
  }

  /** Sealed ones of which everything is written: they can be flushed. */
  get completeCount(): number {
    let count = 0
    while (count < this.#immutables.length && this.#immutables[count]!.isComplete) count++
    return count
  }

  /** Bytes of arenas in use. */
  get bytes(): number {
    return this.#immutables.reduce((sum, { memtable }) => sum + memtable.capacity, this.#active.memtable.capacity)
  }

  /** For a view: newest first. Empty memtables but the active one are never in it. */
  memtables(): Memtable[] {
    const memtables = [this.#active.memtable]
    for (let i = this.#immutables.length - 1; i >= 0; i--) {
      const entry = this.#immutables[i]
      if (entry !== undefined) memtables.push(entry.memtable)
    }
    return memtables
  }

  /**
   * Seals the active memtable and begins another of at least `capacity` bytes, or with 0 a placeholder. The new view is the
   * caller's business.
   */
  rotate(capacity: number): LoggedMemtable {
    const sealed = this.#active
    sealed.memtable.seal()
    if (sealed.memtable.count > 0) this.#immutables.push(sealed)
    this.#active = capacity === 0 ? new LoggedMemtable(Memtable.placeholder()) : this.#create(Math.max(capacity, this.#capacity))
    return sealed
  }

  /** Takes the oldest immutable memtable out: it is in tables now. */
  drop(flushed: LoggedMemtable): void {
    const oldest = this.#immutables.shift()
    invariant(oldest === flushed, 'memtables are flushed oldest first')
    this.#retired.push(flushed.memtable)
  }

  /** Takes back arenas of dropped memtables that `isHeld` says nobody reads: for use again, if something was written since. */
  recycle(isHeld: (memtable: Memtable) => boolean): void {
    const isAtRest = this.#active.memtable.capacity < this.#capacity
    if (isAtRest) this.#spares.length = 0
    this.#retired = this.#retired.filter((memtable) => {
      if (isHeld(memtable)) return true
      if (!isAtRest && memtable.capacity === this.#capacity && this.#spares.length < SPARE_ARENAS) this.#spares.push(memtable.buffer)
      return false
    })
  }

  #create(capacity: number): LoggedMemtable {
    const buffer = capacity === this.#capacity ? this.#spares.pop() : undefined
    return new LoggedMemtable(new Memtable(buffer === undefined ? { capacity } : { capacity, buffer }))
  }
}
