import { describe, expect, it } from 'vitest'
import { Zipfian } from '../src/input/zipfian.js'

const COUNT = 1000
const DRAWS = 400_000

function draw(skew: number, seed = 5): { zipfian: Zipfian; seen: Uint32Array } {
  const zipfian = new Zipfian(COUNT, skew, seed)
  const seen = new Uint32Array(COUNT)
  for (let i = 0; i < DRAWS; i++) seen[zipfian.next()]!++
  return { zipfian, seen }
}

describe('zipfian numbers', () => {
  it('come as often as the law says, rank by rank', () => {
    const { zipfian, seen } = draw(0.99)
    const sum = Array.from({ length: COUNT }, (_, rank) => (rank + 1) ** -0.99).reduce((a, b) => a + b)
    expect(zipfian.shareOf(0)).toBeCloseTo(1 / sum, 12)
    expect(zipfian.shareOf(9)).toBeCloseTo(10 ** -0.99 / sum, 12)
    let chi = 0
    for (let rank = 0; rank < COUNT; rank++) {
      const expected = zipfian.shareOf(rank) * DRAWS
      chi += (seen[zipfian.item(rank)]! - expected) ** 2 / expected
    }
    // 999 degrees of freedom: mean 999, deviation 45.
    expect(chi).toBeGreaterThan(999 - 5 * 45)
    expect(chi).toBeLessThan(999 + 5 * 45)
  })

  it('are all there, and hot ones do not lie side by side', () => {
    const { zipfian, seen } = draw(0.99)
    expect(seen.every((count) => count > 0)).toBe(true)
    const hot = Array.from({ length: 10 }, (_, rank) => zipfian.item(rank)).sort((a, b) => a - b)
    expect(hot.some((item, i) => i > 0 && item - hot[i - 1]! > 20)).toBe(true)
    expect(new Set(Array.from({ length: COUNT }, (_, rank) => zipfian.item(rank))).size).toBe(COUNT)
  })

  it('are uniform without skew, and the same for the same seed', () => {
    const { seen } = draw(0)
    for (const count of seen) expect(Math.abs(count - DRAWS / COUNT)).toBeLessThan(6 * Math.sqrt(DRAWS / COUNT))
    const [one, other] = [new Zipfian(COUNT, 0.99, 3), new Zipfian(COUNT, 0.99, 3)]
    for (let i = 0; i < 1000; i++) expect(one.next()).toBe(other.next())
  })
})
