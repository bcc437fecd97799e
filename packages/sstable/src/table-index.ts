/**
 * The index of a table, held in memory while it is open: for each data block a key that separates it from the next one,
 * and its place.
 *
 * The index block is a block (`block-builder.ts`) with a restart point at every entry. Entry i has an internal key
 * at or after every entry of data block i and before every entry of block i + 1, and as its payload the length of block
 * i's contents (uvarint). Blocks follow each other from offset 0, so their offsets are sums.
 *
 * Memory: the block itself, which keeps the keys, and 16 bytes a data block.
 */
import { ByteReader, TRAILER_LENGTH, commonPrefixLength, compareRanges, readTrailerSequence } from '@wk/codec'
import type { Block } from './block-reader.js'
import { BLOCK_TRAILER_LENGTH, MAX_BLOCK_LENGTH } from './format.js'
import { comparePrefix, wordAt } from './key-words.js'

export class TableIndex {
  /** Number of data blocks. */
  readonly length: number
  readonly #bytes: Uint8Array
  readonly #keyStarts: Uint32Array
  readonly #keyEnds: Uint32Array
  /** Offset of each block, and of the byte after the last one. */
  readonly #offsets: Uint32Array
  /** Four bytes of each separator after the prefix that all have in common: decide nearly every comparison. */
  readonly #words: Int32Array
  readonly #prefixLength: number

  /** Throws `CorruptionError` unless the index is well-formed and its blocks end exactly at `end`. */
  constructor(block: Block, end: number) {
    const count = block.restartCount
    this.length = count
    this.#bytes = block.bytes
    this.#keyStarts = new Uint32Array(count)
    this.#keyEnds = new Uint32Array(count)
    this.#offsets = new Uint32Array(count + 1)
    this.#words = new Int32Array(count)
    const reader = new ByteReader(block.bytes, { end: block.entriesEnd })
    let expected = 0
    let offset = 0
    for (let i = 0; i < count; i++) {
      if (block.restart(i) !== expected) throw block.damage('index without a restart point at every entry')
      block.read(expected)
      expected = block.valueEnd
      reader.offset = block.valueStart
      const length = readLength(reader, block)
      if (block.shared !== 0 || reader.offset !== block.valueEnd) throw block.damage('malformed index entry')
      offset += length + BLOCK_TRAILER_LENGTH
      if (offset > end) throw block.damage('index names a block behind the data blocks')
      this.#keyStarts[i] = block.keyStart
      this.#keyEnds[i] = block.valueStart
      this.#offsets[i + 1] = offset
    }
    if (expected !== block.entriesEnd || offset !== end) throw block.damage('index does not cover the data blocks')
    this.#prefixLength = this.#commonPrefix()
    for (let i = 0; i < count; i++) {
      this.#words[i] = wordAt(block.bytes, (this.#keyStarts[i] as number) + this.#prefixLength, this.#keyEnds[i] as number)
    }
  }

  /** Bytes held in memory. */
  get memory(): number {
    return this.#bytes.byteLength + this.length * 16
  }

  /** Offset of a data block. Requires `block < length`. */
  offset(block: number): number {
    return this.#offsets[block] as number
  }

  /** Length of a data block's contents. Requires `block < length`. */
  contentLength(block: number): number {
    return (this.#offsets[block + 1] as number) - (this.#offsets[block] as number) - BLOCK_TRAILER_LENGTH
  }

  /** The data block to look for the target in: the first whose separator is at or after it; `length` if there is none. */
  find(key: Uint8Array, sequence: number): number {
    const prefixLength = this.#prefixLength
    if (prefixLength > 0) {
      const order = comparePrefix(key, this.#bytes, this.#keyStarts[0] as number, prefixLength)
      if (order !== 0) return order < 0 ? 0 : this.length
    }
    const words = this.#words
    const target = wordAt(key, prefixLength, key.length)
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const word = words[middle] as number
      if (word < target || (word === target && this.compare(middle, key, sequence) < 0)) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Order of a block's separator against (key, sequence). */
  compare(block: number, key: Uint8Array, sequence: number): number {
    const start = this.#keyStarts[block] as number
    const order = compareRanges(this.#bytes, start, this.#keyEnds[block] as number, key, 0, key.length)
    return order !== 0 ? order : sequence - readTrailerSequence(this.#bytes, start - TRAILER_LENGTH)
  }

  /** Bytes that the first and the last separator, and so all between them, have in common. */
  #commonPrefix(): number {
    const last = this.length - 1
    const a = this.#keyStarts[0] as number
    const b = this.#keyStarts[last] as number
    return commonPrefixLength(this.#bytes, a, this.#keyEnds[0] as number, this.#bytes, b, this.#keyEnds[last] as number)
  }
}

function readLength(reader: ByteReader, block: Block): number {
  try {
    return reader.uvarint(MAX_BLOCK_LENGTH)
  } catch (cause) {
    throw block.damage('malformed index entry', cause)
  }
}
