/**
 * A table around its data blocks: writes them behind each other through one buffer of 256 KiB, to the end of an empty file, and behind them what
 * makes a table of them (references, filter, properties, index, footer).
 *
 * Whoever fills data blocks gives it each one, and says which keys lie between two of them: `TableWriter`, an entry at a time, and `TableMerge`. Memory is bounded by
 * the buffer, the longest block, and 16 bytes an entry for filter and references. Nothing is durable when `finishSteps` returns (CR2: sync the file and
 * its directory before the manifest names it); the file is the caller's.
 */
import { ByteWriter, KIND_TOMBSTONE, MAX_SEQUENCE, checkArgument, checkOptions, commonPrefixLength, hasMethods, invariant, shortestSeparator, uvarintLength, wordOption, writeUvarint } from '@wk/codec'
import { writeFullySync } from '@wk/fs'
import type { File } from '@wk/fs'
import { BlockBuilder } from './block-builder.js'
import { DEFAULT_BITS_PER_KEY, FilterBuilder } from './bloom-filter.js'
import { COMPRESSIONS, compressBlock } from './compression.js'
import type { Compression } from './compression.js'
import {
  BLOCK_TRAILER_LENGTH,
  COMPRESSION_LZ4,
  COMPRESSION_NONE,
  FOOTER_LENGTH,
  MAX_BLOCK_LENGTH,
  MAX_TABLE_SIZE,
  blockChecksum,
  encodeFooter,
} from './format.js'
import type { BlockHandle } from './format.js'
import { ExpiryList } from './expiry-list.js'
import { ReferenceCollector } from './reference-list.js'
import { encodeProperties } from './table-properties.js'
import type { TableProperties, TableSummary } from './table-properties.js'

export interface TableFrameOptions {
  /** Number of the file, from 1: salts every checksum and names the file in errors. */
  fileNumber: number
  /** Bits of bloom filter a user key; 0 for none. Default 10: 0.8 % false positives. */
  bloomBitsPerKey?: number
  /**
   * Compression of data blocks that it shortens by an eighth, or by a quarter where they are mostly keys and pointers. Default
   * 'none'; without `lz4-napi` always none.
   */
  compression?: Compression
}

/** What whoever fills the blocks has counted. */
export type TableSums = Pick<
  TableProperties,
  'entries' | 'tombstones' | 'smallestKey' | 'largestKey' | 'smallestSequence' | 'largestSequence' | 'keyBytes' | 'valueBytes' | 'distinctKeys'
>

/** Bytes gathered before they are written. */
const WRITE_BUFFER = 256 * 1024
/** After as many blocks that saved too little, one in as many is tried. */
const FUTILE_BLOCKS = 8
/** Bytes of a table that are neither blocks nor index, reckoned. */
const REST_ESTIMATE = 256

export class TableFrame {
  /** Of the keys of all blocks. */
  readonly filter: FilterBuilder
  /** Of all pointers. */
  readonly references = new ReferenceCollector()
  /** Of all entries that expire. */
  readonly expiries = new ExpiryList()
  readonly #file: File
  readonly #number: number
  readonly #compression: Compression
  readonly #index = new BlockBuilder(1)
  readonly #pending = new ByteWriter(16 * 1024)
  readonly #lengthBytes = new Uint8Array(8)
  #written = 0
  #isOpen = true
  #dataBlocks = 0
  /** Data blocks one after the other that were not worth compressing. */
  #incompressible = 0
  /** Length of the last data block's contents while its index entry waits for the next key. */
  #unindexed = -1

  /** @param file empty, open for writing; stays the caller's. @throws InvalidArgumentError */
  constructor(file: File, options: TableFrameOptions) {
    checkOptions(options)
    checkArgument(hasMethods(file, 'writeSync'), 'an open file')
    checkArgument(Number.isSafeInteger(options.fileNumber) && options.fileNumber >= 1, 'a file number from 1')
    this.#file = file
    this.#number = options.fileNumber
    this.#compression = wordOption('compression', options.compression, 'none', COMPRESSIONS)
    this.filter = new FilterBuilder(options.bloomBitsPerKey ?? DEFAULT_BITS_PER_KEY)
  }

  /** Neither finished nor abandoned. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Whether the last block waits for the key behind it ({@link separate}). */
  get isUnindexed(): boolean {
    return this.#unindexed >= 0
  }

  /** Bytes that the table has without the block that is being filled, filter and references, about. */
  get size(): number {
    return this.#offset + this.#index.size + REST_ESTIMATE
  }

