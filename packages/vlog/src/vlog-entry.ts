/**
 * A record as callers see it. Made from stored bytes by `stored-record.ts`.
 */

/** One record of the log. The byte arrays are the receiver's own; their `.buffer` may be larger and hold other values. */
export interface VlogEntry {
  /** User key, without the version that Badger appends to it. */
  key: Uint8Array
  /** The 64-bit number behind the key; 0 for a host without versions. */
  version: number
  /** Meta byte as stored; without `META_LZ4`, unless the value was asked for as it is stored. */
  meta: number
  /** The user's own byte. */
  userMeta: number
  /** Unix seconds, 0 = never. The log stores it and never acts on it. */
  expiresAt: number
  value: Uint8Array
}
