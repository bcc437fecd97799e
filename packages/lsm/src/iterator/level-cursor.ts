/**
 * Walks the tables of one sorted level (1 and below) as if they were one: opens a table only when it gets there.
 *
 * Requires tables that are sorted and disjoint in user keys. What opening costs, and for how long a table stays open,
 * is the opener's business; it must be able to open every table for as long as the cursor is used (a pinned version).
 */
import { compareBytes } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'

/** Opens a cursor over a table. */
export type TableOpener = (table: TableSummary) => EntryCursor

export class LevelCursor implements EntryCursor {
  readonly #tables: readonly TableSummary[]
  readonly #open: TableOpener
  /** Index of the table under the cursor. */
  #at = -1
  #current: EntryCursor | undefined
  #valid = false

  /** It starts beside all entries. */
  constructor(tables: readonly TableSummary[], open: TableOpener) {
    this.#tables = tables
    this.#open = open
  }

  get valid(): boolean {
    return this.#valid
  }

  get keyBytes(): Uint8Array {
    return this.#current!.keyBytes
  }

  get keyStart(): number {
    return this.#current!.keyStart
  }

  get keyEnd(): number {
    return this.#current!.keyEnd
  }

  get sequence(): number {
    return this.#current!.sequence
  }

  get kind(): number {
    return this.#current!.kind
  }

  get valueBytes(): Uint8Array {
    return this.#current!.valueBytes
  }

  get valueStart(): number {
    return this.#current!.valueStart
  }

  get valueEnd(): number {
    return this.#current!.valueEnd
  }

  first(): void {
    if (this.#moveTo(0)) this.#current!.first()
    this.#settleForward()
  }

  last(): void {
    if (this.#moveTo(this.#tables.length - 1)) this.#current!.last()
    this.#settleBackward()
  }

  seek(userKey: Uint8Array, sequence: number): void {
    if (this.#moveTo(this.#firstEndingAtOrAfter(userKey))) this.#current!.seek(userKey, sequence)
    this.#settleForward()
  }

  seekReverse(userKey: Uint8Array, sequence: number): void {
    let at = this.#firstEndingAtOrAfter(userKey)
    const table = this.#tables[at]
    if (table === undefined || compareBytes(table.smallestKey, userKey) > 0) at--
    if (this.#moveTo(at)) this.#current!.seekReverse(userKey, sequence)
    this.#settleBackward()
  }

  next(): void {
    this.#current!.next()
    this.#settleForward()
  }

  prev(): void {
    this.#current!.prev()
    this.#settleBackward()
  }

  /** Makes the table at index `at` the current one; false if there is none. */
  #moveTo(at: number): boolean {
    if (at === this.#at && this.#current !== undefined) return true
    const table = this.#tables[at]
    // Opening may fail: the table before must not be taken for this one.
    this.#current = undefined
    this.#at = at
    this.#current = table === undefined ? undefined : this.#open(table)
    return table !== undefined
  }

  #settleForward(): void {
    while (this.#current !== undefined && !this.#current.valid) {
      if (this.#moveTo(this.#at + 1)) this.#current.first()
    }
    this.#valid = this.#current !== undefined
  }

  #settleBackward(): void {
    while (this.#current !== undefined && !this.#current.valid) {
      if (this.#moveTo(this.#at - 1)) this.#current.last()
    }
    this.#valid = this.#current !== undefined
  }

  #firstEndingAtOrAfter(userKey: Uint8Array): number {
    let low = 0
    let high = this.#tables.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareBytes(this.#tables[middle]!.largestKey, userKey) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
