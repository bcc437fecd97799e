/**
 * Writes a table: entries in, in order, through one buffer of 256 KiB, to the end of an empty file.
 *
 * Guarantees: entries that are out of order are refused (`WK_INVALID_ARGUMENT`), so a table that was finished is sorted;
 * memory is bounded by the buffer, the largest entry, and 16 bytes an entry for filter and references. Everything is
 * synchronous; a caller that shares its thread adds in slices. Merges of tables are written by `TableMerge`, to the same bytes.
 *
 * It leaves to the caller: creating the file, syncing and closing it, and removing it when the table is given up.
 * Nothing is durable when `finish` returns (CR2: sync the file and its directory before the manifest names it).
 */
import {
  ClosedError,
  InvalidArgumentError,
  KIND_POINTER,
  KIND_TOMBSTONE,
  KIND_VALUE,
  MAX_KEY_LENGTH,
  MAX_SEQUENCE,
  POINTER_LENGTH,
  baseKind,
  checkArgument,
  commonPrefixLength,
  copyBytes,
  hasMethods,
  isKind,
  isSequence,
  isU32,
  readExpiresAt,
  readPointerFid,
  readPointerLen,
  readPointerOffset,
} from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import type { File } from '@wk/fs'
import { BlockBuilder, checkBlockSize } from './block-builder.js'
import { copyRange, withRoom } from './key-buffer.js'
import { REFERENCE_ESTIMATE } from './reference-list.js'
import { runSteps } from './steps.js'
import { TableFrame } from './table-frame.js'
import type { TableFrameOptions } from './table-frame.js'
import type { TableSummary } from './table-properties.js'

export interface TableWriterOptions extends TableFrameOptions {
  /** Bytes of entries after which a data block ends. Default 4096. */
  blockSize?: number
  /** Entries between restart points. Default 16; fewer seek faster and compress less. */
  restartInterval?: number
}

export class TableWriter {
  readonly #frame: TableFrame
  readonly #blockSize: number
  readonly #data: BlockBuilder
  /** Bytes of values in the current data block. */
  #blockValueBytes = 0
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

