/**
 * Internal keys: a user key, the sequence number of the write, and what the write was.
 *
 * Order: user key ascending, then sequence number **descending**, so that the newest version of a key comes first.
 * Encoded: the user key, six bytes `MAX_SEQUENCE - sequence` big-endian, one byte of kind. No two entries share a
 * sequence number, so the kind never decides the order.
 *
 * Trailers are written, read and compared once for each entry: those functions take what they are given (`Requires`), and check nothing.
 */
import { checkArgument } from './check-argument.js'
import { compareRanges } from './compare.js'
import { isU32 } from './value-pointer.js'

/** Largest sequence number: 2^48 - 1. */
export const MAX_SEQUENCE = 0xffff_ffff_ffff

/** Bytes that follow the user key. */
export const TRAILER_LENGTH = 7

/** Longest user key, in bytes (Badger's own limit). */
export const MAX_KEY_LENGTH = 65_000

/** The key was deleted. On disk, never renumber. */
export const KIND_TOMBSTONE = 0
/** The payload holds the value. On disk, never renumber. */
export const KIND_VALUE = 1
/** The payload holds a value pointer. On disk, never renumber. */
export const KIND_POINTER = 2
/** Flag: the payload carries user meta and an expiry (`entry-payload.ts`). On disk, never renumber. */
export const KIND_ATTRIBUTES = 0x04

const FLAGGED_VALUE = KIND_VALUE | KIND_ATTRIBUTES
const FLAGGED_POINTER = KIND_POINTER | KIND_ATTRIBUTES

/** The kind without its flags. */
export function baseKind(kind: number): number {
  return kind & 0x03
}

/** Whether `kind` is one that this version writes. */
export function isKind(kind: number): boolean {
  // Compared, not masked: what only looks like a kind in its low bits, and text, is none.
  return kind === KIND_VALUE || kind === KIND_POINTER || kind === KIND_TOMBSTONE || kind === FLAGGED_VALUE || kind === FLAGGED_POINTER
}

/** Writes the trailer at `at` and returns the offset after it. Requires room for {@link TRAILER_LENGTH} bytes. */
export function writeTrailer(into: Uint8Array, at: number, sequence: number, kind: number): number {
  const inverted = MAX_SEQUENCE - sequence
  const high = Math.floor(inverted / 0x100_0000)
  const low = inverted % 0x100_0000
  into[at] = high >>> 16
  into[at + 1] = high >>> 8
  into[at + 2] = high
  into[at + 3] = low >>> 16
  into[at + 4] = low >>> 8
  into[at + 5] = low
  into[at + 6] = kind
  return at + TRAILER_LENGTH
}

/** Sequence number of the trailer at `at`. Requires that it is there. */
export function readTrailerSequence(from: Uint8Array, at: number): number {
  const high = (from[at]! << 16) | (from[at + 1]! << 8) | from[at + 2]!
  const low = (from[at + 3]! << 16) | (from[at + 4]! << 8) | from[at + 5]!
  return MAX_SEQUENCE - (high * 0x100_0000 + low)
}

/** Kind of the trailer at `at`. Requires that it is there. */
export function readTrailerKind(from: Uint8Array, at: number): number {
  return from[at + 6]!
}

/** Whether `sequence` is one that an entry can have: an integer from 0 to {@link MAX_SEQUENCE}. */
export function isSequence(sequence: number): boolean {
  // `Number.isInteger` costs a lookup in a memtable 5 %, this nothing that could be measured.
  return typeof sequence === 'number' && sequence >= 0 && sequence <= MAX_SEQUENCE && Math.floor(sequence) === sequence
}

/** Compares (user key, sequence) pairs in internal order. */
export function compareInternal(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  aSequence: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
  bSequence: number,
): number {
  const order = compareRanges(a, aStart, aEnd, b, bStart, bEnd)
  return order !== 0 ? order : bSequence - aSequence
}

/** The encoded internal key. @throws InvalidArgumentError for a key that is no bytes, a sequence number over 48 bits, a kind that is no byte */
export function encodeInternalKey(userKey: Uint8Array, sequence: number, kind: number): Uint8Array {
  checkArgument(userKey instanceof Uint8Array && isSequence(sequence) && isU32(kind) && kind <= 0xff, 'a key as a Uint8Array, a sequence number within 48 bits, and a byte of kind')
  const encoded = new Uint8Array(userKey.length + TRAILER_LENGTH)
  encoded.set(userKey)
  writeTrailer(encoded, userKey.length, sequence, kind)
  return encoded
}
