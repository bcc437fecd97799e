/**
 * Bloom filter over the user keys of a table.
 *
 * | offset | size | field                                                     |
 * |--------|------|-----------------------------------------------------------|
 * | 0      | 1    | hash function, 1                                          |
 * | 1      | 1    | probes a key, 0 to 30; 0: no filter, every key may be there |
 * | 2      | n    | bits, bit i in byte i / 8, least significant first         |
 *
 * Hash function 1: two lanes of 32 bits in the manner of MurmurHash3, over words of four bytes (little-endian, the last
 * one padded with zeros), finished with the key's length. Probe i of a key with hash (a, b) is bit `x mod 8n`, where x and y
 * start as a and b, and after each probe x += y, y += i + 1 (enhanced double hashing; all modulo 2^32).
 * On disk, never change: a new hash function takes a new number.
 */
import { checkArgument } from '@wk/codec'
import { runSteps } from './steps.js'
import { TableKernel } from './table-kernel.js'
import { LARGEST_PIECE, WordList } from './word-list.js'

export const FILTER_HEADER_LENGTH = 2
export const HASH_MURMUR_PAIR = 1
export const MAX_PROBES = 30
/** Bits a key where nobody asks for others: 0.8 % false positives. */
export const DEFAULT_BITS_PER_KEY = 10

/** Most bits of a filter: what a probe can reach. */
const MAX_BITS = 0xffff_fff8
/** Keys that there is room for at first: most tables of a small database have fewer. */
const FIRST_KEYS = 1 << 10
const SEED_A = 0x9747_b28c | 0
const SEED_B = 0x5bd1_e995 | 0

/** The two lanes of the last `hashKey`. One thread, used at once: never kept across calls. */
let laneA = 0
let laneB = 0

function hashKey(bytes: Uint8Array, start: number, end: number): void {
  let a = SEED_A
  let b = SEED_B
  const whole = start + ((end - start) & ~3)
  let at = start
  for (; at < whole; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    a = mixA(a, word)
    b = mixB(b, word)
  }
  if (at < end) {
    let word = bytes[at]!
    if (at + 1 < end) word |= bytes[at + 1]! << 8
    if (at + 2 < end) word |= bytes[at + 2]! << 16
    a = mixA(a, word)
    b = mixB(b, word)
  }
  laneA = finish(a ^ (end - start))
  laneB = finish(b ^ (end - start))
}

function mixA(state: number, word: number): number {
  word = Math.imul(word, 0xcc9e2d51)
  word = Math.imul((word << 15) | (word >>> 17), 0x1b873593)
  state ^= word
  return (Math.imul((state << 13) | (state >>> 19), 5) + 0xe6546b64) | 0
}

function mixB(state: number, word: number): number {
  word = Math.imul(word, 0x239b961b)
  word = Math.imul((word << 17) | (word >>> 15), 0xab0e9789)
  state ^= word
  return (Math.imul((state << 19) | (state >>> 13), 5) + 0x561ccd1b) | 0
}

function finish(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/** `x % bits`, of numbers below 2 to the 32nd, by a product in place of a division: three times as fast. @param inverse 1 / bits */
export function remainder(x: number, bits: number, inverse: number): number {
  const rest = x - Math.floor(x * inverse) * bits
  // The quotient may be one off.
  if (rest >= bits) return rest - bits
  return rest < 0 ? rest + bits : rest
}

/** Whether the key may be among those the filter was built from. `filter` is one that `isFilter` accepted. */
export function filterMayContain(filter: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  const probes = filter[1]!
  if (probes === 0) return true
  hashKey(bytes, start, end)
  const bits = (filter.length - FILTER_HEADER_LENGTH) * 8
  const inverse = 1 / bits
  let x = laneA
  let y = laneB
  for (let i = 0; i < probes; i++) {
    const bit = remainder(x >>> 0, bits, inverse)
    if ((filter[FILTER_HEADER_LENGTH + (bit >>> 3)]! & (1 << (bit & 7))) === 0) return false
    x = (x + y) | 0
    y = (y + i + 1) | 0
  }
  return true
}

/** Whether the bytes are a filter that this version can ask. */
export function isFilter(bytes: Uint8Array): boolean {
  const hash = bytes[0]
  const probes = bytes[1]
  if (hash !== HASH_MURMUR_PAIR || probes === undefined || probes > MAX_PROBES) return false
  return probes === 0 ? bytes.length === FILTER_HEADER_LENGTH : bytes.length > FILTER_HEADER_LENGTH
}

/** @throws InvalidArgumentError unless a filter can have as many bits for each key */
export function checkBitsPerKey(value: number): void {
  checkArgument(typeof value === 'number' && value >= 0 && value <= 64, 'bits of bloom filter a key from 0 to 64')
}

/** Collects keys and makes their filter. */
export class FilterBuilder {
  readonly #bitsPerKey: number
  /** Both lanes of each key. */
  readonly #hashes = new WordList(2, FIRST_KEYS)

  /** @param bitsPerKey bits of filter for each key; 0 makes no filter. 10 give 0.8 % false positives. */
  constructor(bitsPerKey: number) {
    checkBitsPerKey(bitsPerKey)
    this.#bitsPerKey = bitsPerKey
  }

  /** Keys added. */
  get count(): number {
    return this.#hashes.count
  }

  /** Length of the filter if finished now. */
  get size(): number {
    return FILTER_HEADER_LENGTH + Math.ceil((this.#hashes.count * this.#bitsPerKey) / 8)
  }

  /** Adds a key. Each one should come once. */
  add(bytes: Uint8Array, start: number, end: number): void {
    if (this.#bitsPerKey === 0) return
    hashKey(bytes, start, end)
    this.#hashes.add(laneA, laneB)
  }

  /** Adds keys by their hashes: both lanes of each, one behind the other. */
  addHashes(lanes: Uint32Array): void {
    this.#hashes.addAll(lanes)
  }

  /** The filter's bytes. */
  finish(): Uint8Array {
    return runSteps(this.finishSteps())
  }

  /** {@link FilterBuilder.finish} in steps of a millisecond or two. */
  *finishSteps(): Generator<undefined, Uint8Array, void> {
    const probes = this.#bitsPerKey === 0 ? 0 : Math.min(MAX_PROBES, Math.max(1, Math.round(this.#bitsPerKey * Math.LN2)))
    if (probes === 0) return Uint8Array.of(HASH_MURMUR_PAIR, 0)
    const wanted = Math.min(MAX_BITS, Math.max(64, this.#hashes.count * this.#bitsPerKey))
    const length = Math.ceil(wanted / 8)
    const kernel = TableKernel.acquire()
    try {
      const bits = kernel.place(kernel.calls.beginFilter(length, LARGEST_PIECE))
      for (const piece of this.#hashes.pieces()) {
        yield
        const count = piece.length / 2
        kernel.putWords(kernel.calls.hashesFor(count), piece)
        kernel.calls.addToFilter(count, probes)
      }
      const filter = new Uint8Array(FILTER_HEADER_LENGTH + length)
      filter[0] = HASH_MURMUR_PAIR
      filter[1] = probes
      filter.set(kernel.view(bits, length), FILTER_HEADER_LENGTH)
      return filter
    } finally {
      kernel.release()
    }
  }
}
