/**
 * What is left of a damaged table: every data block that still verifies, found by the index, or without it by trying lengths.
 *
 * Reads everything once when it is made, in time slices, and keeps places only. Entries come in order, each from a block whose checksum,
 * structure and order are right. What does not verify is a {@link TableLoss}, with the keys between which the lost
 * entries lie. Nothing else is thrown for damage. Slow paths are bounded: a search for the next block gives up after some
 * multiple of the table's size, and what it did not look at is lost.
 */
import { CorruptionError, NotSupportedError, KIND_POINTER, KIND_TOMBSTONE, POINTER_LENGTH, baseKind, compareInternal, crc32cRange, invariant, isKind, placeSeed, readU32, throwIfAborted } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { File, Runtime } from '@wk/fs'
import { BlockCursor } from './block-cursor.js'
import { Block } from './block-reader.js'
import { BlockSource } from './block-source.js'
import { BLOCK_TRAILER_LENGTH, COMPRESSION_LZ4, COMPRESSION_NONE, FOOTER_LENGTH } from './format.js'
import type { BlockHandle } from './format.js'
import { TableReader } from './table-reader.js'

/** A stretch of a table that does not verify, and the keys between which its entries were: both ends included, absent where there is no bound. */
export interface TableLoss {
  offset: number
  length: number
  message: string
  fromKey: Uint8Array | undefined
  toKey: Uint8Array | undefined
}

/** Longest block that is looked for without an index. */
const MAX_SEARCHED_BLOCK = 1 << 20
/** Bytes that the search may run checksums over: so much for each byte of the table, and an allowance. */
const SEARCH_EFFORT = 16
const SEARCH_ALLOWANCE = 64 << 20
/** Lengths tried between two steps: a millisecond or two. */
const SEARCH_STEP = 1 << 14

export class SalvagedTable {
  readonly number: number
  readonly losses: TableLoss[] = []
  /** Entries in the sound blocks. */
  entries = 0
  readonly #source: BlockSource
  readonly #blocks: BlockHandle[] = []
  readonly #cursor = new BlockCursor()
  /** Last entry of the sound blocks so far. */
  #last: Uint8Array | undefined
  #lastSequence = 0

  private constructor(file: File, number: number, size: number) {
    this.number = number
    this.#source = new BlockSource(file, number, size)
  }

  /**
   * Reads a table; `size` is that of the file, which stays the caller's, and open as long as the result is used. Throws what reading throws, and
   * `AbortedError`, never for damage.
   */
  static async read(file: File, number: number, size: number, runtime: Runtime, signal?: AbortSignal): Promise<SalvagedTable> {
    const table = new SalvagedTable(file, number, size)
    const slice = new TimeSlice(runtime)
    for (const steps = table.#steps(file, size); steps.next().done !== true; ) {
      if (!slice.due()) continue
      throwIfAborted(signal)
      await slice.pause()
    }
    return table
  }

