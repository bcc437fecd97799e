/**
 * Walks tables once from the first entry to the last, as compactions do: a block after the other, a table after the other.
 *
 * What a cursor does beside that (going back, seeking, blocks that others read too) costs a merge more than its entries, so
 * this one does nothing else: the entry lies in plain fields, blocks are read into one memory of its own, and nothing is
 * allocated an entry. Damage found on the way is `CorruptionError`; the scan is then beside all entries.
 *
 * Between two entries of other sources mostly lie several of one table, which a merge has nothing to say about: runs
 * (`beginRun`, `nextOfRun`), which `TableWriter.addRun` copies.
 */
import {
  KIND_POINTER,
  KIND_VALUE,
  POINTER_LENGTH,
  TRAILER_LENGTH,
  commonPrefixLength,
  formatFileName,
  invariant,
  readTrailerKind,
  readTrailerSequence,
} from '@wk/codec'
import type { EntryPlace, EntryScan, KeyView } from '@wk/codec'
import { SHORT_HEADER } from './block-reader.js'
import type { Block } from './block-reader.js'
import type { ReadMemory } from './block-source.js'
import { copyKey, withRoom } from './key-buffer.js'
import type { TableReader } from './table-reader.js'

const NOTHING = new Uint8Array(0)

export class TableScan implements EntryScan {
  valid = false
  keyBytes: Uint8Array = new Uint8Array(64)
  readonly keyStart = 0
  keyEnd = 0
  sequence = 0
  kind = 0
  valueBytes: Uint8Array = NOTHING
  valueStart = 0
  valueEnd = 0
  /** Of an entry that {@link nextOfRun} came to: where it begins in its block, and leading key bytes that it has in common with the one before. */
  entryStart = 0
  shared = 0
  /** Whether it says so itself: at a restart point it does not. */
  isEncodedShared = false
  readonly #nextTable: () => TableReader | undefined
  readonly #memory: ReadMemory = { bytes: NOTHING }
  #table: TableReader | undefined
  #block: Block | undefined
  /** Index of the block in the table. */
  #blockIndex = -1
  #entriesEnd = 0
  /** The restart point that comes next, and its offset; behind the entries after the last one. */
  #restart = 0
  #restartAt = 0
  /** Where the run ends at the latest, and leading bytes that its key has in common with the current one. */
  #limit: KeyView | undefined
  #limitShared = 0

  /** @param nextTable opens the tables, in order of their keys, each when the one before has been walked */
  constructor(nextTable: () => TableReader | undefined) {
    this.#nextTable = nextTable
  }

  get place(): EntryPlace | undefined {
    const block = this.#block
    return block === undefined ? undefined : { file: formatFileName('table', block.table), offset: block.offset }
  }

