/**
 * One record of a value-log file, as Badger v4 writes it (memtable.go `encodeEntry`, structs.go `header.Encode`).
 *
 * | part         | encoding                                                                        |
 * |--------------|---------------------------------------------------------------------------------|
 * | meta         | 1 byte                                                                          |
 * | user meta    | 1 byte                                                                          |
 * | key length   | uvarint; counts the 8 bytes of the version                                      |
 * | value length | uvarint                                                                         |
 * | expires at   | uvarint, Unix seconds, 0 = never                                                |
 * | key          | user key, then 2^64 - 1 - version as big-endian u64                             |
 * | value        | raw, or compressed (meta bit `META_LZ4`, ours)                                  |
 * | CRC-32C      | 4 bytes, BIG-endian, of everything before it                                    |
 *
 * In an encrypted file key and value are one run of AES-CTR (`record-cipher.ts`); the sum covers what is stored.
 *
 * Pure functions over caller-owned bytes; nothing is allocated but what a caller asks to own. Lengths are checked as
 * plain sums of doubles (no 32-bit wrap) against the bytes that are there. Varints that are not in their shortest form
 * are refused: no writer makes them.
 */
import { crc32c, crc32cRange, isShared, uvarintLength, writeUvarint } from '@wk/codec'
import { MAX_STORED_KEY_LENGTH, RECORD_CRC_LENGTH, VERSION_LENGTH } from './format.js'
import type { RecordCipher } from './record-cipher.js'

/** Values from this many bytes on are summed where they come from, which is aligned: a twentieth of an append. */
const SUM_AT_SOURCE = 1 << 15
const TWO_32 = 0x1_0000_0000
/** A version or expiry above 2^53 - 1 comes out as this. */
export const UNSAFE = Number.POSITIVE_INFINITY

/** Fields of a record header; mutable and reused, so that reading allocates nothing. */
export interface RecordHeader {
  meta: number
  userMeta: number
  /** Length of the stored key, version included, in bytes. */
  keyLength: number
  valueLength: number
  /** Unix seconds, 0 = never; {@link UNSAFE} if it is no safe integer. */
  expiresAt: number
  /** Bytes before the key. */
  headerLength: number
  /** Bytes of the whole record, checksum included. */
  length: number
}

export function newRecordHeader(): RecordHeader {
  return { meta: 0, userMeta: 0, keyLength: 0, valueLength: 0, expiresAt: 0, headerLength: 0, length: 0 }
}

/** Bytes of a record with a user key of `keyLength` bytes. */
export function recordLength(keyLength: number, valueLength: number, expiresAt: number): number {
  const storedKeyLength = keyLength + VERSION_LENGTH
  const headerLength = 2 + uvarintLength(storedKeyLength) + uvarintLength(valueLength) + uvarintLength(expiresAt)
  return headerLength + storedKeyLength + valueLength + RECORD_CRC_LENGTH
}

/**
 * Writes a record at `at` and returns the offset after it. Copies key and value before it sums, so bytes that change
 * meanwhile (shared memory) cannot make a record that does not verify. Requires room for {@link recordLength} bytes.
 * With a cipher, `offset` is where the record will lie in its logical file.
 */
export function writeRecord(
  into: Uint8Array,
  at: number,
  key: Uint8Array,
  version: number,
  meta: number,
  userMeta: number,
  expiresAt: number,
  value: Uint8Array,
  cipher?: RecordCipher,
  offset = 0,
): number {
  const start = at
  at = writeHeader(into, at, key.length, meta, userMeta, expiresAt, value.length)
  const keyStart = at
  at = writeKey(into, at, key, version)
  if (cipher === undefined && value.length >= SUM_AT_SOURCE && !isShared(value)) {
    const sum = crc32c(value, crc32cRange(into, start, at))
    into.set(value, at)
    writeU32BE(into, at + value.length, sum)
    return at + value.length + RECORD_CRC_LENGTH
  }
  at = copyInto(into, at, value)
  if (cipher !== undefined) into.set(cipher.apply(offset, into, keyStart, at), keyStart)
  writeU32BE(into, at, crc32cRange(into, start, at))
  return at + RECORD_CRC_LENGTH
}

/** Writes everything before the value and returns the offset after it. */
export function writeHead(
  into: Uint8Array,
  at: number,
  key: Uint8Array,
  version: number,
  meta: number,
  userMeta: number,
  expiresAt: number,
  valueLength: number,
): number {
  return writeKey(into, writeHeader(into, at, key.length, meta, userMeta, expiresAt, valueLength), key, version)
}