  /** Reads the table, with a step after each block, and more while it looks for one. */
  *#steps(file: File, size: number): Generator<undefined, void, void> {
    const handles = this.#indexedBlocks(file, size)
    if (handles === undefined) {
      yield* this.#search(size)
      return
    }
    for (const handle of handles) {
      this.#take(handle, size)
      yield
    }
  }

  /** A cursor over what is left: `first` and `next` only. */
  cursor(): EntryCursor {
    return new SalvagedCursor(this.#source, this.#blocks)
  }

  /** Where the data blocks lie, if index, properties and filter say so. */
  #indexedBlocks(file: File, size: number): BlockHandle[] | undefined {
    try {
      const table = TableReader.openSync(file, this.number, size)
      return Array.from({ length: table.dataBlocks }, (_, block) => table.blockHandle(block))
    } catch (error) {
      this.#loss(Math.max(0, size - FOOTER_LENGTH), Math.min(size, FOOTER_LENGTH), error, false)
      return undefined
    }
  }

  /** Adds a block if it is sound; else notes the loss. */
  #take(handle: BlockHandle, size: number): void {
    try {
      this.#accept(handle)
    } catch (error) {
      this.#loss(handle.offset, Math.min(size - handle.offset, handle.length + BLOCK_TRAILER_LENGTH), error, true)
    }
  }

  /** Adds a block. @throws CorruptionError if it is not sound, or not behind the one before */
  #accept(handle: BlockHandle): void {
    const { bytes, length } = this.#source.readBlock(handle, true)
    const cursor = this.#cursor
    cursor.reset(new Block(bytes, length, this.number, handle.offset))
    let last = this.#last
    let lastSequence = this.#lastSequence
    let first: Uint8Array | undefined
    let entries = 0
    for (cursor.first(); cursor.valid; cursor.next()) {
      const { keyBytes, keyEnd, sequence, kind, valueStart, valueEnd } = cursor
      const payload = valueEnd - valueStart
      const isEntry = isKind(kind) && (baseKind(kind) !== KIND_TOMBSTONE || payload === 0) && (baseKind(kind) !== KIND_POINTER || payload >= POINTER_LENGTH)
      if (!isEntry || (last !== undefined && compareInternal(last, 0, last.length, lastSequence, keyBytes, 0, keyEnd, sequence) >= 0)) {
        throw new CorruptionError('no block of entries', { offset: handle.offset })
      }
      last = keyBytes.slice(0, keyEnd)
      lastSequence = sequence
      first ??= last
      entries++
    }
    invariant(first !== undefined, 'a block has an entry')
    // What was lost right before lies at or before this block's first key.
    for (const loss of this.losses) if (loss.toKey === undefined && loss.offset < handle.offset) loss.toKey = first
    this.#last = last
    this.#lastSequence = lastSequence
    this.#blocks.push(handle)
    this.entries += entries
  }

  #loss(offset: number, length: number, error: unknown, hasData: boolean): void {
    if (!(error instanceof CorruptionError)) throw error
    // Footer, index, filter: nothing of the data is lost with them.
    if (!hasData) return
    const before = this.losses.at(-1)
    if (before !== undefined && before.offset + before.length === offset && before.toKey === undefined) before.length += length
    else this.losses.push({ offset, length, message: error.message, fromKey: this.#last, toKey: undefined })
  }

  /** Finds blocks by their checksums, from the start on, up to the first one that holds no entries: the reference block. */
  *#search(size: number): Generator<undefined, void, void> {
    const bytes = this.#source.readBytes(0, size)
    let effort = SEARCH_EFFORT * size + SEARCH_ALLOWANCE
    let lostFrom = -1
    let at = 0
    const endLoss = (): void => {
      if (lostFrom >= 0) this.#loss(lostFrom, at - lostFrom, new CorruptionError('no block that verifies'), true)
      lostFrom = -1
    }
    while (at < size) {
      const length = mayBeBlock(bytes, at) ? yield* findLength(bytes, at, this.number) : -1
      if (length === -1) {
        if (lostFrom < 0) lostFrom = at
        effort -= Math.min(MAX_SEARCHED_BLOCK, size - at)
        at = effort > 0 ? at + 1 : size
        continue
      }
      endLoss()
      try {
        this.#accept({ offset: at, length })
      } catch (error) {
        if (error instanceof CorruptionError) return
        throw error
      }
      at += length + BLOCK_TRAILER_LENGTH
    }
    endLoss()
  }
}

/** Walks the sound blocks. */
class SalvagedCursor implements EntryCursor {
  readonly keyStart = 0
  readonly #inner = new BlockCursor()
  readonly #source: BlockSource
  readonly #blocks: readonly BlockHandle[]
  #at = 0

  constructor(source: BlockSource, blocks: readonly BlockHandle[]) {
    this.#source = source
    this.#blocks = blocks
  }

  get valid(): boolean {
    return this.#inner.valid
  }

  get keyBytes(): Uint8Array {
    return this.#inner.keyBytes
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
    this.#inner.valid = false
    this.#at = 0
    this.#enter()
  }

  next(): void {
    this.#inner.next()
    if (this.#inner.valid) return
    this.#at++
    this.#enter()
  }

  seek(): void {
    throw new NotSupportedError('a salvaged table is walked from its start')
  }

  seekReverse(): void {
    throw new NotSupportedError('a salvaged table is walked from its start')
  }

  last(): void {
    throw new NotSupportedError('a salvaged table is walked from its start')
  }

  prev(): void {
    throw new NotSupportedError('a salvaged table is walked from its start')
  }

  #enter(): void {
    const handle = this.#blocks[this.#at]
    if (handle === undefined) return
    const { bytes, length } = this.#source.readBlock(handle, true)
    this.#inner.reset(new Block(bytes, length, this.#source.number, handle.offset))
    this.#inner.first()
  }
}

/** Cheap: could the first bytes of a block, or of a compressed one, lie here? */
function mayBeBlock(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at]
  // An entry that shares nothing, or a length below 16 MiB.
  return first === 0 || (bytes[at + 3] ?? 0) <= 1
}

/** Length of the contents of the block that begins at `at`; -1 if no length verifies. With a step now and then. */
function* findLength(bytes: Uint8Array, at: number, number: number): Generator<undefined, number, void> {
  let sum = placeSeed(number, at)
  const last = Math.min(bytes.length - 4, at + MAX_SEARCHED_BLOCK)
  for (let end = at; end < last; end++) {
    if ((end - at) % SEARCH_STEP === 0) yield
    // `end` is where the compression type would be, behind the contents.
    const type = bytes[end]
    sum = crc32cRange(bytes, end, end + 1, sum)
    if (end - at < 8 || (type !== COMPRESSION_NONE && type !== COMPRESSION_LZ4)) continue
    if (readU32(bytes, end + 1) === sum) return end - at
  }
  return -1
}
