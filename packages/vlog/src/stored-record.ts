/**
 * From a verified record as it is stored to what callers see: decrypted, its key checked, its value uncompressed.
 *
 * A plain record is handed on as it lies. An encrypted one is decrypted into an array of its own, never in place: the
 * stored bytes may be asked for again. What does not fit together after the checksum held is still `CorruptionError`.
 */
import { NotSupportedError } from '@wk/codec'
import { damage, type LogicalFile } from './file-map.js'
import { META_LZ4, VERSION_LENGTH } from './format.js'
import { uncompressValue } from './lz4.js'
import type { RecordCipher } from './record-cipher.js'
import { UNSAFE, hasKey, readVersion, type RecordHeader } from './record.js'
import type { VlogEntry } from './vlog-entry.js'

/** Decrypts key and value of the record at `start`. The result begins with the key: `header.headerLength` becomes 0. */
function decrypt(cipher: RecordCipher, offset: number, bytes: Uint8Array, start: number, header: RecordHeader): Uint8Array {
  const from = start + header.headerLength
  header.headerLength = 0
  return cipher.apply(offset, bytes, from, from + header.keyLength + header.valueLength)
}

/**
 * The value of a verified record: a copy, or a view if the memory is the caller's and the value is most of it.
 * `offset` is its place in the logical file. @throws CorruptionError if it is of another key or version
 */
export function openValue(
  logical: LogicalFile,
  offset: number,
  bytes: Uint8Array,
  start: number,
  header: RecordHeader,
  isOwn: boolean,
  key: Uint8Array,
  version: number,
): Uint8Array {
  const { cipher } = logical
  if (cipher !== undefined) {
    bytes = decrypt(cipher, offset, bytes, start, header)
    start = 0
    isOwn = true
  }
  if (!hasKey(bytes, start, header, key, version)) throw damage(logical, offset, 'the record belongs to another key or version')
  const from = start + header.headerLength + header.keyLength
  const end = from + header.valueLength
  if ((header.meta & META_LZ4) !== 0) return uncompressValue(bytes.subarray(from, end), (message) => damage(logical, offset, message))
  return isOwn && 2 * header.valueLength > bytes.length ? bytes.subarray(from, end) : bytes.slice(from, end)
}

/**
 * The verified record at `start`, copied; its value is a view if the memory is the caller's (`isOwn`) and it is most of
 * it. With `stored` the value is left as it is stored, and `meta` says so.
 * @throws NotSupportedError if its version or expiry is above 2^53 - 1; CorruptionError
 */
export function openEntry(logical: LogicalFile, offset: number, bytes: Uint8Array, start: number, header: RecordHeader, isOwn: boolean, stored = false): VlogEntry {
  const { cipher } = logical
  if (cipher !== undefined) {
    bytes = decrypt(cipher, offset, bytes, start, header)
    start = 0
    isOwn = true
  }
  const version = readVersion(bytes, start, header)
  if (version === UNSAFE || header.expiresAt === UNSAFE) {
    throw new NotSupportedError('a record whose version or expiry is above 2^53 - 1')
  }
  const keyStart = start + header.headerLength
  const valueStart = keyStart + header.keyLength
  const valueEnd = valueStart + header.valueLength
  const isPacked = (header.meta & META_LZ4) !== 0 && !stored
  const isView = isOwn && 2 * header.valueLength > bytes.length
  return {
    key: bytes.slice(keyStart, valueStart - VERSION_LENGTH),
    version,
    meta: isPacked ? header.meta & ~META_LZ4 : header.meta,
    userMeta: header.userMeta,
    expiresAt: header.expiresAt,
    value: isPacked
      ? uncompressValue(bytes.subarray(valueStart, valueEnd), (message) => damage(logical, offset, message))
      : isView ? bytes.subarray(valueStart, valueEnd) : bytes.slice(valueStart, valueEnd),
  }
}

/** The version of the verified record at `start` of a file of this cipher; {@link UNSAFE} above 2^53 - 1. Changes nothing. */
export function openVersion(cipher: RecordCipher | undefined, offset: number, bytes: Uint8Array, start: number, header: RecordHeader): number {
  if (cipher === undefined) return readVersion(bytes, start, header)
  const { headerLength, keyLength } = header
  const from = start + headerLength
  const key = cipher.apply(offset, bytes, from, from + keyLength)
  header.headerLength = 0
  const version = readVersion(key, 0, header)
  header.headerLength = headerLength
  return version
}

/** The user key of the verified record at `start`: a copy. Changes nothing. */
export function openKey(logical: LogicalFile, offset: number, bytes: Uint8Array, start: number, { headerLength, keyLength }: RecordHeader): Uint8Array {
  const from = start + headerLength
  if (logical.cipher === undefined) return bytes.slice(from, from + keyLength - VERSION_LENGTH)
  return logical.cipher.apply(offset, bytes, from, from + keyLength).subarray(0, keyLength - VERSION_LENGTH)
}
