/**
 * Seeded random numbers and orders, so that every engine gets the same work in the same order and a run can be repeated.
 *
 * Not for anything that has to be unpredictable.
 */

/** A source of unsigned 32-bit numbers; equal seeds give equal sequences (mulberry32). */
export class Random {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  /** The next number, 0 .. 2^32 - 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }

  /** A number in 0 .. `bound` - 1. */
  below(bound: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * bound)
  }

  /** Puts the items into random order, in place. */
  shuffle(items: Uint32Array): Uint32Array {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const item = items[i]!
      items[i] = items[j]!
      items[j] = item
    }
    return items
  }
}

/** The numbers 0 .. `count` - 1 in an order that depends on the seed only. */
export function shuffledIndexes(count: number, seed: number): Uint32Array {
  return new Random(seed).shuffle(Uint32Array.from({ length: count }, (_, index) => index))
}

/** FNV-1a of the UTF-16 units of a text with a final mix, 32 bits: stable over runs and machines. */
export function hashText(text: string, seed = 0): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
