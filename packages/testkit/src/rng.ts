/**
 * A small seeded generator of pseudo-random numbers (sfc32). The same seed gives the same sequence on every machine,
 * so a failing history is replayed from one number. Not for cryptography.
 */

/** A seeded source of numbers, choices and bytes. */
export class Rng {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /**
   * @param seed its low 32 bits and its quotient by 2^32 are used
   * @throws RangeError above 2^53: neighbouring seeds would be one
   */
  constructor(seed: number) {
    if (!(Math.abs(seed) <= Number.MAX_SAFE_INTEGER)) throw new RangeError(`not a seed: ${seed}`)
    this.#a = seed >>> 0
    this.#b = Math.floor(seed / 0x1_0000_0000) >>> 0
    this.#c = 0x9e3779b9
    for (let i = 0; i < 12; i++) this.next()
  }

  /** Of the `number`-th of many sequences under one seed, below 2^32: seed and number side by side would be more than a seed holds. */
  static of(seed: number, number: number): Rng {
    return new Rng(new Rng(seed).below(2 ** 20) * 0x1_0000_0000 + number)
  }

  /** The next unsigned 32-bit number. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }

  /** A whole number in [0, bound). Requires: bound >= 1. */
  below(bound: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * bound)
  }

  /** A whole number in [low, high], both ends included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability * 0x1_0000_0000
  }

  /** One element of a non-empty list. */
  pick<T>(list: readonly T[]): T {
    const chosen = list[this.below(list.length)]
    if (chosen === undefined && list.length === 0) throw new Error('pick from an empty list')
    return chosen as T
  }

  /** One name of a table of weights, with odds proportional to its weight. */
  weighted<T extends string>(weights: Readonly<Record<T, number>>): T {
    const names = Object.keys(weights) as T[]
    let total = 0
    for (const name of names) total += weights[name]
    let at = (this.next() / 0x1_0000_0000) * total
    for (const name of names) {
      at -= weights[name]
      if (at < 0) return name
    }
    return names[names.length - 1] as T
  }

  /** Fresh random bytes. */
  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length)
    for (let i = 0; i < length; i++) out[i] = this.next()
    return out
  }
}