/** Writes what comes before the key and returns the offset after it. */
function writeHeader(into: Uint8Array, at: number, keyLength: number, meta: number, userMeta: number, expiresAt: number, valueLength: number): number {
  into[at++] = meta
  into[at++] = userMeta
  at = writeUvarint(into, at, keyLength + VERSION_LENGTH)
  at = writeUvarint(into, at, valueLength)
  return writeUvarint(into, at, expiresAt)
}

/** Writes the stored key and returns the offset after it. */
function writeKey(into: Uint8Array, at: number, key: Uint8Array, version: number): number {
  at = copyInto(into, at, key)
  writeU32BE(into, at, ~(version / TWO_32))
  writeU32BE(into, at + 4, ~version)
  return at + VERSION_LENGTH
}

/** A loop beats `set` for a few bytes. */
function copyInto(into: Uint8Array, at: number, from: Uint8Array): number {
  const { length } = from
  if (length > 48) into.set(from, at)
  else for (let i = 0; i < length; i++) into[at + i] = from[i]!
  return at + length
}

/**
 * Reads the header at `at` into `out`. False if no header is there, its key cannot hold a version or is longer than
 * Badger reads, or the record would end after `end`. Looks at no byte from `end` on, and trusts nothing: a true answer
 * only means that the record's bytes can be fetched to check their sum.
 */
export function readRecordHeader(bytes: Uint8Array, at: number, visibleEnd: number, end: number, out: RecordHeader): boolean {
  if (visibleEnd - at < 5) return false
  out.meta = bytes[at]!
  out.userMeta = bytes[at + 1]!
  const keyLength = readUvarint(bytes, at + 2, visibleEnd, 5)
  if (keyLength < VERSION_LENGTH || keyLength > MAX_STORED_KEY_LENGTH) return false
  const valueLength = readUvarint(bytes, afterUvarint, visibleEnd, 5)
  if (valueLength < 0) return false
  const expiresAt = readUvarint(bytes, afterUvarint, visibleEnd, 10)
  if (expiresAt < 0) return false
  out.keyLength = keyLength
  out.valueLength = valueLength
  out.expiresAt = expiresAt
  out.headerLength = afterUvarint - at
  out.length = out.headerLength + keyLength + valueLength + RECORD_CRC_LENGTH
  return at + out.length <= end
}

/** Offset after the varint that {@link readUvarint} read last. */
let afterUvarint = 0

/** The varint at `at`, -1 if there is none; {@link UNSAFE} above 2^53 - 1. */
function readUvarint(bytes: Uint8Array, at: number, end: number, maxBytes: number): number {
  let value = 0
  let scale = 1
  for (let i = 0; i < maxBytes && at < end; i++) {
    const byte = bytes[at++]!
    value += (byte & 0x7f) * scale
    if (byte < 0x80) {
      if ((byte === 0 && i > 0) || (i === 9 && byte > 1)) return -1
      afterUvarint = at
      return value > Number.MAX_SAFE_INTEGER ? UNSAFE : value
    }
    scale *= 0x80
  }
  return -1
}

/** Whether the sum of the record at `at` is right. Requires the whole record, with `header` read from it. */
export function verifiesCrc(bytes: Uint8Array, at: number, header: RecordHeader): boolean {
  const end = at + header.length - RECORD_CRC_LENGTH
  return crc32cRange(bytes, at, end) === readU32BE(bytes, end)
}

/** The version of the record at `at`; {@link UNSAFE} above 2^53 - 1. */
export function readVersion(bytes: Uint8Array, at: number, header: RecordHeader): number {
  const suffix = at + header.headerLength + header.keyLength - VERSION_LENGTH
  const high = ~readU32BE(bytes, suffix) >>> 0
  if (high > 0x1f_ffff) return UNSAFE
  return high * TWO_32 + (~readU32BE(bytes, suffix + 4) >>> 0)
}

/** Whether the record at `at` belongs to this user key and version. */
export function hasKey(bytes: Uint8Array, at: number, header: RecordHeader, key: Uint8Array, version: number): boolean {
  const { length } = key
  if (header.keyLength !== length + VERSION_LENGTH) return false
  const start = at + header.headerLength
  for (let i = 0; i < length; i++) if (bytes[start + i] !== key[i]) return false
  return readVersion(bytes, at, header) === version
}

export function readU32BE(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}

export function writeU32BE(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24
  into[at + 1] = value >>> 16
  into[at + 2] = value >>> 8
  into[at + 3] = value
}
