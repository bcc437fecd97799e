/**
 * Counts what entries stand for as a cursor passes them: bytes that are read, bytes that a newer entry of the same key hides or
 * that expired, and some of the keys, for which what lies below is to be sought.
 *
 * Each key is chosen as likely as its last entry is long (systematic sampling with probability proportional to size: marks lie at
 * even distances along the sum of all lengths, and a key on which one falls is chosen). One long entry may hide more than a
 * thousand short ones: taken evenly, a hundred keys would miss it, or count it for all the others.
 */
import { copyBytes, entryBytes, readExpiresAt } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import type { KeyRoom } from './key-room.js'

/** Keys of a stretch: all versions of them, as many keys in hot places as in cold ones. */
const STRETCH_KEYS = 16
/** A key of which there are more versions ends its stretch. */
const STRETCH_ENTRIES = 4096
/** Entries between two looks at the clock: a quarter of a millisecond. */
const WALK_STEP = 4096
/** Keys that are chosen at most. */
const MOST_SOUGHT = 128

/** Bytes of keys and values, how many of them nobody reads without a snapshot, and in how many entries they lie. */
export interface TalliedBytes {
  readonly all: number
  readonly hidden: number
  readonly entries: number
}

/** A key whose entry before is to be sought. */
export interface SoughtKey {
  readonly key: Uint8Array
  /** How likely it was to be chosen, and the sum of that over the keys before it. */
  readonly weight: number
  readonly from: number
}

export class EntryTally {
  entries = 0
  /** The keys that were chosen: all, if there are few; those of long entries in any case. */
  sought: SoughtKey[] = []
  readonly #now: number
  readonly #mean: number
  #all = 0
  #hidden = 0
  #key = new Uint8Array(64)
  #keyLength = -1
  /** Bytes of the last entry of the key; 0 for a tombstone. */
  #length = 0
  #weighed = 0
  /** Distance of the marks, and the next one. */
  #step = 1
  #mark = 1

  /** @param mean bytes of an entry elsewhere: what a tombstone or a short entry may well hide */
  constructor(now: number, mean: number) {
    this.#now = now
    this.#mean = Math.max(1, mean)
  }

  /** Counts every entry from where the cursor stands, in steps. */
  *walkSteps(cursor: EntryCursor): Generator<undefined, void, void> {
    this.#keyLength = -1
    for (let i = 1; cursor.valid; i++, cursor.next()) {
      this.#take(cursor, this.#isAtKey(cursor))
      if (i % WALK_STEP === 0) yield
    }
    this.#end()
  }

  /** Counts all entries of a stretch of keys from where the cursor stands; `room` learns the keys. */
  walkStretch(cursor: EntryCursor, room: KeyRoom): void {
    this.#keyLength = -1
    let keys = 0
    for (let i = 0; cursor.valid && i < STRETCH_ENTRIES; i++, cursor.next()) {
      const isOlder = this.#isAtKey(cursor)
      if (!isOlder) {
        if (keys++ === STRETCH_KEYS) break
        room.observe(keyOf(cursor))
      }
      this.#take(cursor, isOlder)
    }
    this.#end()
  }

  /** What was counted, as so much more as there are `entries`. */
  bytes(entries: number): TalliedBytes {
    const scale = entries / Math.max(1, this.entries)
    return { all: this.#all * scale, hidden: this.#hidden * scale, entries }
  }

  /** How many keys a chosen one stands for. */
  keysFor({ weight }: SoughtKey): number {
    return Math.max(1, this.#step / weight)
  }

  /** Chooses the key that was counted last, if a mark falls on it. */
  #end(): void {
    if (this.#keyLength < 0) return
    const weight = Math.max(this.#mean, this.#length)
    const from = this.#weighed
    this.#weighed += weight
    if (this.#weighed < this.#mark) return
    this.sought.push({ key: this.#key.slice(0, this.#keyLength), weight, from })
    while (this.sought.length > MOST_SOUGHT) {
      this.#step *= 2
      this.sought = this.sought.filter((key) => this.#markAfter(key.from) <= key.from + key.weight)
    }
    this.#mark = this.#markAfter(this.#weighed)
  }

  #markAfter(weighed: number): number {
    return (Math.floor(weighed / this.#step) + 1) * this.#step
  }

  /** Whether the cursor is still at the key of the entry counted last. */
  #isAtKey(cursor: EntryCursor): boolean {
    return isAt(cursor, this.#key, this.#keyLength)
  }

  /** Counts an entry. `isOlder`: another version of the same key came before. */
  #take(cursor: EntryCursor, isOlder: boolean): void {
    const { kind, valueBytes, valueStart, valueEnd } = cursor
    const length = lengthOf(cursor)
    if (!isOlder) this.#begin(cursor, length)
    this.entries++
    if (length === 0) return
    const expiresAt = readExpiresAt(kind, valueBytes, valueStart, valueEnd)
    this.#all += length
    if (isOlder || (expiresAt !== 0 && expiresAt <= this.#now)) this.#hidden += length
  }

  #begin({ keyBytes, keyStart, keyEnd }: EntryCursor, length: number): void {
    this.#end()
    this.#length = length
    this.#keyLength = keyEnd - keyStart
    if (this.#key.length < this.#keyLength) this.#key = new Uint8Array(2 * this.#keyLength)
    for (let i = 0; i < this.#keyLength; i++) this.#key[i] = keyBytes[keyStart + i]!
  }
}

/** Whether the cursor is at an entry of the key in the first `length` bytes of `key`. */
export function isAt({ keyBytes, keyStart, keyEnd }: EntryCursor, key: Uint8Array, length: number): boolean {
  if (length !== keyEnd - keyStart) return false
  for (let i = length - 1; i >= 0; i--) if (keyBytes[keyStart + i] !== key[i]) return false
  return true
}

/** Bytes that the entry stands for at which the cursor is; 0 for a tombstone. */
export function lengthOf({ kind, keyStart, keyEnd, valueBytes, valueStart, valueEnd }: EntryCursor): number {
  return entryBytes(kind, keyEnd - keyStart, valueBytes, valueStart, valueEnd)
}

/** A copy of the key that the cursor is at. */
export function keyOf({ keyBytes, keyStart, keyEnd }: EntryCursor): Uint8Array {
  return copyBytes(keyBytes, keyStart, keyEnd)
}
