/**
 * Hidden garbage, estimated by looking: what part of the referenced bytes belongs to entries that a newer entry of the
 * same key shadows, that are deleted, or that expired. No compaction has met them yet, so every sum still counts them.
 *
 * A small tree is walked whole; of a larger one stretches of neighbouring entries at random places, drawn evenly
 * over the room between the keys seen so far: exact on average where keys fill it evenly, rough where they don't. The
 * result steers when compactions run; nothing depends on it.
 */
import { KIND_POINTER, KIND_TOMBSTONE, MAX_SEQUENCE, baseKind, commonPrefixLength, copyBytes, readExpiresAt, readPointerLen } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { Runtime } from '@wk/fs'
import type { LsmTree, ReadView } from '@wk/lsm'

/** Stretches, and keys of each: all versions of them, as many keys in hot places as in cold ones. */
const STRETCHES = 40
const STRETCH_KEYS = 16
/** A key of which there are more versions ends its stretch. */
const STRETCH_ENTRIES = 4096
/** A tree of up to so many entries is walked whole. */
const EXACT_ENTRIES = STRETCHES * STRETCH_KEYS
/** Bytes behind the common prefix of all keys that places are drawn from. */
const DRAWN_BYTES = 8

/** What a sample found. */
export interface HiddenSample {
  /** Part of the bytes (keys and values) that nobody reads without a snapshot; 0 to 1. */
  share: number
  /** Entries looked at. */
  entries: number
}

/** Estimates the hidden part of everything in the tree. Lets the event loop turn meanwhile. */
export async function sampleHidden(tree: LsmTree, runtime: Runtime): Promise<HiddenSample> {
  const view = tree.acquireView()
  try {
    const tally = new Tally(Math.floor(runtime.now() / 1000))
    const cursor = tree.entries(view)
    const slice = new TimeSlice(runtime, 2)
    const keys = new KeySpace()
    if (observeBounds(view, keys) <= EXACT_ENTRIES) {
      cursor.first()
      tally.walk(cursor, Infinity, keys)
      return tally.result()
    }
    for (let stretch = 0; stretch < STRETCHES; stretch++) {
      cursor.seek(keys.draw(runtime), MAX_SEQUENCE)
      if (!cursor.valid) cursor.first()
      tally.walk(cursor, STRETCH_KEYS, keys)
      if (slice.due()) await slice.pause()
    }
    return tally.result()
  } finally {
    view.release()
  }
}

/** Shows the first and last keys of all parts; returns the number of entries. */
function observeBounds(view: ReadView, keys: KeySpace): number {
  let entries = 0
  for (const memtable of view.memtables) {
    if (memtable.count === 0) continue
    entries += memtable.count
    const cursor = memtable.cursor()
    cursor.first()
    keys.observe(copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd))
    cursor.last()
    keys.observe(copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd))
  }
  for (const table of view.version.tables()) {
    entries += table.entries
    keys.observe(table.smallestKey)
    keys.observe(table.largestKey)
  }
  return entries
}

/** Counts bytes of entries that are read and of those that are hidden. */
class Tally {
  readonly #now: number
  #entries = 0
  #all = 0
  #hidden = 0
  #key: Uint8Array = new Uint8Array(0)
  #hasKey = false

  constructor(now: number) {
    this.#now = now
  }

  /** Counts all entries of up to `keyCount` keys, from the first entry of a key on. */
  walk(cursor: EntryCursor, keyCount: number, keys: KeySpace): void {
    this.#hasKey = false
    let left = keyCount
    for (let i = 0; cursor.valid && i < STRETCH_ENTRIES; i++, cursor.next()) {
      const isOlder = this.#hasKey && this.#isSameKey(cursor)
      if (!isOlder) {
        if (left-- === 0) return
        this.#key = copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd)
        this.#hasKey = true
        keys.observe(this.#key)
      }
      this.#count(cursor, isOlder)
    }
  }

  #count(cursor: EntryCursor, isOlder: boolean): void {
    const { kind, valueBytes, valueStart, valueEnd } = cursor
    this.#entries++
    if (baseKind(kind) === KIND_TOMBSTONE) return
    const length = baseKind(kind) === KIND_POINTER ? readPointerLen(valueBytes, valueStart) : cursor.keyEnd - cursor.keyStart + valueEnd - valueStart
    const expiresAt = readExpiresAt(kind, valueBytes, valueStart, valueEnd)
    this.#all += length
    if (isOlder || (expiresAt !== 0 && expiresAt <= this.#now)) this.#hidden += length
  }

  #isSameKey({ keyBytes, keyStart, keyEnd }: EntryCursor): boolean {
    const key = this.#key
    if (key.length !== keyEnd - keyStart) return false
    for (let i = key.length - 1; i >= 0; i--) if (key[i] !== keyBytes[keyStart + i]) return false
    return true
  }

  result(): HiddenSample {
    return { share: this.#all === 0 ? 0 : this.#hidden / this.#all, entries: this.#entries }
  }
}

/** Where keys lie, learnt from keys seen: their common prefix, and which bytes follow it. */
class KeySpace {
  /** The first key seen, and how much of it all others begin with. */
  #first: Uint8Array | undefined
  #common = 0
  readonly #lowest = new Uint8Array(DRAWN_BYTES).fill(0xff)
  readonly #highest = new Uint8Array(DRAWN_BYTES)
  /** Bit n: bytes of class n were seen anywhere. */
  #classes = 0

  observe(key: Uint8Array): void {
    if (this.#first === undefined) {
      this.#first = key
      this.#common = key.length
      return
    }
    const common = commonPrefixLength(this.#first, 0, this.#common, key, 0, key.length)
    if (common < this.#common) {
      // What was learnt was learnt for other places.
      this.#common = common
      this.#lowest.fill(0xff)
      this.#highest.fill(0)
      this.#learn(this.#first)
    }
    this.#learn(key)
  }

  /** Places behind the end of a key say nothing: keys of several lengths are no reason to draw low bytes. */
  #learn(key: Uint8Array): void {
    for (let i = 0; i < DRAWN_BYTES; i++) {
      const byte = key[this.#common + i]
      if (byte === undefined) return
      this.#lowest[i] = Math.min(byte, this.#lowest[i] ?? 0)
      this.#highest[i] = Math.max(byte, this.#highest[i] ?? 0)
      this.#classes |= 1 << classOf(byte)
    }
  }

  /** A key, most likely none that exists. */
  draw(runtime: Runtime): Uint8Array {
    const common = this.#common
    const key = new Uint8Array(common + DRAWN_BYTES)
    key.set((this.#first ?? key).subarray(0, common))
    for (let i = 0; i < DRAWN_BYTES; i++) {
      const lowest = this.#lowest[i] ?? 0
      const highest = this.#highest[i] ?? 0
      let count = 0
      for (let byte = lowest; byte <= highest; byte++) count += this.#isSeen(byte)
      let byte = lowest
      for (let left = Math.floor(runtime.random() * count) + 1; byte <= highest; byte++) if ((left -= this.#isSeen(byte)) === 0) break
      key[common + i] = count === 0 ? 0 : byte
    }
    return key
  }

  /** 1 if bytes of this class were seen, else 0. */
  #isSeen(byte: number): number {
    return (this.#classes >> classOf(byte)) & 1
  }
}

/** Digits, capitals, small letters, others: most of what lies between two of them in text is in no key. */
function classOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return 1
  if (byte >= 0x41 && byte <= 0x5a) return 2
  return byte >= 0x61 && byte <= 0x7a ? 3 : 0
}
