/**
 * Ranges of a file in any order: what lies between them, and whether some overlap.
 *
 * Where ranges begin and where they end are sorted apart from each other, as numbers: nothing is covered between the end that is the i-th and the
 * beginning that comes after as many, and two ranges overlap where that beginning comes first. A list of gaps takes some ten thousand ranges, and is
 * made while writers wait for gaps.
 */

/** A range of a file. */
export interface Range {
  readonly start: number
  readonly end: number
}

export class RangeList {
  readonly #starts: Float64Array
  readonly #ends: Float64Array
  #count = 0
  #isSorted = true

  /** @param most ranges that may be added */
  constructor(most: number) {
    this.#starts = new Float64Array(most)
    this.#ends = new Float64Array(most)
  }

  add(start: number, end: number): void {
    const at = this.#count++
    this.#starts[at] = start
    this.#ends[at] = end
    if (at > 0 && (start < this.#starts[at - 1]! || end < this.#ends[at - 1]!)) this.#isSorted = false
  }

  /** What of `[from, to)` no range covers, ascending, but for what is shorter than `least`. */
  gaps(from: number, to: number, least = 1): Range[] {
    this.#sort()
    const gaps: Range[] = []
    let covered = from
    for (let i = 0; i < this.#count; i++) {
      const start = this.#starts[i]!
      if (start - covered >= least) gaps.push({ start: covered, end: start })
      covered = Math.max(covered, this.#ends[i]!)
    }
    if (to - covered >= least) gaps.push({ start: covered, end: to })
    return gaps
  }

  /** Whether two of them have something in common. */
  overlap(): boolean {
    this.#sort()
    for (let i = 1; i < this.#count; i++) if (this.#starts[i]! < this.#ends[i - 1]!) return true
    return false
  }

  #sort(): void {
    if (this.#isSorted) return
    this.#starts.subarray(0, this.#count).sort()
    this.#ends.subarray(0, this.#count).sort()
    this.#isSorted = true
  }
}
