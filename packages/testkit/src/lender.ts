/**
 * Lends keys and values to a database for the length of one call and takes them back: every lent buffer is overwritten
 * as soon as the call returns. A database that keeps a reference instead of a copy then reads rubbish, and fails.
 */
import type { Bytes, ScanOptions, SnapshotHandle } from './database.js'
import { bytesOf, type KeyText, type ModelRange } from './model.js'

/** Buffers lent to one call. */
export class Lender {
  readonly #lent: Uint8Array[] = []
  #turn: number

  /** @param turn decides which keys are passed as text */
  constructor(turn: number) {
    this.#turn = turn
  }

  /** The key as bytes or, in turns, as text where UTF-8 gives the same bytes. */
  key(key: KeyText): Bytes {
    this.#turn++
    if (this.#turn % 3 === 0 && isAscii(key)) return key
    const buffer = bytesOf(key)
    this.#lent.push(buffer)
    return buffer
  }

  /** A copy of the value inside a larger buffer, as a caller with a pool would pass it. */
  value(value: Uint8Array): Uint8Array {
    const pool = new Uint8Array(value.length + 16)
    pool.set(value, 8)
    this.#lent.push(pool)
    return pool.subarray(8, 8 + value.length)
  }

  /** Options of a scan over the range. */
  scan(range: ModelRange, snapshot: SnapshotHandle | undefined): ScanOptions {
    const options: ScanOptions = {}
    for (const bound of ['gt', 'gte', 'lt', 'lte'] as const) {
      const key = range[bound]
      if (key !== undefined) options[bound] = this.key(key)
    }
    if (range.reverse !== undefined) options.reverse = range.reverse
    if (range.limit !== undefined) options.limit = range.limit
    if (snapshot !== undefined) options.snapshot = snapshot
    return options
  }

  /** Overwrites everything that was lent. To be called in the same turn as the call that borrowed it. */
  reclaim(): void {
    for (const buffer of this.#lent) buffer.fill(0xa5)
    this.#lent.length = 0
  }
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}
