/**
 * Entries in memory, in any order of arrival, for a merge: as many memtables as it takes.
 */
import type { EntryCursor } from '@wk/codec'
import { Memtable } from '@wk/memtable'

/** Smallest arena. */
const CAPACITY = 256 * 1024

export class GatheredEntries {
  readonly #memtables: Memtable[] = []

  /** Makes room: the next `operations` adds, of keys and payloads of `bytes` bytes in all, go to one memtable. */
  prepare(operations: number, bytes: number): void {
    if (this.#memtables.at(-1)?.hasRoomFor(operations, bytes) === true) return
    this.#memtables.push(new Memtable({ capacity: Math.max(CAPACITY, Memtable.capacityFor(operations, bytes)) }))
  }

  /** Adds an entry; requires room, and that there is none of this key and sequence number. */
  add(key: Uint8Array, sequence: number, kind: number, payload: Uint8Array): void {
    this.#memtables.at(-1)?.add(key, sequence, kind, payload)
  }

  /** One for each memtable. */
  cursors(): EntryCursor[] {
    return this.#memtables.map((memtable) => memtable.cursor())
  }
}
