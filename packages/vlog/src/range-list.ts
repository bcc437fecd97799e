/**
 * Ranges of a file in any order: what lies between them, and whether some overlap.
 *
 * Ranges come as a few lists that ascend by where they begin, one for each logical file, which are merged two by two: a list of gaps takes some ten
 * thousand ranges, and is made while writers wait for gaps.
 */

/** Ranges of a file, ascending, none of which overlap. */
export class SortedRanges {
  readonly #starts: Float64Array
  readonly #ends: Float64Array

  /** Of equal length. */
  constructor(starts: Float64Array, ends: Float64Array) {
    this.#starts = starts
    this.#ends = ends
  }

  get count(): number {
    return this.#starts.length
  }

  start(i: number): number {
    return this.#starts[i]!
  }

  end(i: number): number {
    return this.#ends[i]!
  }

  /** The first range that ends behind `position`. `near`: one that is likely to be shortly before it. */
  firstBehind(position: number, near?: number): number {
    return firstAbove(this.#ends, position, near)
  }
}

/** Steps from a place that is likely to be near before all is searched. */
const STEPS = 8

/** Index of the first of ascending numbers that is above `bound`; their count if none is. `near`: one that is likely to be shortly before it, which takes some steps instead of a bisection. */
export function firstAbove(numbers: Float64Array | Uint32Array, bound: number, near?: number): number {
  let low = 0
  let high = numbers.length
  if (near !== undefined && near > 0 && numbers[near - 1]! > bound) high = near - 1
  else if (near !== undefined) {
    low = near
    for (let step = 0; step < STEPS; step++, low++) if (low >= numbers.length || numbers[low]! > bound) return low
  }
  while (low < high) {
    const middle = (low + high) >>> 1
    if (numbers[middle]! > bound) high = middle
    else low = middle + 1
  }
  return low
}

export class RangeList {
  #starts: Float64Array
  #ends: Float64Array
  #count = 0
  /** Where ascending lists begin, but for the first. */
  #lists: number[] = []

  /** @param most ranges that may be added */
  constructor(most: number) {
    this.#starts = new Float64Array(most)
    this.#ends = new Float64Array(most)
  }

  add(start: number, end: number): void {
    const at = this.#count++
    this.#starts[at] = start
    this.#ends[at] = end
    if (at > 0 && start < this.#starts[at - 1]!) this.#lists.push(at)
  }

  /** What of `[from, to)` no range covers, but for what is shorter than `least`. */
  gaps(from: number, to: number, least = 1): SortedRanges {
    this.#sort()
    const starts = new Float64Array(this.#count + 1)
    const ends = new Float64Array(this.#count + 1)
    let count = 0
    let covered = from
    for (let i = 0; i <= this.#count; i++) {
      const start = i === this.#count ? to : this.#starts[i]!
      if (start - covered >= least) {
        starts[count] = covered
        ends[count++] = start
      }
      if (i < this.#count && this.#ends[i]! > covered) covered = this.#ends[i]!
    }
    return new SortedRanges(starts.subarray(0, count), ends.subarray(0, count))
  }

  /** Whether two of them have something in common: then two that follow each other have. */
  overlap(): boolean {
    this.#sort()
    for (let i = 1; i < this.#count; i++) if (this.#starts[i]! < this.#ends[i - 1]!) return true
    return false
  }

  #sort(): void {
    if (this.#lists.length === 0) return
    let from: Ranges = { starts: this.#starts, ends: this.#ends }
    // As long, for more may be added.
    let to: Ranges = { starts: new Float64Array(from.starts.length), ends: new Float64Array(from.ends.length) }
    let bounds = [0, ...this.#lists, this.#count]
    while (bounds.length > 2) {
      const merged = [0]
      for (let i = 0; i + 1 < bounds.length; i += 2) {
        const end = bounds[i + 2] ?? bounds[i + 1]!
        mergeTwo(from, bounds[i]!, bounds[i + 1]!, end, to)
        merged.push(end)
      }
      bounds = merged
      ;[from, to] = [to, from]
    }
    this.#starts = from.starts
    this.#ends = from.ends
    this.#lists = []
  }
}

interface Ranges {
  readonly starts: Float64Array
  readonly ends: Float64Array
}

/** `[a, b)` and `[b, end)` of `from`, both ascending, to `[a, end)` of `to`. */
function mergeTwo({ starts, ends }: Ranges, a: number, b: number, end: number, to: Ranges): void {
  const middle = b
  for (let at = a; at < end; at++) {
    const takesFirst = a < middle && (b === end || starts[a]! <= starts[b]!)
    const next = takesFirst ? a++ : b++
    to.starts[at] = starts[next]!
    to.ends[at] = ends[next]!
  }
}
