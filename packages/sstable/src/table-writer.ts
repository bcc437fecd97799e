/**
 * Writes a table: entries in, in order, through one buffer of 256 KiB, to the end of an empty file.
 *
 * Guarantees: entries that are out of order are refused (`InvariantError`), so a table that was finished is sorted;
 * memory is bounded by the buffer, the largest entry, and 16 bytes an entry for filter and references. Everything is
 * synchronous; a caller that shares its thread adds in slices.
 *
 * It leaves to the caller: creating the file, syncing and closing it, and removing it when the table is given up.
 * Nothing is durable when `finish` returns (CR2: sync the file and its directory before the manifest names it).
 */
import {
  ByteWriter,
  KIND_TOMBSTONE,
  KIND_VALUE,
  MAX_KEY_LENGTH,
  MAX_SEQUENCE,
  POINTER_LENGTH,
  baseKind,
  copyBytes,
  commonPrefixLength,
  invariant,
  isKind,
  readExpiresAt,
  readPointerFid,
  readPointerLen,
  readPointerOffset,
  shortestSeparator,
  uvarintLength,
  writeUvarint,
} from '@wk/codec'
import type { EntryCursor, KeyView } from '@wk/codec'
import { writeFullySync } from '@wk/fs'
import type { File } from '@wk/fs'
import { BlockBuilder } from './block-builder.js'
import { FilterBuilder } from './bloom-filter.js'
import { compressBlock } from './compression.js'
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
import { copyKey, withRoom } from './key-buffer.js'
import { ReferenceCollector, encodeReferenceSteps } from './reference-list.js'
import { runSteps } from './steps.js'
import { encodeProperties } from './table-properties.js'
import type { TableProperties, TableSummary } from './table-properties.js'
import type { TableScan } from './table-scan.js'

export interface TableWriterOptions {
  /** Number of the file, from 1: salts every checksum and names the file in errors. */
  fileNumber: number
  /** Bytes of entries after which a data block ends. Default 4096. */
  blockSize?: number
  /** Entries between restart points. Default 16; fewer seek faster and compress less. */
  restartInterval?: number
  /** Bits of bloom filter a user key; 0 for none. Default 10: 0.8 % false positives. */
  bloomBitsPerKey?: number
  /**
   * Compression of data blocks that it shortens by an eighth, or by a quarter where they are mostly keys and pointers. Default
   * 'none'; without `lz4-napi` always none.
   */
  compression?: Compression
}

/** Bytes gathered before they are written. */
const WRITE_BUFFER = 256 * 1024
/** After as many blocks that saved too little, one in as many is tried. */
const FUTILE_BLOCKS = 8
/** Bytes a reference takes in the file, reckoned. */
const REFERENCE_ESTIMATE = 5

export class TableWriter {
  readonly #file: File
  readonly #number: number
  readonly #blockSize: number
  readonly #compression: Compression
  readonly #data: BlockBuilder
  readonly #index = new BlockBuilder(1)
  readonly #filter: FilterBuilder
  readonly #references = new ReferenceCollector()
  readonly #expiries = new ExpiryList()
  readonly #pending = new ByteWriter(16 * 1024)
  readonly #lengthBytes = new Uint8Array(8)
  #written = 0
  #state: 'open' | 'finished' | 'abandoned' = 'open'
  #dataBlocks = 0
  /** Bytes of values in the current data block. */
  #blockValueBytes = 0
  /** Data blocks one after the other that were not worth compressing. */
  #incompressible = 0
  /** Length of the last data block's contents while its index entry waits for the next key. */
  #unindexed = -1
  #entries = 0
  #tombstones = 0
  #distinctKeys = 0
  #keyByteSum = 0
  #valueByteSum = 0
  #smallestSequence = MAX_SEQUENCE
  #largestSequence = 0
  #smallestKey: Uint8Array = new Uint8Array(0)
  #lastKey: Uint8Array = new Uint8Array(256)
  #lastLength = 0
  #lastSequence = 0

