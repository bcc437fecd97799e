/**
 * What a transaction has read: single keys, found or not, and ranges. Its commit asks whether any of it has changed.
 *
 * Bounded: beyond {@link MAX_READS} keys and ranges, or {@link MAX_READ_BYTES} of them, everything read so far is taken for one
 * range from the smallest to the largest key. That can make a transaction lose that needed not, never the other way.
 */
import { compareBytes, copyBytes } from '@wk/codec'
import type { KeyRange } from '@wk/codec'
import { RangeUnion } from './range-union.js'
import { keyText } from './txn-writes.js'

/** Keys and ranges remembered one by one. */
const MAX_READS = 100_000
/** Bytes of keys remembered. */
const MAX_READ_BYTES = 64 * 1024 * 1024

/** A range that an iterator reads: it grows as the iterator delivers, until it is `done`. */
export interface ReadRange {
  range: KeyRange
  done: boolean
}

export class TxnReads {
  readonly #keys = new Map<string, Uint8Array>()
  #ranges: ReadRange[] = []
  #bytes = 0
  /** Covers what was too much to remember. */
  #folded: KeyRange | undefined
  readonly #maxReads: number

  /** @param maxReads for tests */
  constructor(maxReads = MAX_READS) {
    this.#maxReads = maxReads
  }

  addKey(key: Uint8Array): void {
    const name = keyText(key)
    if (this.#keys.has(name)) return
    this.#keys.set(name, copyBytes(key))
    this.#count(key.length)
  }

  /** Adds a range that its reader goes on changing until it sets `done`. */
  addRange(read: ReadRange): void {
    this.#ranges.push(read)
    this.#count((read.range.gte ?? read.range.gt)?.length ?? 0)
  }

  /** Single keys that were read. */
  keys(): Iterable<Uint8Array> {
    return this.#keys.values()
  }

  /** Ranges that were read. */
  ranges(): KeyRange[] {
    const ranges = this.#ranges.map(({ range }) => range)
    return this.#folded === undefined ? ranges : [this.#folded, ...ranges]
  }

  /** Whether a key was read, by itself or in a range: asked when nothing more is read. */
  covered(): (key: Uint8Array) => boolean {
    const ranges = new RangeUnion(this.ranges())
    return (key) => (this.#keys.size > 0 && this.#keys.has(keyText(key))) || ranges.has(key)
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#keys.size + this.#ranges.length <= this.#maxReads && this.#bytes <= MAX_READ_BYTES) return
    let folded = this.#folded
    for (const { range, done } of this.#ranges) if (done) folded = hull(folded, range)
    for (const key of this.#keys.values()) folded = hull(folded, { gte: key, lte: key })
    this.#folded = folded
    this.#ranges = this.#ranges.filter(({ done }) => !done)
    this.#keys.clear()
    this.#bytes = 0
  }
}

/** The smallest closed range that covers both. */
function hull(a: KeyRange | undefined, b: KeyRange): KeyRange {
  const lower = b.gte ?? b.gt
  const upper = b.lte ?? b.lt
  if (a === undefined) return { gte: lower, lte: upper }
  return {
    gte: a.gte === undefined || lower === undefined ? undefined : compareBytes(a.gte, lower) < 0 ? a.gte : lower,
    lte: a.lte === undefined || upper === undefined ? undefined : compareBytes(a.lte, upper) > 0 ? a.lte : upper,
  }
}
