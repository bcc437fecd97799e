/**
 * Keys and values made from numbers: 16-byte random keys, random values that nothing compresses. The same number gives the
 * same key and value in every engine.
 */
import { Random } from '../input/random.js'

const POOL = 4 * 1024 * 1024

/** Keys 0 .. `count` - 1 with values of one size. */
export class KeySpace {
  readonly keys: readonly Uint8Array[]
  readonly valueSize: number
  private readonly pool: Uint8Array

  constructor(count: number, valueSize: number, seed: number) {
    const random = new Random(seed)
    const fill = (bytes: number): Uint8Array => {
      const words = new Uint32Array(bytes / 4)
      for (let i = 0; i < words.length; i++) words[i] = random.next()
      return new Uint8Array(words.buffer)
    }
    const all = fill(count * 16)
    this.keys = Array.from({ length: count }, (_, index) => all.slice(index * 16, index * 16 + 16))
    this.valueSize = valueSize
    this.pool = fill(POOL + valueSize)
  }

  /** The key with this number. */
  key(index: number): Uint8Array {
    return this.keys[index]!
  }

  /** The value with this number: a view into a shared pool, never to be written to. */
  value(index: number): Uint8Array {
    const at = (Math.imul(index, 0x9e3779b1) >>> 0) % POOL
    return this.pool.subarray(at, at + this.valueSize)
  }
}