  /** @param file empty, open for writing; stays the caller's */
  constructor(file: File, options: TableWriterOptions) {
    this.#file = file
    this.#number = options.fileNumber
    this.#blockSize = options.blockSize ?? 4096
    this.#compression = options.compression ?? 'none'
    this.#data = new BlockBuilder(options.restartInterval ?? 16)
    this.#filter = new FilterBuilder(options.bloomBitsPerKey ?? 10)
    invariant(Number.isSafeInteger(this.#number) && this.#number >= 1, 'a file number from 1')
    invariant(this.#blockSize >= 1, 'a block size of at least 1')
  }

  /** Entries added. */
  get entries(): number {
    return this.#entries
  }

  /** About how large the file would be if finished now, in bytes. */
  get estimatedSize(): number {
    const meta = this.#filter.size + this.#index.size + this.#references.count * REFERENCE_ESTIMATE
    return this.#offset + this.#data.size + meta + 256
  }

  /**
   * Adds an entry; nothing is kept of the caller's bytes. Requires internal order: user key ascending, sequence
   * descending. Throws `IoError` when the file cannot be written; the table is then worthless.
   */
  add(
    keyBytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    sequence: number,
    kind: number,
    valueBytes: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const length = keyEnd - keyStart
    invariant(this.#state === 'open', 'a table that is still written')
    invariant(length >= 0 && length <= MAX_KEY_LENGTH && valueStart <= valueEnd, 'an entry within its limits')
    invariant(isKind(kind), 'a known kind')
    const shared = commonPrefixLength(this.#lastKey, 0, this.#lastLength, keyBytes, keyStart, keyEnd)
    const sameKey = shared === length && shared === this.#lastLength && this.#entries > 0
    if (this.#entries > 0) {
      const ascends = sameKey
        ? sequence < this.#lastSequence
        : shared === this.#lastLength || (shared < length && (this.#lastKey[shared] as number) < (keyBytes[keyStart + shared] as number))
      invariant(ascends, 'entries in ascending internal order')
    } else {
      this.#smallestKey = copyBytes(keyBytes, keyStart, keyEnd)
    }
    if (this.#unindexed >= 0) this.#addIndexEntry(keyBytes.subarray(keyStart, keyEnd))
    this.#data.add(keyBytes, keyStart, keyEnd, shared, sequence, kind, valueBytes, valueStart, valueEnd)
    if (!sameKey) {
      this.#distinctKeys++
      this.#filter.add(keyBytes, keyStart, keyEnd)
    }
    this.#account(length, sequence, kind, valueBytes, valueStart, valueEnd)
    this.#remember(keyBytes, keyStart, keyEnd, shared, sequence)
    if (this.#data.size >= this.#blockSize) this.#endDataBlock()
  }

  /** Adds everything from the cursor's place on. */
  addCursor(cursor: EntryCursor): void {
    for (; cursor.valid; cursor.next()) {
      this.add(
        cursor.keyBytes,
        cursor.keyStart,
        cursor.keyEnd,
        cursor.sequence,
        cursor.kind,
        cursor.valueBytes,
        cursor.valueStart,
        cursor.valueEnd,
      )
    }
  }

  /**
   * Adds the entries that follow the scan's current one, which was the last that was added, as long as they are a run (`TableScan.beginRun`) and the
   * data block is not full. The scan then stands at the last one. Returns how many there were.
   */
  addRun(scan: TableScan, limit: KeyView | undefined): number {
    // At the end of a block the next key comes into the index.
    if (this.#unindexed >= 0) return 0
    invariant(this.#state === 'open' && this.#lastLength === scan.keyEnd && this.#lastSequence === scan.sequence, 'a run behind the last entry')
    const data = this.#data
    const blockSize = this.#blockSize
    let count = 0
    scan.beginRun(limit)
    while (data.size < blockSize && scan.nextOfRun()) {
      const { keyBytes, keyEnd, sequence, kind, valueBytes, valueStart, valueEnd } = scan
      if (scan.isEncodedShared && !data.isRestartDue) data.addEncoded(valueBytes, scan.entryStart, valueEnd)
      else data.add(keyBytes, 0, keyEnd, scan.shared, sequence, kind, valueBytes, valueStart, valueEnd)
      this.#filter.add(keyBytes, 0, keyEnd)
      this.#account(keyEnd, sequence, kind, valueBytes, valueStart, valueEnd)
      count++
    }
    this.#distinctKeys += count
    this.#remember(scan.keyBytes, 0, scan.keyEnd, 0, scan.sequence)
    if (data.size >= blockSize) this.#endDataBlock()
    return count
  }

  /** Completes the file. Requires at least one entry. The caller syncs and closes it. */
  finish(): TableSummary {
    return runSteps(this.finishSteps())
  }

  /**
   * {@link TableWriter.finish} in steps of a few milliseconds, for a caller that shares its thread: sorting the
   * references and building the filter of a large table take hundreds. Once begun it is run to its end, or the table abandoned.
   */
  *finishSteps(): Generator<undefined, TableSummary, void> {
    invariant(this.#state === 'open' && this.#entries > 0, 'an open table with entries')
    this.#state = 'finished'
    if (this.#data.count > 0) this.#endDataBlock()
    this.#addIndexEntry(undefined)
    const lists = yield* this.#references.listSteps()
    const references = this.#addMetaBlock(yield* encodeReferenceSteps(lists))
    yield
    const filter = this.#addMetaBlock(yield* this.#filter.finishSteps())
    yield
    const largestKey = this.#lastKey.slice(0, this.#lastLength)
    const properties: TableProperties = {
      entries: this.#entries,
      tombstones: this.#tombstones,
      expiring: this.#expiries.count,
      expiredQuarterAt: yield* this.#expiries.quarterSteps(this.#entries),
      smallestKey: this.#smallestKey,
      largestKey,
      smallestSequence: this.#smallestSequence,
      largestSequence: this.#largestSequence,
      keyBytes: this.#keyByteSum,
      valueBytes: this.#valueByteSum,
      references: lists.map(({ fid, count, bytes }) => ({ fid, count, bytes })),
      dataBlocks: this.#dataBlocks,
      distinctKeys: this.#distinctKeys,
    }
    const propertiesHandle = this.#addMetaBlock(encodeProperties(properties))
    const contents = this.#index.finish()
    const index = this.#addBlock(contents.bytes, contents.length, undefined)
    this.#pending.raw(encodeFooter({ references, filter, properties: propertiesHandle, index }, this.#number, this.#offset))
    this.#flush()
    invariant(this.#written <= MAX_TABLE_SIZE, 'a table within its size limit')
    const { dataBlocks: _blocks, distinctKeys: _keys, ...summary } = properties
    return { number: this.#number, size: this.#written, ...summary }
  }

  /** Gives the table up. The file holds a part of it, of no use to anybody; the caller removes it. */
  abandon(): void {
    this.#state = 'abandoned'
    this.#pending.reset()
    this.#data.reset()
    this.#index.reset()
  }

  /** Where the next byte goes. */
  get #offset(): number {
    return this.#written + this.#pending.length
  }

  #account(keyLength: number, sequence: number, kind: number, valueBytes: Uint8Array, valueStart: number, valueEnd: number): void {
    this.#entries++
    this.#keyByteSum += keyLength
    this.#valueByteSum += valueEnd - valueStart
    if (sequence < this.#smallestSequence) this.#smallestSequence = sequence
    if (sequence > this.#largestSequence) this.#largestSequence = sequence
    const base = baseKind(kind)
    if (base === KIND_VALUE) this.#blockValueBytes += valueEnd - valueStart
    else if (base === KIND_TOMBSTONE) this.#tombstones++
    else {
      invariant(valueEnd - valueStart >= POINTER_LENGTH, 'a pointer entry with a pointer')
      this.#references.add(readPointerFid(valueBytes, valueStart), readPointerOffset(valueBytes, valueStart), readPointerLen(valueBytes, valueStart))
    }
    const expiresAt = kind === base ? 0 : readExpiresAt(kind, valueBytes, valueStart, valueEnd)
    if (expiresAt !== 0) this.#expiries.add(expiresAt)
  }

  #remember(keyBytes: Uint8Array, keyStart: number, keyEnd: number, shared: number, sequence: number): void {
    const length = keyEnd - keyStart
    this.#lastKey = withRoom(this.#lastKey, shared, length)
    copyKey(keyBytes, keyStart + shared, this.#lastKey, shared, length - shared)
    this.#lastLength = length
    this.#lastSequence = sequence
  }

  #endDataBlock(): void {
    const contents = this.#data.finish()
    this.#unindexed = this.#addBlock(contents.bytes, contents.length, this.#compress(contents.bytes, contents.length)).length
    this.#dataBlocks++
    this.#data.reset()
    this.#blockValueBytes = 0
  }

  /**
   * The data block compressed, if that is worth it. Reading it costs twice as much then. Where most of it is values an eighth is
   * worth that; keys and pointers are a small part of the data they stand for, so a quarter has to be saved. After blocks in
   * a row that saved too little only some are tried.
   */
  #compress(bytes: Uint8Array, length: number): Uint8Array | undefined {
    if (this.#compression !== 'lz4') return undefined
    if (this.#incompressible >= FUTILE_BLOCKS && this.#dataBlocks % FUTILE_BLOCKS !== 0) return undefined
    const compressed = compressBlock(bytes, 0, length, this.#blockValueBytes * 2 >= length ? 8 : 4)
    this.#incompressible = compressed === undefined ? this.#incompressible + 1 : 0
    return compressed
  }

  /** Adds the last block's index entry, under the shortest key before `next`, or under its own last key. */
  #addIndexEntry(next: Uint8Array | undefined): void {
    const last = this.#lastKey.subarray(0, this.#lastLength)
    let separator: Uint8Array = last
    let sequence = this.#lastSequence
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

  #addMetaBlock(contents: Uint8Array): BlockHandle {
    return this.#addBlock(contents, contents.length, undefined)
  }

  /** Adds a block with its trailer to the write buffer, compressed if that was done. */
  #addBlock(bytes: Uint8Array, length: number, compressed: Uint8Array | undefined): BlockHandle {
    invariant(length <= MAX_BLOCK_LENGTH, 'a block within its limit')
    const offset = this.#offset
    const pending = this.#pending
    const start = pending.length
    if (compressed === undefined) pending.raw(bytes, 0, length).u8(COMPRESSION_NONE)
    else pending.raw(compressed).u8(COMPRESSION_LZ4)
    pending.u32(blockChecksum(pending.bytes, start, pending.length, this.#number, offset))
    const handle = { offset, length: pending.length - start - BLOCK_TRAILER_LENGTH }
    if (pending.length >= WRITE_BUFFER) this.#flush()
    invariant(this.#offset + FOOTER_LENGTH <= MAX_TABLE_SIZE, 'a table within its size limit')
    return handle
  }

  #flush(): void {
    const { bytes, length } = this.#pending
    writeFullySync(this.#file, bytes, 0, length, this.#written)
    this.#written += length
    this.#pending.reset()
  }
}
