/**
 * From a verified record as it is stored to what callers see: decrypted, its key checked, its value uncompressed.
 *
 * A plain record is handed on as it lies. An encrypted one is decrypted into an array of its own, never in place: the
 * stored bytes may be asked for again. What does not fit together after the checksum held is still `CorruptionError`.
 */
import { NotSupportedError, copyBytes, type ResultMemory } from '@wk/codec'
import { damage, type LogicalFile } from './file-map.js'
import { META_LZ4, VERSION_LENGTH } from './format.js'
import { uncompressValue } from './lz4.js'
import type { RecordCipher } from './record-cipher.js'
import { UNSAFE, hasKey, readVersion, type RecordHeader } from './record.js'
import type { VlogEntry } from './vlog-entry.js'

/** Decrypts key and value of a record. The result begins with the key: `header.headerLength` becomes 0. */
function decrypt(cipher: RecordCipher, offset: number, { bytes, start }: FetchedRecord, header: RecordHeader): FetchedRecord {
  const from = start + header.headerLength
  header.headerLength = 0
  return { bytes: cipher.apply(offset, bytes, from, from + header.keyLength + header.valueLength), start: 0, hold: 'own' }
}

/** A record in memory, and whose that memory is. */
export interface FetchedRecord {
  bytes: Uint8Array
  start: number
  /**
   * `reserved`: it is what the `ResultMemory` reserved last, for keeps if we want. `own`: nobody else holds it. `verified`: the same,
   * and its checksum is known to be right. `lent`: it may be used again once this turn is over.
   */
  hold: 'reserved' | 'own' | 'verified' | 'lent'
}

/**
 * The value of a verified record: a view if the value is most of the record and the memory may be kept, else a copy.
 * `offset` is its place in the logical file. @throws CorruptionError if it is of another key or version
 */
export function openValue(
  logical: LogicalFile,
  offset: number,
  record: FetchedRecord,
  header: RecordHeader,
  memory: ResultMemory,
  key: Uint8Array,
  version: number,
): Uint8Array {
  const { bytes, start, hold } = logical.cipher === undefined ? record : decrypt(logical.cipher, offset, record, header)
  if (!hasKey(bytes, start, header, key, version)) throw damage(logical, offset, 'the record belongs to another key or version')
  return valueOf(logical, offset, bytes, start, hold, header, memory, false)
}

/**
 * The verified record, its key copied, its value as {@link openValue} gives it. With `stored` the value is left as it is
 * stored, and `meta` says so.
 * @throws NotSupportedError if its version or expiry is above 2^53 - 1; CorruptionError
 */
export function openEntry(
  logical: LogicalFile,
  offset: number,
  record: FetchedRecord,
  header: RecordHeader,
  memory: ResultMemory,
  stored = false,
): VlogEntry {
  const { bytes, start, hold } = logical.cipher === undefined ? record : decrypt(logical.cipher, offset, record, header)
  const version = readVersion(bytes, start, header)
  if (version === UNSAFE || header.expiresAt === UNSAFE) {
    throw new NotSupportedError('a record whose version or expiry is above 2^53 - 1')
  }
  const keyStart = start + header.headerLength
  const isPacked = (header.meta & META_LZ4) !== 0 && !stored
  return {
    key: copyBytes(bytes, keyStart, keyStart + header.keyLength - VERSION_LENGTH),
    version,
    meta: isPacked ? header.meta & ~META_LZ4 : header.meta,
    userMeta: header.userMeta,
    expiresAt: header.expiresAt,
    value: valueOf(logical, offset, bytes, start, hold, header, memory, stored),
  }
}

function valueOf(
  logical: LogicalFile,
  offset: number,
  bytes: Uint8Array,
  start: number,
  hold: FetchedRecord['hold'],
  header: RecordHeader,
  memory: ResultMemory,
  stored: boolean,
): Uint8Array {
  const from = start + header.headerLength + header.keyLength
  const end = from + header.valueLength
  if (!stored && (header.meta & META_LZ4) !== 0) return uncompressValue(bytes.subarray(from, end), (message) => damage(logical, offset, message))
  const isMost = 2 * header.valueLength > header.length
  if (hold === 'lent' || !isMost) return hold === 'reserved' ? copyBytes(bytes, from, end) : memory.copy(bytes, from, end)
  return hold === 'reserved' ? memory.keep(from, end) : bytes.subarray(from, end)
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
