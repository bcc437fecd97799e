/**
 * A block in memory: decoding of its entries, and point lookup without an allocation.
 *
 * Guarantees: nothing outside the entries is read, whatever the bytes are; malformed entries are `CorruptionError`
 * with file and block offset. It believes that entries are in order (a checksum vouches for the writer);
 * `TableReader.verify` checks it.
 */
import { ByteReader, CorruptionError, MAX_KEY_LENGTH, TRAILER_LENGTH, commonPrefixLength, compareRanges, readTrailerSequence, readU32 } from '@wk/codec'
import type { LookupResult } from '@wk/codec'
import { tableDamage } from './format.js'
import { wordAt } from './key-words.js'

/** Bytes of an entry before its key when each of its lengths takes one byte. */
const SHORT_HEADER = 3 + TRAILER_LENGTH

export class Block {
  readonly bytes: Uint8Array
  /** Number of the table and offset of the block there. */
  readonly table: number
  readonly offset: number
  /** Offset behind the last entry, where the restart points begin. */
  readonly entriesEnd: number
  readonly restartCount: number
  /** The entry that `read` decoded last. */
  shared = 0
  unshared = 0
  keyStart = 0
  valueStart = 0
  valueEnd = 0
  /** Set at each use, cleared by the cache when it looks for what was not used. */
  recentlyUsed = false
  readonly #slow: ByteReader
  #wasSearched = false
  /** The prefix that the keys at all restart points have in common, then four bytes of each behind it; made at the second search. */
  #words: Int32Array | undefined
  #prefixLength = 0

  /** @param length of the contents, which start at `bytes[0]` */
  constructor(bytes: Uint8Array, length: number, table: number, offset: number) {
    this.bytes = bytes
    this.table = table
    this.offset = offset
    const restartCount = length < 4 ? 0 : readU32(bytes, length - 4)
    if (restartCount < 1 || restartCount > (length - 4) / 4) throw tableDamage(table, offset, 'block with an impossible number of restart points')
    this.restartCount = restartCount
    this.entriesEnd = length - 4 - restartCount * 4
    this.#slow = new ByteReader(bytes, { end: this.entriesEnd })
    if (this.restart(0) !== 0) throw this.damage('block whose first entry is no restart point')
  }

  damage(message: string, cause?: unknown): CorruptionError {
    return tableDamage(this.table, this.offset, message, cause)
  }

  /** Bytes held in memory. */
  get memory(): number {
    return this.bytes.byteLength + this.restartCount * 4 + 280
  }

  /** Offset of restart point `index`. Requires that there is one. */
  restart(index: number): number {
    const at = readU32(this.bytes, this.entriesEnd + index * 4)
    if (at >= this.entriesEnd) throw this.damage('restart point behind the entries')
    return at
  }

  /** Decodes the entry at `at` into the fields above. Requires `at < entriesEnd`. */
  read(at: number): void {
    const { bytes, entriesEnd } = this
    let shared = bytes[at] as number
    let unshared = bytes[at + 1] as number
    let payload = bytes[at + 2] as number
    if ((shared | unshared | payload) < 0x80 && at + 3 <= entriesEnd) at += 3
    else {
      const slow = this.#slow
      try {
        slow.offset = at
        shared = slow.uvarint(MAX_KEY_LENGTH)
        unshared = slow.uvarint(MAX_KEY_LENGTH)
        payload = slow.uvarint()
        at = slow.offset
      } catch (cause) {
        throw this.damage('malformed entry header', cause)
      }
    }
    this.shared = shared
    this.unshared = unshared
    this.keyStart = at + TRAILER_LENGTH
    this.valueStart = this.keyStart + unshared
    this.valueEnd = this.valueStart + payload
    if (this.valueEnd > entriesEnd) throw this.damage('entry longer than its block')
    if (shared + unshared > MAX_KEY_LENGTH) throw this.damage('key over its limit')
  }

