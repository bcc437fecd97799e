/**
 * Value pointers: where a value's record lies in the value log.
 *
 * Twelve bytes, as Badger v4 keeps them (structs.go): `fid`, `len`, `offset`, each an unsigned 32-bit little-endian
 * number. `offset` is that of the record's first byte, `len` covers the whole record, header and checksum included.
 */

import { bytesFrom } from './bytes-from.js'
import { readU32, writeU32 } from './byte-writer.js'
import { CorruptionError, InvalidArgumentError } from './errors.js'

/** Where a record lies. */
export interface ValuePointer {
  /** Number of the (logical) value-log file. Files are numbered from 1. */
  fid: number
  /** Offset of the record in that file, in bytes. */
  offset: number
  /** Length of the record, in bytes. */
  len: number
}

/** Bytes of an encoded pointer. */
export const POINTER_LENGTH = 12

/** Writes a pointer at `at`. Requires room for {@link POINTER_LENGTH} bytes. */
export function writePointer(into: Uint8Array, at: number, fid: number, offset: number, len: number): void {
  writeU32(into, at, fid)
  writeU32(into, at + 4, len)
  writeU32(into, at + 8, offset)
}

/** The twelve bytes of `pointer`. Throws `InvalidArgumentError` for what is none: other bytes would lead elsewhere. */
export function encodePointer(pointer: ValuePointer): Uint8Array {
  if (typeof pointer !== 'object' || pointer === null) throw new InvalidArgumentError('a value pointer must be an object')
  const { fid, offset, len } = pointer
  if (!isU32(fid) || !isU32(offset) || !isU32(len)) throw new InvalidArgumentError('the fields of a value pointer must be integers from 0 to 4,294,967,295')
  const encoded = new Uint8Array(POINTER_LENGTH)
  writePointer(encoded, 0, fid, offset, len)
  return encoded
}

/** An integer that fits into 32 bits without a sign: 0 to 4,294,967,295. */
export function isU32(value: unknown): value is number {
  return typeof value === 'number' && value >>> 0 === value
}

/** Whether something that may come from anywhere can name a record: an object with the fields of a pointer, `fid` from 1. */
export function isValuePointer(value: unknown): value is ValuePointer {
  if (typeof value !== 'object' || value === null) return false
  const { fid, offset, len } = value as Partial<ValuePointer>
  return isU32(fid) && fid > 0 && isU32(offset) && isU32(len)
}

/** The pointer at `at`. Throws `CorruptionError` when there are fewer than twelve bytes, `InvalidArgumentError` for what is no array of bytes. */
export function decodePointer(encoded: Uint8Array, at = 0): ValuePointer {
  const from = bytesFrom(encoded)
  if (from === undefined) throw new InvalidArgumentError('an encoded value pointer must be a Uint8Array')
  if (!Number.isInteger(at) || at < 0 || from.length - at < POINTER_LENGTH) throw new CorruptionError('a value pointer of fewer than 12 bytes')
  return { fid: readPointerFid(from, at), offset: readPointerOffset(from, at), len: readPointerLen(from, at) }
}

/** File number of the encoded pointer at `at`. Requires {@link POINTER_LENGTH} bytes there. */
export function readPointerFid(from: Uint8Array, at: number): number {
  return readU32(from, at)
}

/** Record length of the encoded pointer at `at`. Requires {@link POINTER_LENGTH} bytes there. */
export function readPointerLen(from: Uint8Array, at: number): number {
  return readU32(from, at + 4)
}

/** Record offset of the encoded pointer at `at`. Requires {@link POINTER_LENGTH} bytes there. */
export function readPointerOffset(from: Uint8Array, at: number): number {
  return readU32(from, at + 8)
}

/** Whether both name the same record. */
export function samePointer(a: ValuePointer, b: ValuePointer): boolean {
  return a.fid === b.fid && a.offset === b.offset && a.len === b.len
}
