/**
 * A source of a merge: the block of a table that is being walked, and the entry in it that the walk stands at.
 *
 * Bytes are not trusted: nothing outside of the block is taken for a part of it, and an entry that cannot be is told by the code of what is
 * wrong with it (`table-kernel.ts` has the words).
 */
import { allocate, compareKeys, copyShort, firstWord, roomFor, wordAt } from './bytes'

/** What may be wrong with an entry. */
export const LONGER_THAN_BLOCK: i32 = 1
export const RESTART_INSIDE: i32 = 2
export const RESTART_SHARES: i32 = 3
export const SHARES_TOO_MUCH: i32 = 4
export const MALFORMED_HEADER: i32 = 5
export const KEY_TOO_LONG: i32 = 6
export const RESTART_BEHIND: i32 = 7
export const NO_MEMORY: i32 = 8
export const OUT_OF_ORDER: i32 = 9
export const UNKNOWN_KIND: i32 = 10
export const TOMBSTONE_WITH_VALUE: i32 = 11
export const CUT_POINTER: i32 = 12

const KIND_TOMBSTONE: u32 = 0
const KIND_VALUE: u32 = 1
const KIND_POINTER: u32 = 2
const KIND_ATTRIBUTES: u32 = 4
const POINTER_LENGTH: u32 = 12

const MAX_KEY_LENGTH: u64 = 65_000
const MAX_UVARINT: u64 = 0x1f_ffff_ffff_ffff
const TRAILER_LENGTH: usize = 7
const NOWHERE: usize = usize.MAX_VALUE

@unmanaged
export class Source {
  /** Its place among the sources: lower is newer. */
  rank: u32
  /** There is no block behind the current one. */
  hasEnded: bool
  block: usize
  blockRoom: u32
  /** Behind the entries, where the restart points lie. */
  end: usize
  restartCount: u32
  /** The restart point that comes next, and where it is. */
  restart: u32
  restartAt: usize
  /** The entry behind the current one. */
  next: usize
  /** The current entry. */
  key: usize
  keyRoom: u32
  keyLength: u32
  word: u64
  /** The largest sequence number less that of the entry: ascends where entries do. */
  inverted: u64
  kind: u32
  value: usize
  valueLength: u32

  /** Before its first block. False if there is no memory. */
  begin(rank: u32): bool {
    this.rank = rank
    this.hasEnded = false
    this.block = 0
    this.blockRoom = 0
    this.next = 0
    this.end = 0
    this.keyLength = 0
    this.keyRoom = 256
    this.key = allocate(this.keyRoom)
    return this.key != 0
  }

  /** Where to put the next block, of so many bytes; 0 if there is no memory. */
  placeFor(length: u32): usize {
    if (length > this.blockRoom) {
      const room = roomFor(length)
      this.block = allocate(room)
      this.blockRoom = this.block == 0 ? 0 : <u32>room
    }
    return this.block
  }

  /** To before the first entry of the block that was put there. Its first restart point is its first entry. */
  open(entriesEnd: u32, restartCount: u32): void {
    this.next = this.block
    this.end = this.block + entriesEnd
    this.restartCount = restartCount
    this.restart = 0
    this.restartAt = this.block
    this.keyLength = 0
  }

  get isAtEnd(): bool {
    return this.next >= this.end
  }

  /** To the next entry of the block. Requires one. Returns what is wrong with it, 0 if nothing is. */
  read(): i32 {
    const start = this.next
    let shared: u32 = load<u8>(start)
    let unshared: u32 = load<u8>(start, 1)
    let payload: u64 = load<u8>(start, 2)
    let trailer = start + 3
    if ((shared | unshared | <u32>payload) >= 0x80) {
      trailer = readHeader(start, this.end)
      if (trailer == 0) return MALFORMED_HEADER
      shared = <u32>header0
      unshared = <u32>header1
      payload = header2
      if (shared + unshared > <u32>MAX_KEY_LENGTH) return KEY_TOO_LONG
    }
    const bytes = trailer + TRAILER_LENGTH
    if (<u64>bytes + unshared + payload > <u64>this.end) return LONGER_THAN_BLOCK
    if (start >= this.restartAt) {
      if (start > this.restartAt) return RESTART_INSIDE
      if (shared != 0) return RESTART_SHARES
      if (!this.passRestart()) return RESTART_BEHIND
    }
    if (shared > this.keyLength) return SHARES_TOO_MUCH
    const length = shared + unshared
    if (length > this.keyRoom && !this.grow(shared, length)) return NO_MEMORY
    copyShort(this.key + shared, bytes, unshared)
    this.keyLength = length
    if (shared < 8) this.word = firstWord(this.key, length)
    this.inverted = bswap(wordAt(trailer)) >> 16
    this.kind = load<u8>(trailer, 6)
    this.value = bytes + unshared
    this.valueLength = <u32>payload
    this.next = this.value + <usize>payload
    return 0
  }

  /** What is wrong with the current entry that no writer of ours has written: a checksum vouches for the writer only if nobody prepared the table. */
  check(): i32 {
    const base = this.kind & ~KIND_ATTRIBUTES
    if (this.kind == KIND_TOMBSTONE) return this.valueLength > 0 ? TOMBSTONE_WITH_VALUE : 0
    if (base < KIND_VALUE || base > KIND_POINTER) return UNKNOWN_KIND
    return base == KIND_POINTER && this.valueLength < POINTER_LENGTH ? CUT_POINTER : 0
  }

  private passRestart(): bool {
    this.restart++
    if (this.restart == this.restartCount) {
      this.restartAt = NOWHERE
      return true
    }
    const offset = load<u32>(this.end + (<usize>this.restart << 2), 0, 1)
    if (offset >= <u32>(this.end - this.block)) return false
    this.restartAt = this.block + offset
    return true
  }

  private grow(kept: u32, length: u32): bool {
    const room = roomFor(length)
    const grown = allocate(room)
    if (grown == 0) return false
    memory.copy(grown, this.key, kept)
    this.key = grown
    this.keyRoom = <u32>room
    return true
  }
}

/** Whether the entry of one source comes before that of the other: by key, the newest first, of the same entry that of the newer source. */
export function isBefore(a: Source, b: Source): bool {
  if (a.word != b.word) return a.word < b.word
  const order = compareKeys(a.key, a.keyLength, b.key, b.keyLength)
  if (order != 0) return order < 0
  return a.inverted != b.inverted ? a.inverted < b.inverted : a.rank < b.rank
}

/** The lengths of an entry that `readHeader` read. */
let header0: u64 = 0
let header1: u64 = 0
let header2: u64 = 0

/** Reads the lengths of an entry. Returns where its trailer begins; 0 if they are malformed. */
function readHeader(at: usize, end: usize): usize {
  at = readUvarint(at, end, MAX_KEY_LENGTH)
  if (at == 0) return 0
  header0 = uvarint
  at = readUvarint(at, end, MAX_KEY_LENGTH)
  if (at == 0) return 0
  header1 = uvarint
  at = readUvarint(at, end, MAX_UVARINT)
  if (at == 0) return 0
  header2 = uvarint
  return at
}

/** What `readUvarint` read. */
let uvarint: u64 = 0

/** Reads a number in its shortest form. Returns the place behind it; 0 if there is none up to `limit`. */
function readUvarint(at: usize, end: usize, limit: u64): usize {
  let value: u64 = 0
  for (let shift: u64 = 0; shift < 56; shift += 7) {
    if (at >= end) return 0
    const byte: u64 = load<u8>(at++)
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      uvarint = value
      return (byte == 0 && shift > 0) || value > limit ? 0 : at
    }
  }
  return 0
}