  /** Last restart point whose entry is at or before the target, or 0. */
  seekRestart(key: Uint8Array, sequence: number): number {
    if (this.#words === undefined && !this.#wasSearched) {
      // Perhaps the only time: gathering the words costs more than one search without them.
      this.#wasSearched = true
      return this.#seekRestartInEntries(key, sequence)
    }
    const words = (this.#words ??= this.#readWords())
    const prefixLength = this.#prefixLength
    const prefixEnd = key.length < prefixLength ? key.length : prefixLength
    let first = 0
    for (let at = 0; at < prefixLength; at += 4) {
      const word = words[first++] as number
      const own = wordAt(key, at, prefixEnd)
      if (own !== word) return own < word ? 0 : this.restartCount - 1
    }
    // A key that ends inside the prefix may have got here, when zeros follow: its full comparisons end at 0.
    const target = wordAt(key, prefixLength, key.length)
    let low = 0
    let high = this.restartCount - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      const word = words[first + middle] as number
      if (word < target || (word === target && this.#compareRestart(middle, key, sequence) <= 0)) low = middle
      else high = middle - 1
    }
    return low
  }

  #seekRestartInEntries(key: Uint8Array, sequence: number): number {
    let low = 0
    let high = this.restartCount - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#compareRestart(middle, key, sequence) <= 0) low = middle
      else high = middle - 1
    }
    return low
  }

  #compareRestart(index: number, key: Uint8Array, sequence: number): number {
    this.#readRestart(index)
    const order = compareRanges(this.bytes, this.keyStart, this.valueStart, key, 0, key.length)
    return order !== 0 ? order : sequence - readTrailerSequence(this.bytes, this.keyStart - TRAILER_LENGTH)
  }

  /** Gathers what `seekRestart` compares first. */
  #readWords(): Int32Array {
    const { bytes, restartCount } = this
    this.#readRestart(restartCount - 1)
    const lastStart = this.keyStart
    const lastEnd = this.valueStart
    this.#readRestart(0)
    const prefixLength = commonPrefixLength(bytes, this.keyStart, this.valueStart, bytes, lastStart, lastEnd)
    const prefixWords = (prefixLength + 3) >>> 2
    const words = new Int32Array(prefixWords + restartCount)
    for (let i = 0; i < prefixWords; i++) words[i] = wordAt(bytes, this.keyStart + i * 4, this.keyStart + prefixLength)
    for (let i = 0; i < restartCount; i++) {
      this.#readRestart(i)
      words[prefixWords + i] = wordAt(bytes, this.keyStart + prefixLength, this.valueStart)
    }
    this.#prefixLength = prefixLength
    return words
  }

  #readRestart(index: number): void {
    this.read(this.restart(index))
    if (this.shared !== 0) throw this.damage('restart point with a shared prefix')
  }

  /**
   * Finds the newest entry of `key` with a sequence number of at most `sequence` and fills `out`, whose views are
   * into this block. Returns whether there is one.
   *
   * Keys are not put together: `matched` is how many bytes the entry before, which is smaller, has in common with
   * the target. An entry that shares more than that differs from the target just as its predecessor did and is smaller;
   * one that shares less is greater, and ends the search; else its own bytes decide. A restart point starts anew.
   */
  find(key: Uint8Array, sequence: number, out: LookupResult): boolean {
    const { bytes, entriesEnd } = this
    const wanted = key.length
    let at = this.restart(this.seekRestart(key, sequence))
    let matched = 0
    let length = 0
    out.found = false
    while (at < entriesEnd) {
      // The usual entry, whose lengths take a byte each, is decoded here: this loop is what a lookup spends its time in.
      let shared = bytes[at] as number
      let unshared = bytes[at + 1] as number
      let keyStart = at + SHORT_HEADER
      let next = keyStart + unshared + (bytes[at + 2] as number)
      if ((shared | unshared | (bytes[at + 2] as number)) >= 0x80) {
        this.read(at)
        shared = this.shared
        unshared = this.unshared
        keyStart = this.keyStart
        next = this.valueEnd
      }
      if (next > entriesEnd) throw this.damage('entry longer than its block')
      if (shared > length) throw this.damage('entry that shares more than there is')
      at = next
      length = shared + unshared
      // Perhaps a restart point: nothing is shared there, whatever the keys have in common.
      if (shared === 0) matched = 0
      if (shared > matched) continue
      if (shared < matched) return false
      const ownEnd = keyStart + unshared
      let i = keyStart
      while (i < ownEnd && matched < wanted && bytes[i] === key[matched]) {
        i++
        matched++
      }
      if (i < ownEnd) {
        if (matched === wanted || (bytes[i] as number) > (key[matched] as number)) return false
      } else if (matched === wanted) {
        const found = readTrailerSequence(bytes, keyStart - TRAILER_LENGTH)
        if (found > sequence) continue
        out.found = true
        out.sequence = found
        out.kind = bytes[keyStart - 1] as number
        out.valueBytes = bytes
        out.valueStart = ownEnd
        out.valueEnd = next
        return true
      }
    }
    return false
  }
}
