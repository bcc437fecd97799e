/**
 * Keys and values made from numbers: 16-byte keys in random order, random values that nothing compresses. The same number gives the
 * same key and value in every engine. Nothing grows with the number of keys: they are made when they are asked for.
 */
import { Random } from '../input/random.js'

/** Length of every key, in bytes. */
export const KEY_LENGTH = 16

/** Values are views into one pool, at this many places. Made once: a view costs as much as a small put. */
const VIEWS = 8192
const STEP = 512

/** Keys and values of one size. */
export class KeySpace {
  readonly valueSize: number
  /** Length of a key and a value. */
  readonly entrySize: number
  private readonly seed: number
  private readonly views: readonly Uint8Array[]
  private readonly words = new Uint32Array(KEY_LENGTH / 4)
  private readonly bytes = new Uint8Array(this.words.buffer)

  constructor(valueSize: number, seed: number) {
    this.valueSize = valueSize
    this.entrySize = KEY_LENGTH + valueSize
    this.seed = seed
    const random = new Random(seed)
    const words = new Uint32Array((VIEWS * STEP + valueSize) / 4)
    for (let i = 0; i < words.length; i++) words[i] = random.next()
    const pool = new Uint8Array(words.buffer)
    this.views = Array.from({ length: VIEWS }, (_, view) => pool.subarray(view * STEP, view * STEP + valueSize))
  }

  /** The key with this number, in memory of its own. The first word is a permutation of the numbers, so no two are equal. */
  key(index: number): Uint8Array {
    for (let i = 0; i < this.words.length; i++) this.words[i] = mix(index, this.seed + i)
    return new Uint8Array(this.bytes)
  }

  /** The keys 0 .. `count` - 1, for loops in which making a key would be part of the time. */
  keys(count: number): readonly Uint8Array[] {
    return Array.from({ length: count }, (_, index) => this.key(index))
  }

  /** The value with this number in this generation: a view into a shared pool, never to be written to. */
  value(index: number, generation = 0): Uint8Array {
    return this.views[(Math.imul(index + Math.imul(generation, 0x2c1b3c6d), 0x9e3779b1) >>> 19) & (VIEWS - 1)]!
  }
}

/** A permutation of the unsigned 32-bit numbers, another one for every salt (murmur3's final mix). */
function mix(index: number, salt: number): number {
  let hash = (index ^ Math.imul(salt, 0x9e3779b1)) >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
