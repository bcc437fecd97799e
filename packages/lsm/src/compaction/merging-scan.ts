/**
 * Merges sorted sources into one sequence in internal order, once from the first entry to the last: what a job reads.
 *
 * Of entries with the same key and sequence number only that of the earliest source is seen: give newer sources first. The
 * current entry is the source itself, so whoever looks at it looks at plain fields; `MergingCursor` does the same for readers,
 * in both directions and with seeks.
 *
 * The sources are kept in order of their entries. A run of entries from one source costs one comparison each.
 */
import { compareInternal, compareRanges, invariant } from '@wk/codec'
import type { EntryScan } from '@wk/codec'

interface Source {
  readonly scan: EntryScan
  /** Settles ties: lower is newer. */
  readonly rank: number
}

export class MergingScan {
  /** Those that have entries left, by their current one. */
  readonly #order: Source[]

  /** Takes over the sources, newest first: they are moved by nobody else from now on. It starts beside all entries. */
  constructor(sources: readonly EntryScan[]) {
    this.#order = sources.map((scan, rank) => ({ scan, rank }))
  }

  /** The current entry; `undefined` behind the last one. */
  get current(): EntryScan | undefined {
    return this.#order[0]?.scan
  }

  /** The entry after it of all other sources; `undefined` if there is none. */
  get limit(): EntryScan | undefined {
    return this.#order[1]?.scan
  }

  /** To the first entry, which it returns, if there is one. Once. */
  first(): EntryScan | undefined {
    const sources = this.#order.splice(0)
    for (const source of sources) {
      source.scan.first()
      if (source.scan.valid) this.#order.push(source)
    }
    this.#order.sort((a, b) => (isBefore(a, b) ? -1 : 1))
    return this.current
  }

  /** To the next entry, which it returns. Requires a current one. */
  next(): EntryScan | undefined {
    const order = this.#order
    const current = order[0]
    invariant(current !== undefined, 'a scan beside all entries was moved')
    // Duplicates lie right behind: step over them while the entry they equal is still there to compare with.
    for (let second = order[1]; second !== undefined && isSame(second.scan, current.scan); second = order[1]) this.#step(second, 1)
    this.#step(current, 0)
    return order[0]?.scan
  }

  /** Moves the source at `place` of the order on, and to its new place. */
  #step(source: Source, place: number): void {
    const order = this.#order
    source.scan.next()
    if (!source.scan.valid) {
      order.splice(place, 1)
      return
    }
    const next = order[place + 1]
    if (next === undefined || isBefore(source, next)) return
    let low = place + 2
    let high = order.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isBefore(source, order[middle]!)) high = middle
      else low = middle + 1
    }
    // There are few, and `copyWithin` costs as much as many.
    for (let i = place + 1; i < low; i++) order[i - 1] = order[i]!
    order[low - 1] = source
  }
}

/** Whether the entry of source `a` comes before that of source `b`. Requires two valid sources. */
function isBefore(a: Source, b: Source): boolean {
  const left = a.scan
  const right = b.scan
  const order = compareInternal(left.keyBytes, left.keyStart, left.keyEnd, left.sequence, right.keyBytes, right.keyStart, right.keyEnd, right.sequence)
  return order === 0 ? a.rank < b.rank : order < 0
}

function isSame(a: EntryScan, b: EntryScan): boolean {
  return a.sequence === b.sequence && compareRanges(a.keyBytes, a.keyStart, a.keyEnd, b.keyBytes, b.keyStart, b.keyEnd) === 0
}
