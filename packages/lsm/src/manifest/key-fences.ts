/**
 * The last keys of a level's tables, for finding the one table that may hold a key: four bytes of each, after the prefix
 * that all have in common, lie next to each other and decide nearly every comparison.
 */
import { commonPrefixLength, compareBytes, compareRanges } from '@wk/codec'

const SIGN = 0x8000_0000 | 0

export class KeyFences {
  readonly #keys: readonly Uint8Array[]
  readonly #words: Int32Array
  readonly #prefixLength: number

  /** Of sorted keys, which must not change. */
  constructor(keys: readonly Uint8Array[]) {
    const first = keys[0]
    const last = keys.at(-1)
    this.#keys = keys
    this.#prefixLength = first === undefined || last === undefined ? 0 : commonPrefixLength(first, 0, first.length, last, 0, last.length)
    this.#words = Int32Array.from(keys, (key) => wordAt(key, this.#prefixLength))
  }

  /** Index of the first key that is not before `key`; their number if there is none. */
  lowerBound(key: Uint8Array): number {
    const keys = this.#keys
    const prefixLength = this.#prefixLength
    if (prefixLength > 0) {
      const order = compareRanges(key, 0, Math.min(key.length, prefixLength), keys[0]!, 0, prefixLength)
      if (order !== 0) return order < 0 ? 0 : keys.length
    }
    const words = this.#words
    const target = wordAt(key, prefixLength)
    let low = 0
    let high = keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const word = words[middle]!
      if (word < target || (word === target && compareBytes(keys[middle]!, key) < 0)) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Four bytes, big-endian, zeros behind the end, sign bit flipped so that signed order is byte order. */
function wordAt(key: Uint8Array, at: number): number {
  if (at + 4 <= key.length) return (((key[at]! << 24) | (key[at + 1]! << 16) | (key[at + 2]! << 8) | key[at + 3]!) ^ SIGN) | 0
  let word = 0
  for (let i = 0; i < 4; i++) word = (word << 8) | (key[at + i] ?? 0)
  return word ^ SIGN
}
