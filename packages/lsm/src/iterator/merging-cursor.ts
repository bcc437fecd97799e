/**
 * Merges sorted sources into one sequence in internal order, forward or, if made so, in reverse.
 *
 * Of entries with the same key and sequence number only that of the earliest source is seen: give newer sources first.
 * The direction is fixed because turning round would cost a seek in every source: a forward merge has `first`, `seek`
 * and `next`, a reverse one `last`, `seekReverse` and `prev`; the others throw.
 *
 * The sources are kept in order of their entries. A run of entries from one source, the usual case in a tree, costs
 * two comparisons a step however many sources there are; otherwise the place is found by bisection.
 */
import { compareRanges, invariant } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'

export class MergingCursor implements EntryCursor {
  readonly reverse: boolean
  /** In order of preference; a source's place in this array settles ties. */
  readonly #sources: readonly EntryCursor[]
  /** Indices of the valid sources, by their current entry. */
  readonly #order: number[] = []
  #current: EntryCursor | undefined

  /** Takes over the sources: they are moved by nobody else from now on. It starts beside all entries. */
  constructor(sources: readonly EntryCursor[], reverse = false) {
    this.#sources = sources
    this.reverse = reverse
  }

  get valid(): boolean {
    return this.#current !== undefined
  }

  get keyBytes(): Uint8Array {
    return this.#current!.keyBytes
  }

  get keyStart(): number {
    return this.#current!.keyStart
  }

  get keyEnd(): number {
    return this.#current!.keyEnd
  }

  get sequence(): number {
    return this.#current!.sequence
  }

  get kind(): number {
    return this.#current!.kind
  }

  get valueBytes(): Uint8Array {
    return this.#current!.valueBytes
  }

  get valueStart(): number {
    return this.#current!.valueStart
  }

  get valueEnd(): number {
    return this.#current!.valueEnd
  }

  first(): void {
    invariant(!this.reverse, 'first() of a reverse merge')
    for (const source of this.#sources) source.first()
    this.#rebuild()
  }

  last(): void {
    invariant(this.reverse, 'last() of a forward merge')
    for (const source of this.#sources) source.last()
    this.#rebuild()
  }

  seek(userKey: Uint8Array, sequence: number): void {
    invariant(!this.reverse, 'seek() of a reverse merge')
    for (const source of this.#sources) source.seek(userKey, sequence)
    this.#rebuild()
  }

  seekReverse(userKey: Uint8Array, sequence: number): void {
    invariant(this.reverse, 'seekReverse() of a forward merge')
    for (const source of this.#sources) source.seekReverse(userKey, sequence)
    this.#rebuild()
  }

  next(): void {
    invariant(!this.reverse, 'next() of a reverse merge')
    this.#advance()
  }

  prev(): void {
    invariant(this.reverse, 'prev() of a forward merge')
    this.#advance()
  }

  #advance(): void {
    const order = this.#order
    const current = this.#current
    invariant(current !== undefined, 'a cursor beside all entries was moved')
    // Duplicates lie right behind: step over them while the entry they equal is still there to compare with.
    while (order.length > 1 && this.#isSame(this.#sources[order[1]!]!, current)) this.#step(1)
    this.#step(0)
    this.#current = order.length === 0 ? undefined : this.#sources[order[0]!]
  }

  /** Moves the source at `place` of the order on, and to its new place. */
  #step(place: number): void {
    const order = this.#order
    const index = order[place]!
    const source = this.#sources[index]!
    if (this.reverse) source.prev()
    else source.next()
    if (!source.valid) {
      order.splice(place, 1)
      return
    }
    if (place + 1 === order.length || this.#isBefore(index, order[place + 1]!)) return
    let low = place + 2
    let high = order.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#isBefore(index, order[middle]!)) high = middle
      else low = middle + 1
    }
    order.copyWithin(place, place + 1, low)
    order[low - 1] = index
  }

  #rebuild(): void {
    const order = this.#order
    order.length = 0
    for (let i = 0; i < this.#sources.length; i++) if (this.#sources[i]!.valid) order.push(i)
    order.sort((a, b) => (this.#isBefore(a, b) ? -1 : 1))
    this.#current = order.length === 0 ? undefined : this.#sources[order[0]!]
  }

  /** Whether the entry of source `a` comes before that of source `b`. Requires two valid sources. */
  #isBefore(a: number, b: number): boolean {
    const left = this.#sources[a]!
    const right = this.#sources[b]!
    let order = compareRanges(left.keyBytes, left.keyStart, left.keyEnd, right.keyBytes, right.keyStart, right.keyEnd)
    if (order === 0) order = right.sequence - left.sequence
    if (order === 0) return a < b
    return this.reverse ? order > 0 : order < 0
  }

  #isSame(a: EntryCursor, b: EntryCursor): boolean {
    return (
      a.sequence === b.sequence &&
      compareRanges(a.keyBytes, a.keyStart, a.keyEnd, b.keyBytes, b.keyStart, b.keyEnd) === 0
    )
  }
}
