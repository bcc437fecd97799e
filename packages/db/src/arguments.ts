/**
 * What callers pass in beside keys and ranges, checked: values, write options.
 *
 * Every check throws `InvalidArgumentError` before anything has happened. Bytes that are already a `Uint8Array` are not
 * copied here: whoever keeps them copies them.
 */
import { InvalidArgumentError, bytesOf, checkOptions } from '@wk/codec'
import { MAX_VALUE_LENGTH } from './options.js'

/** A key or a value: text is stored as UTF-8. */
export type BytesLike = string | Uint8Array

/** The bytes of a value, at most 1 GiB. */
export function valueBytes(value: BytesLike): Uint8Array {
  const bytes = bytesOf(value, 'value')
  if (bytes.length > MAX_VALUE_LENGTH) throw new InvalidArgumentError(`a value of ${bytes.length} bytes; at most ${MAX_VALUE_LENGTH} are allowed`)
  return bytes
}

/** Options of one write. */
export interface WriteOptions {
  /** Acknowledge only when this write and every earlier one are on the device. Default: the database's `syncWrites`. */
  sync?: boolean
  /** Seconds after which the entry is gone; rounded up to whole ones. */
  ttl?: number
  /** A byte of the caller's own beside the value: 0 to 255. Default 0. */
  userMeta?: number
}

/** When an entry with `ttl` expires, in Unix seconds; 0 is never. */
export function expiryOf(ttl: number | undefined, nowMs: number): number {
  if (ttl === undefined) return 0
  if (typeof ttl !== 'number' || !(ttl > 0) || ttl > 0xffff_ffff) throw new InvalidArgumentError('ttl must be a positive number of seconds')
  return Math.ceil(nowMs / 1000 + ttl)
}

export function userMetaOf(userMeta: number | undefined): number {
  if (userMeta === undefined) return 0
  if (!Number.isInteger(userMeta) || userMeta < 0 || userMeta > 255) throw new InvalidArgumentError('userMeta must be an integer from 0 to 255')
  return userMeta
}

export function syncOf(options: { sync?: boolean } | undefined, byDefault: boolean): boolean {
  const sync = options?.sync
  if (sync === undefined) return byDefault
  if (typeof sync !== 'boolean') throw new InvalidArgumentError('sync must be a boolean')
  return sync
}

/** A range of keys, in byte order. If both `gte` and `gt` are given `gte` counts; likewise `lte` over `lt`. */
export interface RangeOptions {
  gt?: BytesLike
  gte?: BytesLike
  lt?: BytesLike
  lte?: BytesLike
}

export function optionsObject<T extends object>(options: T | undefined): T | Record<string, never> {
  return options === undefined ? {} : checkOptions(options)
}
