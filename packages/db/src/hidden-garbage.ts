/**
 * Hidden garbage, estimated by looking: what part of the referenced bytes belongs to entries that a newer entry of the
 * same key shadows, that are deleted, or that expired. No compaction has met them yet, so every sum still counts them.
 *
 * A memtable is walked, unless it is large, and for some of its keys the entry before is sought: a key that is written often
 * counts as often. Of tables, and of large memtables, stretches of neighbouring entries at random places are looked at; of tables
 * only when they have changed. The result steers when compactions run and how writers are slowed; nothing else depends on it.
 */
import { KIND_POINTER, KIND_TOMBSTONE, MAX_SEQUENCE, baseKind, copyBytes, readExpiresAt, readPointerLen } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { Runtime } from '@wk/fs'
import type { LsmTree, ReadView } from '@wk/lsm'
import { KeyRoom } from './key-room.js'

/** Stretches, and keys of each: all versions of them, as many keys in hot places as in cold ones. */
const STRETCHES = 40
const STRETCH_KEYS = 16
/** A key of which there are more versions ends its stretch. */
const STRETCH_ENTRIES = 4096
/** Entries up to which all tables, or a memtable, are walked whole: as fast as stretches. */
const WHOLE_TABLES = STRETCHES * STRETCH_KEYS
const WHOLE_MEMTABLE = 32_768
/** Entries between two looks at the clock: a quarter of a millisecond. */
const WALK_STEP = 4096
/** Keys of a memtable whose entry before is sought, at least, where there are so many. */
const SOUGHT = 64
/** How long what was seen of tables counts while they stay the same, in milliseconds: entries expire. */
const TABLES_MS = 1000

/** Bytes of keys and values, and how many of them nobody reads without a snapshot. */
interface Bytes {
  readonly all: number
  readonly hidden: number
}

export class HiddenGarbage {
  readonly #tree: LsmTree
  readonly #runtime: Runtime
  #tables: Bytes = { all: 0, hidden: 0 }
  #version: ReadView['version'] | undefined
  #lookedAt = 0

  constructor(tree: LsmTree, runtime: Runtime) {
    this.#tree = tree
    this.#runtime = runtime
  }

