/**
 * Cursor over a table: the index leads to blocks, a block cursor walks inside them.
 *
 * Guarantees: no allocation an entry; the block it stands in stays good even when the cache drops it. Damage found on the way
 * is `CorruptionError`; the cursor is then beside all entries. Merges take a `TableMerge`.
 */
import { checkArgument, compareRanges } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import { BlockCursor } from './block-cursor.js'
import type { TableReader } from './table-reader.js'

export class TableCursor implements EntryCursor {
  readonly #table: TableReader
  readonly #inner = new BlockCursor()
  /** Block the inner cursor is in, or -1. */
  #block = -1

  constructor(table: TableReader) {
    this.#table = table
  }

  get valid(): boolean {
    return this.#inner.valid
  }

  get keyBytes(): Uint8Array {
    return this.#inner.keyBytes
  }

  get keyStart(): number {
    return 0
  }

  get keyEnd(): number {
    return this.#inner.keyEnd
  }

  get sequence(): number {
    return this.#inner.sequence
  }

  get kind(): number {
    return this.#inner.kind
  }

  get valueBytes(): Uint8Array {
    return this.#inner.valueBytes
  }

  get valueStart(): number {
    return this.#inner.valueStart
  }

  get valueEnd(): number {
    return this.#inner.valueEnd
  }

  first(): void {
    this.#enter(0)
    this.#inner.first()
  }

  last(): void {
    this.#enter(this.#table.dataBlocks - 1)
    this.#inner.last()
  }

  seek(userKey: Uint8Array, sequence: number): void {
    const block = this.#table.findBlock(userKey, sequence)
    if (block === this.#table.dataBlocks) {
      this.#inner.valid = false
      return
    }
    this.#enter(block)
    this.#inner.seek(userKey, sequence)
    if (!this.#inner.valid) this.#nextBlock()
  }

  seekReverse(userKey: Uint8Array, sequence: number): void {
    this.seek(userKey, sequence)
    if (!this.valid) {
      this.last()
      return
    }
    const inner = this.#inner
    const isKey = compareRanges(inner.keyBytes, 0, inner.keyEnd, userKey, 0, userKey.length) === 0
    if (!isKey || inner.sequence !== sequence) this.prev()
  }

  next(): void {
    const inner = this.#inner
    checkArgument(inner.valid, 'a cursor at an entry')
    inner.next()
    if (!inner.valid) this.#nextBlock()
  }

  prev(): void {
    const inner = this.#inner
    checkArgument(inner.valid, 'a cursor at an entry')
    inner.prev()
    if (inner.valid || this.#block === 0) return
    this.#enter(this.#block - 1)
    inner.last()
  }

  #nextBlock(): void {
    if (this.#block + 1 === this.#table.dataBlocks) return
    this.#enter(this.#block + 1)
    this.#inner.first()
  }

  #enter(block: number): void {
    this.#inner.valid = false
    if (this.#block === block) return
    this.#block = -1
    this.#inner.reset(this.#table.block(block))
    this.#block = block
  }
}
