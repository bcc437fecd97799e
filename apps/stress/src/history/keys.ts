/** The keys of a history: few, so that clients meet. Those of markers lie behind all of them, and are never written again. */
import type { Rng } from '@wk/testkit'

const KEYS = 24

/** The end of all ranges: markers are behind it. */
export const END = '~'

export const nameOf = (key: number): string => `k${String(key).padStart(2, '0')}`

/** Half of the time one of a few. */
export function drawKey(rng: Rng): string {
  return nameOf(rng.below(rng.chance(0.5) ? 5 : KEYS))
}

/** A range, often all of it. */
export function drawRange(rng: Rng): { gte: string; lt: string } {
  if (rng.chance(0.4)) return { gte: '', lt: END }
  const first = rng.below(KEYS)
  return { gte: nameOf(first), lt: nameOf(first + rng.between(1, 10)) }
}

/** Values that stay in the tree, and values that go to the value log. */
export function drawLength(rng: Rng): number {
  return rng.weighted({ short: 3, long: 5, blocks: 1 }) === 'short' ? rng.below(40) : rng.chance(0.9) ? rng.between(64, 900) : rng.between(2000, 9000)
}
