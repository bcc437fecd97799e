/**
 * Numbers that follow Zipf's law: the item of rank r is drawn in proportion to 1 / r^skew. Exact (drawn from the sums, not from a
 * formula that is near them), and ranks are spread over the numbers at random, so that the hot ones do not lie side by side.
 */
import { Random, shuffledIndexes } from './random.js'

/** Draws from 0 .. `count` - 1. */
export class Zipfian {
  private readonly sums: Float64Array
  private readonly itemOf: Uint32Array
  private readonly random: Random

  constructor(count: number, skew: number, seed: number) {
    this.sums = new Float64Array(count)
    let sum = 0
    for (let rank = 0; rank < count; rank++) this.sums[rank] = sum += (rank + 1) ** -skew
    this.itemOf = shuffledIndexes(count, seed + 1)
    this.random = new Random(seed)
  }

  /** Share of all draws that the item of this rank (0 is the hottest) gets. */
  shareOf(rank: number): number {
    const below = rank === 0 ? 0 : this.sums[rank - 1]!
    return (this.sums[rank]! - below) / this.sums.at(-1)!
  }

  /** The item of a rank. */
  item(rank: number): number {
    return this.itemOf[rank]!
  }

  /** The next number. */
  next(): number {
    const { sums } = this
    const wanted = (this.random.next() / 0x1_0000_0000) * sums.at(-1)!
    let low = 0
    for (let high = sums.length - 1; low < high; ) {
      const middle = (low + high) >>> 1
      if (sums[middle]! > wanted) high = middle
      else low = middle + 1
    }
    return this.itemOf[low]!
  }
}
