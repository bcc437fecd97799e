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

/** Ranges that a list keeps room for when it is used again: 6 MiB. */
const MOST_KEPT = 1 << 17

export class RangeList {
  #ranges: Ranges
  /** Where lists are merged to, and what lies between ranges: as long, made when they are first needed. */
  #spare: Ranges | undefined
  #between: Ranges | undefined
  #count = 0
  /** Where ascending lists begin, but for the first. */
  #lists: number[] = []

  /** @param most ranges that may be added */
  constructor(most: number) {
    this.#ranges = roomFor(most)
  }

  /** Empties the list, for up to `most` ranges, in the same memory if it is enough: what is planned for file after file would be megabytes of garbage otherwise. */
  reset(most: number): void {
    const room = this.#ranges.starts.length
    if (room < most || room > MOST_KEPT) {
      this.#ranges = roomFor(most)
      this.#spare = undefined
      this.#between = undefined
    }
    this.#count = 0
    this.#lists = []
  }

  add(start: number, end: number): void {
    const { starts, ends } = this.#ranges
    const at = this.#count++
    starts[at] = start
    ends[at] = end
    if (at > 0 && start < starts[at - 1]!) this.#lists.push(at)
  }

  /** What of `[from, to)` no range covers, but for what is shorter than `least`. It holds until the list is asked again, or reset. */
  gaps(from: number, to: number, least = 1): SortedRanges {
    const { starts, ends } = this.#sort()
    const between = (this.#between ??= roomFor(starts.length + 1))
    let count = 0
    let covered = from
    for (let i = 0; i <= this.#count; i++) {
      const start = i === this.#count ? to : starts[i]!
      if (start - covered >= least) {
        between.starts[count] = covered
        between.ends[count++] = start
      }
      if (i < this.#count && ends[i]! > covered) covered = ends[i]!
    }
    return new SortedRanges(between.starts.subarray(0, count), between.ends.subarray(0, count))
  }

  /** Whether two of them have something in common: then two that follow each other have. */
  overlap(): boolean {
    const { starts, ends } = this.#sort()
    for (let i = 1; i < this.#count; i++) if (starts[i]! < ends[i - 1]!) return true
    return false
  }

  #sort(): Ranges {
    if (this.#lists.length === 0) return this.#ranges
    let from = this.#ranges
    let to = (this.#spare ??= roomFor(from.starts.length))
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
    this.#spare = to
    this.#lists = []
    return (this.#ranges = from)
  }
}

interface Ranges {
  readonly starts: Float64Array
  readonly ends: Float64Array
}

function roomFor(count: number): Ranges {
  return { starts: new Float64Array(count), ends: new Float64Array(count) }
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
