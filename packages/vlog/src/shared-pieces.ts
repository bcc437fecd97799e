/**
 * Records that two threads read together, in memory that both see: where they lie, who reads them, and the bytes that the helper read.
 *
 * They are cut into pieces of at most a slab (`ResultMemory` of `@wk/codec`), each with its place in the memory. The asking thread takes pieces
 * from the front and reads them as it always does; the helper takes them from the back, until they meet. A piece is taken by one
 * compare-and-exchange and never given back: the asking thread also reads what the helper began and did not end, since a record that is read
 * twice is the same. So nobody ever waits for the other.
 */
import { SLAB_LENGTH } from '@wk/codec'

/** Pieces at once: 4 MiB, what an iterator fetches ahead of values of 1 KiB. */
export const MOST_PIECES = 256
/** Records at once. */
const MOST_RECORDS = 4096

const FREE = 0
const TAKEN = 1
const BEGUN = 2
const READ = 3

const BYTES_AT = 0
const POSITIONS_AT = BYTES_AT + MOST_PIECES * SLAB_LENGTH
const LENGTHS_AT = POSITIONS_AT + 8 * MOST_RECORDS
const FILES_AT = LENGTHS_AT + 4 * MOST_RECORDS
const ENDS_AT = FILES_AT + 4 * MOST_RECORDS
const STATES_AT = ENDS_AT + 4 * MOST_PIECES
const LENGTH = STATES_AT + 4 * MOST_PIECES

export class SharedPieces {
  readonly buffer: SharedArrayBuffer
  /** The pieces' bytes, each from its number times `SLAB_LENGTH` on: its records without gaps. */
  readonly bytes: Uint8Array
  /** Of each record: its place in its file, its length, and its file, an index. */
  readonly positions: Float64Array
  readonly lengths: Uint32Array
  readonly files: Uint32Array
  /** Of each piece: the first record behind it. */
  readonly #ends: Uint32Array
  readonly #states: Int32Array
  /** Pieces, and records in them. */
  count = 0
  records = 0
  /** Bytes of the last piece. */
  #last = 0

  /** @param buffer of the other thread's; without one it is made. @param count pieces in it */
  constructor(buffer = new SharedArrayBuffer(LENGTH), count = 0) {
    this.buffer = buffer
    this.count = count
    this.bytes = new Uint8Array(buffer, BYTES_AT, MOST_PIECES * SLAB_LENGTH)
    this.positions = new Float64Array(buffer, POSITIONS_AT, MOST_RECORDS)
    this.lengths = new Uint32Array(buffer, LENGTHS_AT, MOST_RECORDS)
    this.files = new Uint32Array(buffer, FILES_AT, MOST_RECORDS)
    this.#ends = new Uint32Array(buffer, ENDS_AT, MOST_PIECES)
    this.#states = new Int32Array(buffer, STATES_AT, MOST_PIECES)
  }

  /** Begins anew. Requires that the other thread has let go. */
  clear(): void {
    this.count = 0
    this.records = 0
    this.#last = 0
  }

  /** Adds a record of at most a slab, behind the others. False if there is no room. Nothing else may use the pieces yet. */
  add(file: number, position: number, length: number): boolean {
    if (this.records === MOST_RECORDS) return false
    if (this.count === 0 || this.#last + length > SLAB_LENGTH) {
      if (this.count === MOST_PIECES) return false
      this.#states[this.count++] = FREE
      this.#last = 0
    }
    const at = this.records++
    this.files[at] = file
    this.positions[at] = position
    this.lengths[at] = length
    this.#last += length
    this.#ends[this.count - 1] = this.records
    return true
  }

  /** First record of a piece. */
  start(piece: number): number {
    return piece === 0 ? 0 : this.#ends[piece - 1]!
  }

  /** The record behind the last one of a piece. */
  end(piece: number): number {
    return this.#ends[piece]!
  }

  /** Takes a piece for the asking thread. False if the helper was faster. */
  take(piece: number): boolean {
    return Atomics.compareExchange(this.#states, piece, FREE, TAKEN) === FREE
  }

  /** Takes a piece for the helper. False if the asking thread was faster. */
  begin(piece: number): boolean {
    return Atomics.compareExchange(this.#states, piece, FREE, BEGUN) === FREE
  }

  /** The helper has read and verified the piece it began: it does not touch its bytes any more. */
  finish(piece: number): void {
    Atomics.store(this.#states, piece, READ)
  }

  /** Whether the helper has read and verified a piece. */
  isRead(piece: number): boolean {
    return Atomics.load(this.#states, piece) === READ
  }

  /** Takes everything that is free: the helper ends with what it has begun. */
  takeAll(): void {
    for (let piece = 0; piece < this.count; piece++) this.take(piece)
  }
}