  /** To the first entry of the first table. Once. */
  first(): void {
    invariant(this.#block === undefined && !this.valid, 'a scan begins once')
    this.#enterTable()
  }

  next(): void {
    invariant(this.valid, 'a scan at an entry')
    if (this.valueEnd < this.#entriesEnd) this.#read(this.valueEnd)
    else this.#nextBlock()
  }

  /** A run begins behind the current entry. `limit`: the key before which it ends, that of the next entry of the other sources, which does not move meanwhile; `undefined`: there is none. */
  beginRun(limit: KeyView | undefined): void {
    this.#limit = limit
    if (limit === undefined) return
    this.#limitShared = commonPrefixLength(this.keyBytes, 0, this.keyEnd, limit.keyBytes, limit.keyStart, limit.keyEnd)
  }

  /**
   * To the next entry, if it is one of the run: in the same block, of the next key and before the limit, a value or pointer without attributes. Else
   * it returns false and stays where it is; whatever the reason, `next` finds it.
   *
   * Keys are compared from where they differ from the one before: one that shares more with its predecessor than that
   * did with the limit is before the limit as well, one that shares less is behind it.
   */
  nextOfRun(): boolean {
    const at = this.valueEnd
    const bytes = this.valueBytes
    if (at >= this.#entriesEnd) return false
    let shared = bytes[at]!
    const unshared = bytes[at + 1]!
    const payload = bytes[at + 2]!
    if ((shared | unshared | payload) >= 0x80) return false
    const keyStart = at + SHORT_HEADER
    const valueStart = keyStart + unshared
    const valueEnd = valueStart + payload
    const kind = bytes[keyStart - 1]!
    if (valueEnd > this.#entriesEnd || (kind === KIND_POINTER ? payload !== POINTER_LENGTH : kind !== KIND_VALUE)) return false
    const isRestart = at >= this.#restartAt
    if (isRestart && (at > this.#restartAt || shared !== 0)) return false
    const key = this.keyBytes
    const lastEnd = this.keyEnd
    const keyEnd = shared + unshared
    if (shared > lastEnd || keyEnd > key.length) return false
    const own = keyStart - shared
    while (shared < keyEnd && shared < lastEnd && bytes[own + shared] === key[shared]) shared++
    if (shared === keyEnd || (shared < lastEnd && bytes[own + shared]! < key[shared]!)) return false
    if (this.#limit !== undefined && !this.#isBeforeLimit(this.#limit, own, shared, keyEnd)) return false
    if (isRestart) {
      this.valid = false
      this.#passRestart()
      this.valid = true
    }
    for (let i = shared; i < keyEnd; i++) key[i] = bytes[own + i]!
    this.entryStart = at
    this.isEncodedShared = shared === bytes[at]
    this.shared = shared
    this.keyEnd = keyEnd
    this.sequence = readTrailerSequence(bytes, keyStart - TRAILER_LENGTH)
    this.kind = kind
    this.valueStart = valueStart
    this.valueEnd = valueEnd
    return true
  }

  /** Whether the key, `keyEnd` bytes that follow `own` in the block from `shared` on, is before the limit, as the current one is. */
  #isBeforeLimit({ keyBytes, keyStart, keyEnd: limitEnd }: KeyView, own: number, shared: number, keyEnd: number): boolean {
    if (shared !== this.#limitShared) return shared > this.#limitShared
    const bytes = this.valueBytes
    const length = limitEnd - keyStart
    let matched = shared
    while (matched < keyEnd && matched < length && bytes[own + matched] === keyBytes[keyStart + matched]) matched++
    if (matched === length || (matched < keyEnd && bytes[own + matched]! > keyBytes[keyStart + matched]!)) return false
    this.#limitShared = matched
    return true
  }

  #enterTable(): void {
    this.valid = false
    this.#table = this.#nextTable()
    this.#blockIndex = -1
    if (this.#table !== undefined) this.#nextBlock()
  }

  #nextBlock(): void {
    const table = this.#table
    this.valid = false
    invariant(table !== undefined, 'a scan in a table')
    this.#blockIndex++
    if (this.#blockIndex === table.dataBlocks) {
      this.#enterTable()
      return
    }
    const block = table.readBlock(this.#blockIndex, undefined, this.#memory)
    this.#block = block
    this.valueBytes = block.bytes
    this.#entriesEnd = block.entriesEnd
    this.#restart = 0
    this.#restartAt = block.restart(0)
    this.keyEnd = 0
    this.#read(0)
  }

  /** Decodes the entry at `at`, which follows the current one, or is the first of its block. */
  #read(at: number): void {
    // Until the entry turned out to be whole.
    this.valid = false
    const bytes = this.valueBytes
    let shared = bytes[at]!
    let unshared = bytes[at + 1]!
    let payload = bytes[at + 2]!
    let keyStart = at + SHORT_HEADER
    if ((shared | unshared | payload) >= 0x80) {
      const block = this.#readLong(at)
      shared = block.shared
      unshared = block.unshared
      keyStart = block.keyStart
      payload = block.valueEnd - block.valueStart
    }
    const valueStart = keyStart + unshared
    const valueEnd = valueStart + payload
    if (valueEnd > this.#entriesEnd) throw this.#open().damage('entry longer than its block')
    if (at >= this.#restartAt) {
      if (at > this.#restartAt) throw this.#open().damage('restart point inside an entry')
      if (shared !== 0) throw this.#open().damage('restart point with a shared prefix')
      this.#passRestart()
    }
    if (shared > this.keyEnd) throw this.#open().damage('entry that shares more than there is')
    const keyEnd = shared + unshared
    this.keyBytes = withRoom(this.keyBytes, shared, keyEnd)
    copyKey(bytes, keyStart, this.keyBytes, shared, unshared)
    this.keyEnd = keyEnd
    this.sequence = readTrailerSequence(bytes, keyStart - TRAILER_LENGTH)
    this.kind = readTrailerKind(bytes, keyStart - TRAILER_LENGTH)
    this.valueStart = valueStart
    this.valueEnd = valueEnd
    this.valid = true
  }

  #readLong(at: number): Block {
    const block = this.#open()
    block.read(at)
    return block
  }

  #passRestart(): void {
    const block = this.#open()
    this.#restart++
    this.#restartAt = this.#restart < block.restartCount ? block.restart(this.#restart) : Infinity
  }

  #open(): Block {
    const block = this.#block
    invariant(block !== undefined, 'a scan in a block')
    return block
  }
}