  /** Estimates the hidden part of everything in the tree, 0 to 1. Lets the event loop turn meanwhile. */
  async share(): Promise<number> {
    const view = this.#tree.acquireView()
    try {
      const slice = new TimeSlice(this.#runtime, 2)
      let { all, hidden } = await this.#inTables(view, slice)
      for (const [i, memtable] of view.memtables.entries()) {
        if (memtable.count === 0) continue
        const older = this.#tree.entries({ ...view, memtables: view.memtables.slice(i + 1) })
        const found = await this.#inMemtable(memtable, older, slice)
        all += found.all
        hidden += found.hidden
      }
      return all === 0 ? 0 : Math.min(1, hidden / all)
    } finally {
      view.release()
    }
  }

  /** Entries of tables that are hidden by others of tables. */
  async #inTables(view: ReadView, slice: TimeSlice): Promise<Bytes> {
    const { version } = view
    const now = this.#runtime.monotonic()
    if (version === this.#version && now < this.#lookedAt + TABLES_MS) return this.#tables
    let entries = 0
    const room = new KeyRoom()
    for (const table of version.tables()) {
      entries += table.entries
      room.observe(table.smallestKey)
      room.observe(table.largestKey)
    }
    const tally = new Tally(this.#seconds())
    if (entries > 0) {
      const cursor = this.#tree.entries({ ...view, memtables: [] })
      cursor.first()
      if (entries <= WHOLE_TABLES) await this.#walkAll(cursor, tally, slice)
      else await this.#walkStretches(cursor, tally, room, slice)
    }
    this.#tables = tally.bytes(entries)
    this.#version = version
    this.#lookedAt = now
    return this.#tables
  }

  /** Entries of a memtable that are hidden by others of it, and those of what is `older` that it hides. */
  async #inMemtable(memtable: ReadView['memtables'][number], older: EntryCursor, slice: TimeSlice): Promise<Bytes> {
    const { count } = memtable
    const cursor = memtable.cursor()
    const tally = new Tally(this.#seconds())
    cursor.first()
    if (count <= WHOLE_MEMTABLE) await this.#walkAll(cursor, tally, slice)
    else {
      const room = new KeyRoom()
      room.observe(keyOf(cursor))
      cursor.last()
      room.observe(keyOf(cursor))
      await this.#walkStretches(cursor, tally, room, slice)
    }
    let before = 0
    for (const key of tally.someKeys) {
      older.seek(key, MAX_SEQUENCE)
      if (older.valid && isAt(older, key, key.length) && baseKind(older.kind) !== KIND_TOMBSTONE) before += lengthOf(older)
      if (slice.due()) await slice.pause()
    }
    const { all, hidden } = tally.bytes(count)
    return { all, hidden: hidden + (before / Math.max(1, tally.someKeys.length)) * tally.keys * (count / Math.max(1, tally.entries)) }
  }

  async #walkAll(cursor: EntryCursor, tally: Tally, slice: TimeSlice): Promise<void> {
    for (const _ of tally.walkSteps(cursor)) if (slice.due()) await slice.pause()
  }

  async #walkStretches(cursor: EntryCursor, tally: Tally, room: KeyRoom, slice: TimeSlice): Promise<void> {
    for (let stretch = 0; stretch < STRETCHES; stretch++) {
      cursor.seek(room.draw(this.#runtime), MAX_SEQUENCE)
      if (!cursor.valid) cursor.first()
      tally.walkStretch(cursor, room)
      if (slice.due()) await slice.pause()
    }
  }

  #seconds(): number {
    return Math.floor(this.#runtime.now() / 1000)
  }
}

/** Counts bytes of entries that are read and of those that are hidden. */
class Tally {
  entries = 0
  keys = 0
  /** Some of the keys, evenly chosen; all of them up to {@link SOUGHT}. */
  someKeys: Uint8Array[] = []
  readonly #now: number
  #every = 1
  #all = 0
  #hidden = 0
  #key = new Uint8Array(64)
  #keyLength = -1

  constructor(now: number) {
    this.#now = now
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
  bytes(entries: number): Bytes {
    const scale = entries / Math.max(1, this.entries)
    return { all: this.#all * scale, hidden: this.#hidden * scale }
  }

  #begin({ keyBytes, keyStart, keyEnd }: EntryCursor): void {
    this.#end()
    this.#keyLength = keyEnd - keyStart
    if (this.#key.length < this.#keyLength) this.#key = new Uint8Array(2 * this.#keyLength)
    for (let i = 0; i < this.#keyLength; i++) this.#key[i] = keyBytes[keyStart + i]!
  }

  /** Notes the key that was counted last, if its turn has come. */
  #end(): void {
    if (this.#keyLength < 0 || this.keys++ % this.#every > 0) return
    this.someKeys.push(this.#key.slice(0, this.#keyLength))
    if (this.someKeys.length < 2 * SOUGHT) return
    this.someKeys = this.someKeys.filter((_, i) => i % 2 === 0)
    this.#every *= 2
  }

  /** Whether the cursor is still at the key of the entry counted last. */
  #isAtKey(cursor: EntryCursor): boolean {
    return isAt(cursor, this.#key, this.#keyLength)
  }

  /** Counts an entry. `isOlder`: another version of the same key came before. */
  #take(cursor: EntryCursor, isOlder: boolean): void {
    if (!isOlder) this.#begin(cursor)
    const { kind, valueBytes, valueStart, valueEnd } = cursor
    this.entries++
    if (baseKind(kind) === KIND_TOMBSTONE) return
    const length = lengthOf(cursor)
    const expiresAt = readExpiresAt(kind, valueBytes, valueStart, valueEnd)
    this.#all += length
    if (isOlder || (expiresAt !== 0 && expiresAt <= this.#now)) this.#hidden += length
  }
}

function isAt({ keyBytes, keyStart, keyEnd }: EntryCursor, key: Uint8Array, length: number): boolean {
  if (length !== keyEnd - keyStart) return false
  for (let i = length - 1; i >= 0; i--) if (keyBytes[keyStart + i] !== key[i]) return false
  return true
}

/** Bytes of key and value that an entry stands for, about. */
function lengthOf({ kind, keyStart, keyEnd, valueBytes, valueStart, valueEnd }: EntryCursor): number {
  return baseKind(kind) === KIND_POINTER ? readPointerLen(valueBytes, valueStart) : keyEnd - keyStart + valueEnd - valueStart
}

function keyOf({ keyBytes, keyStart, keyEnd }: EntryCursor): Uint8Array {
  return copyBytes(keyBytes, keyStart, keyEnd)
}
