/**
 * Many ranges, asked whether any of them holds a key: a bisection, however many there are and however they overlap.
 */
import { compareBytes, isAtOrAfterStart, isAtOrBeforeEnd } from '@wk/codec'
import type { KeyRange } from '@wk/codec'

export class RangeUnion {
  /** By their starts. */
  readonly #ranges: readonly KeyRange[]
  /** For each of them the one that reaches farthest, among it and those before it. */
  readonly #farthest: KeyRange[] = []

  /** The ranges must not change. */
  constructor(ranges: readonly KeyRange[]) {
    this.#ranges = [...ranges].sort(compareStarts)
    let farthest: KeyRange | undefined
    for (const range of this.#ranges) {
      if (farthest === undefined || compareEnds(range, farthest) > 0) farthest = range
      this.#farthest.push(farthest)
    }
  }

  has(key: Uint8Array): boolean {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isAtOrAfterStart(this.#ranges[middle] as KeyRange, key)) low = middle + 1
      else high = middle
    }
    const range = this.#farthest[low - 1]
    return range !== undefined && isAtOrBeforeEnd(range, key)
  }
}

/** No bound comes first; of the same key the closed one. */
function compareStarts(a: KeyRange, b: KeyRange): number {
  const left = a.gte ?? a.gt
  const right = b.gte ?? b.gt
  if (left === undefined || right === undefined) return Number(left !== undefined) - Number(right !== undefined)
  return compareBytes(left, right) || Number(a.gte === undefined) - Number(b.gte === undefined)
}

/** No bound comes last; of the same key the closed one. */
function compareEnds(a: KeyRange, b: KeyRange): number {
  const left = a.lte ?? a.lt
  const right = b.lte ?? b.lt
  if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined)
  return compareBytes(left, right) || Number(a.lte !== undefined) - Number(b.lte !== undefined)
}
