/**
 * Recounts a table: everything that index, filter, properties and reference block say is checked against the entries.
 *
 * Guarantees: reads from disk, never from the cache; a table that passes answers every lookup and scan from exactly its
 * entries. Yields after each block.
 */
import {
  CorruptionError,
  KIND_POINTER,
  KIND_TOMBSTONE,
  baseKind,
  compareBytes,
  compareInternal,
  compareRanges,
  isKind,
  readPayload,
  readPointerFid,
  readPointerLen,
  readPointerOffset,
} from '@wk/codec'
import { BlockCursor } from './block-cursor.js'
import { ExpiryList } from './expiry-list.js'
import { tableDamage } from './format.js'
import type { TableFooter } from './format.js'
import { ReferenceCheck } from './reference-check.js'
import type { TableIndex } from './table-index.js'
import type { TableReader } from './table-reader.js'

export interface VerifyProgress {
  /** Data blocks and entries checked so far, and bytes of the file up to there. */
  blocks: number
  entries: number
  bytes: number
}

export function* verifyTable(table: TableReader, index: TableIndex, footer: TableFooter): Generator<VerifyProgress, VerifyProgress, void> {
  const count = new Recount(table, footer.references.offset)
  for (let block = 0; block < index.length; block++) {
    count.block(block, index)
    yield { blocks: block + 1, entries: count.entries, bytes: index.offset(block + 1) }
  }
  count.compareProperties(footer.properties.offset)
  count.compareReferences()
  return { blocks: index.length, entries: count.entries, bytes: table.size }
}

class Recount {
  entries = 0
  readonly #references: ReferenceCheck
  readonly #table: TableReader
  /** Where the reference block is, for errors. */
  readonly #referencesAt: number
  readonly #cursor = new BlockCursor()
  readonly #payload = { userMeta: 0, expiresAt: 0, valueStart: 0, valueEnd: 0 }
  #last: Uint8Array | undefined
  #lastSequence = 0
  #first: Uint8Array | undefined
  #tombstones = 0
  readonly #expiries = new ExpiryList()
  #distinctKeys = 0
  #keyBytes = 0
  #valueBytes = 0
  #smallestSequence = Infinity
  #largestSequence = -1

  constructor(table: TableReader, referencesAt: number) {
    this.#table = table
    this.#referencesAt = referencesAt
    this.#references = new ReferenceCheck(table.references())
  }

  block(block: number, index: TableIndex): void {
    const offset = index.offset(block)
    const cursor = this.#cursor
    cursor.reset(this.#table.readBlock(block, true))
    cursor.first()
    const { keyBytes, keyEnd, sequence } = cursor
    if (block > 0 && index.compare(block - 1, keyBytes.subarray(0, keyEnd), sequence) >= 0) {
      throw this.#damage(offset, 'separator behind the start of the next block')
    }
    for (; cursor.valid; cursor.next()) this.#entry(offset)
    const last = this.#last
    if (last === undefined || index.compare(block, last, this.#lastSequence) < 0) throw this.#damage(offset, 'separator before the end of its block')
  }

  #entry(offset: number): void {
    const { keyBytes, keyEnd, sequence, kind, valueBytes, valueStart, valueEnd } = this.#cursor
    const last = this.#last
    if (!isKind(kind)) throw this.#damage(offset, 'entry of unknown kind')
    if (last !== undefined && compareInternal(last, 0, last.length, this.#lastSequence, keyBytes, 0, keyEnd, sequence) >= 0) {
      throw this.#damage(offset, 'entries out of order')
    }
    this.#first ??= keyBytes.slice(0, keyEnd)
    if (last === undefined || compareRanges(last, 0, last.length, keyBytes, 0, keyEnd) !== 0) {
      this.#distinctKeys++
      this.#last = keyBytes.slice(0, keyEnd)
      if (!this.#table.mayContain(this.#last)) throw this.#damage(offset, 'key missing from the bloom filter')
    }
    this.#lastSequence = sequence
    this.#readPayload(kind, valueBytes, valueStart, valueEnd, offset)
    this.entries++
    this.#keyBytes += keyEnd
    this.#valueBytes += valueEnd - valueStart
    if (this.#payload.expiresAt !== 0) this.#expiries.add(this.#payload.expiresAt)
    if (sequence < this.#smallestSequence) this.#smallestSequence = sequence
    if (sequence > this.#largestSequence) this.#largestSequence = sequence
    if (baseKind(kind) === KIND_TOMBSTONE) this.#tombstones++
    if (baseKind(kind) === KIND_POINTER) {
      this.#compareReference(readPointerFid(valueBytes, valueStart), readPointerOffset(valueBytes, valueStart), readPointerLen(valueBytes, valueStart))
    }
  }

  #readPayload(kind: number, bytes: Uint8Array, start: number, end: number, offset: number): void {
    try {
      readPayload(kind, bytes, start, end, this.#payload)
    } catch (cause) {
      throw this.#damage(offset, 'malformed payload', cause)
    }
  }

  #compareReference(fid: number, offset: number, length: number): void {
    const wrong = this.#references.take(fid, offset, length)
    if (wrong !== undefined) throw this.#damage(this.#referencesAt, wrong)
  }

  compareReferences(): void {
    const wrong = this.#references.finish(this.#table.properties.references)
    if (wrong !== undefined) throw this.#damage(this.#referencesAt, wrong)
  }

  compareProperties(offset: number): void {
    const claimed = this.#table.properties
    const pairs: [string, number, number][] = [
      ['entries', this.entries, claimed.entries],
      ['tombstones', this.#tombstones, claimed.tombstones],
      ['expiring entries', this.#expiries.count, claimed.expiring],
      ['time of expiry', this.#expiries.quarterAt(this.entries), claimed.expiredQuarterAt],
      ['distinct keys', this.#distinctKeys, claimed.distinctKeys],
      ['key bytes', this.#keyBytes, claimed.keyBytes],
      ['payload bytes', this.#valueBytes, claimed.valueBytes],
      ['smallest sequence', this.#smallestSequence, claimed.smallestSequence],
      ['largest sequence', this.#largestSequence, claimed.largestSequence],
    ]
    for (const [what, counted, said] of pairs) if (counted !== said) throw this.#damage(offset, `${what}: ${counted} counted, ${said} claimed`)
    const { smallestKey, largestKey } = claimed
    if (this.#first === undefined || compareBytes(this.#first, smallestKey) !== 0) throw this.#damage(offset, 'smallest key is another')
    if (this.#last === undefined || compareBytes(this.#last, largestKey) !== 0) throw this.#damage(offset, 'largest key is another')
  }

  #damage(offset: number, message: string, cause?: unknown): CorruptionError {
    return tableDamage(this.#table.number, offset, message, cause)
  }
}
