/**
 * Hidden garbage, estimated by looking: what part of the referenced bytes belongs to entries that a newer entry of the
 * same key shadows, that are deleted, or that expired. No compaction has met them yet, so every sum still counts them.
 *
 * A memtable with nothing below it, none of whose entries may expire, knows. Another one is walked, unless it is large, and for some of
 * its keys the entry before is sought: a key that is written often counts as often. Keys of long entries are sought before others, for one of them may hide more than a thousand short ones. Of
 * tables, unless there is little in them, and of large memtables, stretches of neighbouring entries at random places are looked
 * at; of tables only when they have changed. The result steers when compactions run and how writers are slowed; nothing else
 * depends on it.
 */
import { MAX_SEQUENCE } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { Runtime } from '@wk/fs'
import type { LsmTree, ReadView } from '@wk/lsm'
import { EntryTally, isAt, keyOf, lengthOf } from './entry-tally.js'
import type { TalliedBytes } from './entry-tally.js'
import { KeyRoom } from './key-room.js'

/** Stretches of neighbouring keys that are looked at, each at a random place. */
const STRETCHES = 40
/** Entries up to which all tables, or a memtable, are walked whole: two milliseconds. */
const WHOLE = 8192
/** How long what was seen of tables counts while they stay the same, in milliseconds: entries expire. */
const TABLES_MS = 1000

export class HiddenGarbage {
  readonly #tree: LsmTree
  readonly #runtime: Runtime
  #tables: TalliedBytes = { all: 0, hidden: 0, entries: 0 }
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
      let { all, hidden, entries } = await this.#inTables(view, slice)
      const memtables = view.memtables.filter(({ count }) => count > 0)
      for (const [i, memtable] of memtables.entries()) {
        const below = memtables.slice(i + 1)
        const knows = below.length === 0 && view.version.levels.every((tables) => tables.length === 0) && memtable.attributed === 0
        const found = knows
          ? { all: memtable.entryBytes, hidden: memtable.shadowedBytes, entries: memtable.count }
          : await this.#inMemtable(memtable, this.#tree.entries({ ...view, memtables: below }), all / Math.max(1, entries), slice)
        all += found.all
        hidden += found.hidden
        entries += found.entries
      }
      return all === 0 ? 0 : Math.min(1, hidden / all)
    } finally {
      view.release()
    }
  }

  /** Entries of tables that are hidden by others of tables. */
  async #inTables(view: ReadView, slice: TimeSlice): Promise<TalliedBytes> {
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
    const tally = new EntryTally(this.#seconds(), 0)
    if (entries > 0) {
      const cursor = this.#tree.entries({ ...view, memtables: [] })
      cursor.first()
      if (entries <= WHOLE) await this.#walkAll(cursor, tally, slice)
      else await this.#walkStretches(cursor, tally, room, slice)
    }
    this.#tables = tally.bytes(entries)
    this.#version = version
    this.#lookedAt = now
    return this.#tables
  }

  /** Entries of a memtable that are hidden by others of it, and those of what is `older` that it hides. `mean`: bytes of an entry elsewhere. */
  async #inMemtable(memtable: ReadView['memtables'][number], older: EntryCursor, mean: number, slice: TimeSlice): Promise<TalliedBytes> {
    const { count } = memtable
    const cursor = memtable.cursor()
    const tally = new EntryTally(this.#seconds(), mean)
    cursor.first()
    if (count <= WHOLE) await this.#walkAll(cursor, tally, slice)
    else {
      const room = new KeyRoom()
      room.observe(keyOf(cursor))
      cursor.last()
      room.observe(keyOf(cursor))
      await this.#walkStretches(cursor, tally, room, slice)
    }
    let before = 0
    for (const sought of tally.sought) {
      const { key } = sought
      older.seek(key, MAX_SEQUENCE)
      if (older.valid && isAt(older, key, key.length)) before += lengthOf(older) * tally.keysFor(sought)
      if (slice.due()) await slice.pause()
    }
    const { all, hidden } = tally.bytes(count)
    return { all, hidden: hidden + before * (count / Math.max(1, tally.entries)), entries: count }
  }

  async #walkAll(cursor: EntryCursor, tally: EntryTally, slice: TimeSlice): Promise<void> {
    for (const _ of tally.walkSteps(cursor)) if (slice.due()) await slice.pause()
  }

  async #walkStretches(cursor: EntryCursor, tally: EntryTally, room: KeyRoom, slice: TimeSlice): Promise<void> {
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
