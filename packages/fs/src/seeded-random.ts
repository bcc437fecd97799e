/**
 * A small seeded generator for everything in this package that must be random and repeatable. Not for secrets.
 */

/** A generator of uniform numbers in [0, 1): equal seeds give equal sequences. (mulberry32) */
export function seededRandom(seed: number): () => number {
  // Neighbouring seeds are spread first: callers number their cases 0, 1, 2, ...
  let state = Math.imul((seed | 0) ^ 0x9e3779b9, 0x85ebca6b) ^ Math.floor(seed / 0x100000000)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x100000000
  }
}
