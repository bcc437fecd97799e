/**
 * A record as callers see it.
 */
import { NotSupportedError } from '@wk/codec'
import { VERSION_LENGTH } from './format.js'
import { readVersion, UNSAFE, type RecordHeader } from './record.js'

/** One record of the log. The byte arrays are the receiver's own. */
export interface VlogEntry {
  /** User key, without the version that Badger appends to it. */
  key: Uint8Array
  /** The 64-bit number behind the key; 0 for a host without versions. */
  version: number
  /** Meta byte as stored. */
  meta: number
  /** The user's own byte. */
  userMeta: number
  /** Unix seconds, 0 = never. The log stores it and never acts on it. */
  expiresAt: number
  value: Uint8Array
}

/**
 * Copies the verified record at `start` out.
 * @throws NotSupportedError if its version or expiry is above 2^53 - 1
 */
export function copyEntry(bytes: Uint8Array, start: number, header: RecordHeader): VlogEntry {
  const version = readVersion(bytes, start, header)
  if (version === UNSAFE || header.expiresAt === UNSAFE) {
    throw new NotSupportedError('a record whose version or expiry is above 2^53 - 1')
  }
  const keyStart = start + header.headerLength
  const valueStart = keyStart + header.keyLength
  return {
    key: bytes.slice(keyStart, valueStart - VERSION_LENGTH),
    version,
    meta: header.meta,
    userMeta: header.userMeta,
    expiresAt: header.expiresAt,
    value: bytes.slice(valueStart, valueStart + header.valueLength),
  }
}
