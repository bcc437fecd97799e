/**
 * Entries that an iterator fetched ahead and has not handed out: keys from the tree in order, then their values in one batch.
 */
import { copyBytes } from '@wk/codec'
import { ValueBatch } from '@wk/vlog'
import type { BatchReading } from '@wk/vlog'
import type { EntryReader } from './entry-reader.js'
import type { IteratorMode, WalkedCursor } from './iterator.js'

/** @typeParam T what the iterator yields in its mode */
export class EntryWindow<T> {
  readonly #mode: IteratorMode
  readonly #keys: Uint8Array[] = []
  readonly #batch = new ValueBatch()
  #at = 0
  /** Bytes of all entries, as far as they were known before the values were read. */
  #expected = 0
  #isFull = false
  #reading: BatchReading | undefined
  #isShared = false

  constructor(mode: IteratorMode) {
    this.#mode = mode
  }

  /** Entries that were not taken. */
  get left(): number {
    return this.#keys.length - this.#at
  }

  /** Whether another thread helped to read it. */
  get isShared(): boolean {
    return this.#isShared
  }

  /** Whether it has as many bytes as it was to have, some of them in the value log. */
  get isFull(): boolean {
    return this.#isFull
  }

  /** Key of the next entry; requires that there is one. Not a copy. */
  get key(): Uint8Array {
    return this.#keys[this.#at] as Uint8Array
  }

  /** Bytes of the next entry, key and value; requires that there is one. */
  get bytes(): number {
    return this.key.length + (this.#batch.values[this.#at]?.length ?? 0)
  }

  /** How many times as long the entries are as they were expected to be, once their values were read: some are stored compressed. */
  get inflation(): number {
    if (this.#batch.count === 0) return 1
    let bytes = 0
    for (let at = 0; at < this.#keys.length; at++) bytes += (this.#keys[at] as Uint8Array).length + (this.#batch.values[at]?.length ?? 0)
    return Math.max(1, bytes / Math.max(1, this.#expected))
  }

  /** Moves the cursor over up to `most` entries, or until they reach `bytes`. Reads no value. Throws as the cursor does; what came before is in the window then. */
  collect(cursor: WalkedCursor, reader: EntryReader, most: number, bytes: number): void {
    const keys = this.#keys
    const batch = this.#batch
    const isKeys = this.#mode === 'keys'
    let sum = 0
    try {
      for (; keys.length < most && sum < bytes && cursor.valid; cursor.next()) {
        const key = copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd)
        sum += key.length
        if (!isKeys) sum += reader.collect(cursor, key, batch, keys.length)
        keys.push(key)
      }
    } finally {
      // What was collected before a failure is good.
      this.#expected = sum
      this.#isFull = sum >= bytes && batch.count > 0
    }
  }

  /** Begins to read the values, as far as another thread or the thread pool does it. */
  begin(reader: EntryReader): void {
    const reading = reader.beginBatch(this.#batch)
    const isBegun = reading?.beginLong() === true || reading?.isShared === true
    if (isBegun) this.#reading = reading
  }

  /** Reads the values; `undefined` if they are there already. */
  read(reader: EntryReader): Promise<void> | undefined {
    const reading = this.#reading ?? reader.beginBatch(this.#batch)
    this.#reading = undefined
    this.#isShared = reading?.isShared === true
    return reading?.finish()
  }

  /** Gives up a window that was not read. Resolves when nothing of it is being read any more; `undefined` if nothing is. */
  drop(): Promise<void> | undefined {
    const dropped = this.#reading?.cancel()
    this.#reading = undefined
    return dropped
  }

  /** The next entry; requires that there is one, and that its value was read. */
  take(): T {
    const at = this.#at++
    const key = this.#keys[at]
    if (this.#mode === 'keys') return key as T
    const value = this.#batch.values[at]
    return (this.#mode === 'values' ? value : [key, value]) as T
  }
}