  /** @param file empty, open for writing; stays the caller's. @throws InvalidArgumentError for what are no options */
  constructor(file: File, options: TableWriterOptions) {
    this.#frame = new TableFrame(file, options)
    this.#blockSize = options.blockSize ?? 4096
    checkBlockSize(this.#blockSize)
    this.#data = new BlockBuilder(options.restartInterval ?? 16)
  }

  /** Entries added. */
  get entries(): number {
    return this.#entries
  }

  /** About how large the file would be if finished now, in bytes. */
  get estimatedSize(): number {
    const { size, filter, references } = this.#frame
    return size + this.#data.size + filter.size + references.count * REFERENCE_ESTIMATE
  }

  /**
   * Adds an entry; nothing is kept of the caller's bytes. Requires internal order: user key ascending, sequence
   * descending. Throws `IoError` when the file cannot be written; the table is then worthless.
   * @throws InvalidArgumentError for an entry out of order, of an unknown kind, over its limits, or of the wrong types: nothing was added; ClosedError after
   * `finish` and `abandon`
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
    const frame = this.#frame
    this.#checkOpen()
    checkArgument(keyBytes instanceof Uint8Array && isRange(keyStart, keyEnd, keyBytes.length) && keyEnd - keyStart <= MAX_KEY_LENGTH, 'a key inside its bytes and its limit')
    checkArgument(valueBytes instanceof Uint8Array && isRange(valueStart, valueEnd, valueBytes.length), 'a payload inside its bytes')
    checkArgument(isSequence(sequence) && isKind(kind), 'a sequence number within 48 bits, and a known kind')
    const length = keyEnd - keyStart
    const base = baseKind(kind)
    if (base === KIND_POINTER) checkArgument(valueEnd - valueStart >= POINTER_LENGTH, 'a pointer entry with a pointer')
    const expiresAt = kind === base ? 0 : expiryOf(kind, valueBytes, valueStart, valueEnd)
    const shared = commonPrefixLength(this.#lastKey, 0, this.#lastLength, keyBytes, keyStart, keyEnd)
    const sameKey = shared === length && shared === this.#lastLength && this.#entries > 0
    if (this.#entries > 0) {
      const ascends = sameKey
        ? sequence < this.#lastSequence
        : shared === this.#lastLength || (shared < length && (this.#lastKey[shared] as number) < (keyBytes[keyStart + shared] as number))
      checkArgument(ascends, 'entries in ascending internal order')
    } else {
      this.#smallestKey = copyBytes(keyBytes, keyStart, keyEnd)
    }
    if (frame.isUnindexed) frame.separate(this.#lastKey.subarray(0, this.#lastLength), this.#lastSequence, keyBytes.subarray(keyStart, keyEnd))
    this.#data.add(keyBytes, keyStart, keyEnd, shared, sequence, kind, valueBytes, valueStart, valueEnd)
    if (!sameKey) {
      this.#distinctKeys++
      frame.filter.add(keyBytes, keyStart, keyEnd)
    }
    this.#account(length, sequence, base, valueBytes, valueStart, valueEnd)
    if (expiresAt !== 0) frame.expiries.add(expiresAt)
    this.#remember(keyBytes, keyStart, keyEnd, shared, sequence)
    if (this.#data.size >= this.#blockSize) this.#endDataBlock()
  }

  /** Adds everything from the cursor's place on. @throws as `add`, at the entry that is wrong; those before it are in */
  addCursor(cursor: EntryCursor): void {
    checkArgument(hasMethods(cursor, 'next'), 'a cursor')
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

  /** Completes the file. The caller syncs and closes it. @throws InvalidArgumentError without an entry; ClosedError after `finish` and `abandon` */
  finish(): TableSummary {
    return runSteps(this.finishSteps())
  }

  /**
   * {@link TableWriter.finish} in steps of a few milliseconds, for a caller that shares its thread: sorting the
   * references and building the filter of a large table take hundreds. Once begun it is run to its end, or the table abandoned.
   */
  finishSteps(): Generator<undefined, TableSummary, void> {
    this.#checkOpen()
    checkArgument(this.#entries > 0, 'a table with entries')
    if (this.#data.count > 0) this.#endDataBlock()
    return this.#frame.finishSteps(
      {
        entries: this.#entries,
        tombstones: this.#tombstones,
        smallestKey: this.#smallestKey,
        largestKey: this.#lastKey.slice(0, this.#lastLength),
        smallestSequence: this.#smallestSequence,
        largestSequence: this.#largestSequence,
        keyBytes: this.#keyByteSum,
        valueBytes: this.#valueByteSum,
        distinctKeys: this.#distinctKeys,
      },
      this.#lastSequence,
    )
  }

  /** Gives the table up. The file holds a part of it, of no use to anybody; the caller removes it. */
  abandon(): void {
    this.#frame.abandon()
    this.#data.reset()
  }

  #checkOpen(): void {
    if (!this.#frame.isOpen) throw new ClosedError('the table is finished or given up')
  }

  #account(keyLength: number, sequence: number, base: number, valueBytes: Uint8Array, valueStart: number, valueEnd: number): void {
    this.#entries++
    this.#keyByteSum += keyLength
    this.#valueByteSum += valueEnd - valueStart
    if (sequence < this.#smallestSequence) this.#smallestSequence = sequence
    if (sequence > this.#largestSequence) this.#largestSequence = sequence
    if (base === KIND_VALUE) this.#blockValueBytes += valueEnd - valueStart
    else if (base === KIND_TOMBSTONE) this.#tombstones++
    else this.#frame.references.add(readPointerFid(valueBytes, valueStart), readPointerOffset(valueBytes, valueStart), readPointerLen(valueBytes, valueStart))
  }

  #remember(keyBytes: Uint8Array, keyStart: number, keyEnd: number, shared: number, sequence: number): void {
    const length = keyEnd - keyStart
    this.#lastKey = withRoom(this.#lastKey, shared, length)
    copyRange(keyBytes, keyStart + shared, this.#lastKey, shared, length - shared)
    this.#lastLength = length
    this.#lastSequence = sequence
  }

  #endDataBlock(): void {
    const contents = this.#data.finish()
    this.#frame.addDataBlock(contents.bytes, 0, contents.length, this.#blockValueBytes)
    this.#data.reset()
    this.#blockValueBytes = 0
  }
}

function isRange(start: number, end: number, length: number): boolean {
  return isU32(start) && isU32(end) && start <= end && end <= length
}

/** The expiry among an entry's attributes. @throws InvalidArgumentError when they are cut */
function expiryOf(kind: number, bytes: Uint8Array, start: number, end: number): number {
  try {
    return readExpiresAt(kind, bytes, start, end)
  } catch (cause) {
    throw new InvalidArgumentError('expected: whole attributes', { cause })
  }
}