  /** Adds a data block. `valueBytes`: bytes of values in it. Throws `IoError` when the file cannot be written; the table is then worthless. */
  addDataBlock(bytes: Uint8Array, start: number, end: number, valueBytes: number): void {
    invariant(this.#isOpen && this.#unindexed < 0, 'an open table whose blocks are in its index')
    this.#unindexed = this.#addBlock(bytes, start, end, this.#compress(bytes, start, end, valueBytes)).length
    this.#dataBlocks++
  }

  /** Adds the last block's index entry, under the shortest key behind its last one, of `sequence`, and before `next`; or under its last key. */
  separate(last: Uint8Array, sequence: number, next: Uint8Array | undefined): void {
    let separator: Uint8Array = last
    if (next !== undefined && commonPrefixLength(last, 0, last.length, next, 0, next.length) < Math.min(last.length, next.length)) {
      const shortest = shortestSeparator(last, next)
      // A key strictly between the two: its first place in internal order will do.
      if (shortest.length < last.length || shortest.at(-1) !== last.at(-1)) {
        separator = shortest
        sequence = MAX_SEQUENCE
      }
    }
    const end = writeUvarint(this.#lengthBytes, 0, this.#unindexed)
    invariant(end === uvarintLength(this.#unindexed), 'a whole varint')
    this.#index.add(separator, 0, separator.length, 0, sequence, KIND_TOMBSTONE, this.#lengthBytes, 0, end)
    this.#unindexed = -1
  }

  /**
   * Completes the file, whose last entry is `sums.largestKey` with `lastSequence`, in steps of a few milliseconds, for a caller that shares its thread: sorting the
   * references and building the filter of a large table take hundreds. Once begun it is run to its end, or the table abandoned.
   */
  *finishSteps(sums: TableSums, lastSequence: number): Generator<undefined, TableSummary, void> {
    invariant(this.#isOpen && sums.entries > 0, 'an open table with entries')
    this.#isOpen = false
    this.separate(sums.largestKey, lastSequence, undefined)
    const { block, summaries } = yield* this.references.finishSteps()
    const references = this.#addMetaBlock(block)
    yield
    const filter = this.#addMetaBlock(yield* this.filter.finishSteps())
    yield
    const properties: TableProperties = {
      ...sums,
      expiring: this.expiries.count,
      expiredQuarterAt: yield* this.expiries.quarterSteps(sums.entries),
      references: summaries,
      dataBlocks: this.#dataBlocks,
    }
    const propertiesHandle = this.#addMetaBlock(encodeProperties(properties))
    const contents = this.#index.finish()
    const index = this.#addBlock(contents.bytes, 0, contents.length, undefined)
    this.#pending.raw(encodeFooter({ references, filter, properties: propertiesHandle, index }, this.#number, this.#offset))
    this.#flush()
    checkArgument(this.#written <= MAX_TABLE_SIZE, 'a table within its size limit')
    const { dataBlocks: _blocks, distinctKeys: _keys, ...summary } = properties
    return { number: this.#number, size: this.#written, ...summary }
  }

  /** Gives the table up. The file holds a part of it, of no use to anybody; the caller removes it. */
  abandon(): void {
    this.#isOpen = false
    this.#pending.reset()
    this.#index.reset()
  }

  /** Where the next byte goes. */
  get #offset(): number {
    return this.#written + this.#pending.length
  }

  /**
   * The data block compressed, if that is worth it. Reading it costs twice as much then. Where most of it is values an eighth is
   * worth that; keys and pointers are a small part of the data they stand for, so a quarter has to be saved. After blocks in
   * a row that saved too little only some are tried.
   */
  #compress(bytes: Uint8Array, start: number, end: number, valueBytes: number): Uint8Array | undefined {
    if (this.#compression !== 'lz4') return undefined
    if (this.#incompressible >= FUTILE_BLOCKS && this.#dataBlocks % FUTILE_BLOCKS !== 0) return undefined
    const compressed = compressBlock(bytes, start, end, valueBytes * 2 >= end - start ? 8 : 4)
    this.#incompressible = compressed === undefined ? this.#incompressible + 1 : 0
    return compressed
  }

  #addMetaBlock(contents: Uint8Array): BlockHandle {
    return this.#addBlock(contents, 0, contents.length, undefined)
  }

  /** Adds a block with its trailer to the write buffer, compressed if that was done. */
  #addBlock(bytes: Uint8Array, from: number, to: number, compressed: Uint8Array | undefined): BlockHandle {
    checkArgument(to - from <= MAX_BLOCK_LENGTH, 'a block within its limit')
    const offset = this.#offset
    const pending = this.#pending
    const start = pending.length
    if (compressed === undefined) pending.raw(bytes, from, to).u8(COMPRESSION_NONE)
    else pending.raw(compressed).u8(COMPRESSION_LZ4)
    pending.u32(blockChecksum(pending.bytes, start, pending.length, this.#number, offset))
    const handle = { offset, length: pending.length - start - BLOCK_TRAILER_LENGTH }
    if (pending.length >= WRITE_BUFFER) this.#flush()
    checkArgument(this.#offset + FOOTER_LENGTH <= MAX_TABLE_SIZE, 'a table within its size limit')
    return handle
  }

  #flush(): void {
    const { bytes, length } = this.#pending
    writeFullySync(this.#file, bytes, 0, length, this.#written)
    this.#written += length
    this.#pending.reset()
  }
}
