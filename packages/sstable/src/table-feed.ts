/**
 * The blocks of tables one after the other, for a merge: each read once, into the same memory.
 */
import type { Block } from './block-reader.js'
import type { ReadMemory } from './block-source.js'
import type { TableReader } from './table-reader.js'

export class TableFeed {
  readonly #nextTable: () => TableReader | undefined
  readonly #memory: ReadMemory = { bytes: new Uint8Array(0) }
  #table: TableReader | undefined
  /** Index of the next block in the table. */
  #next = 0
  /** The block that was read last. */
  #block: Block | undefined

  /** @param nextTable opens the tables, in order of their keys, each when the one before has been walked */
  constructor(nextTable: () => TableReader | undefined) {
    this.#nextTable = nextTable
  }

  /** The block whose entries are being merged; it names file and offset. */
  get place(): Block | undefined {
    return this.#block
  }

  /** The next block; `undefined` behind the last one of the last table. Good until the next call. */
  next(): Block | undefined {
    while (this.#table === undefined || this.#next === this.#table.dataBlocks) {
      this.#table = this.#nextTable()
      if (this.#table === undefined) return undefined
      this.#next = 0
    }
    this.#block = this.#table.readBlock(this.#next++, undefined, this.#memory)
    return this.#block
  }
}
