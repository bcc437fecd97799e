/**
 * Keys, ranges and limits as callers pass them in, checked and turned into bytes and counts. Whatever is wrong is
 * `InvalidArgumentError`.
 */
import { bytesFrom } from './bytes-from.js'
import { copyBytes } from './copy-bytes.js'
import { InvalidArgumentError } from './errors.js'
import { MAX_KEY_LENGTH } from './internal-key.js'
import type { KeyRange } from './key-range.js'

const encoder = new TextEncoder()

/** Text as UTF-8, bytes as they are, not copied. `what` it is, for the message. @throws InvalidArgumentError for anything else */
export function bytesOf(value: unknown, what: string): Uint8Array {
  if (typeof value === 'string') return encoder.encode(value)
  const bytes = bytesFrom(value)
  if (bytes === undefined) throw new InvalidArgumentError(`${what} must be a string or a Uint8Array`)
  return bytes
}

/** The bytes of a key, at most 65,000, not copied. @throws InvalidArgumentError */
export function keyBytes(key: string | Uint8Array): Uint8Array {
  const bytes = bytesOf(key, 'key')
  if (bytes.length > MAX_KEY_LENGTH) throw new InvalidArgumentError(`a key of ${bytes.length} bytes; at most ${MAX_KEY_LENGTH} are allowed`)
  return bytes
}

/**
 * {@link keyBytes}, as bytes of our own: a key that is stored in several places must be the same in all of them, also if it lies in memory that another thread
 * writes to meanwhile.
 */
export function ownKeyBytes(key: string | Uint8Array): Uint8Array {
  const bytes = keyBytes(key)
  return typeof key === 'string' ? bytes : copyBytes(bytes)
}

/** A range as bytes that are our own. @throws InvalidArgumentError */
export function rangeBytes(range: { readonly [Bound in keyof KeyRange]?: string | Uint8Array | undefined }): KeyRange {
  const bytes: KeyRange = {}
  for (const bound of ['gt', 'gte', 'lt', 'lte'] as const) {
    const value = range[bound]
    if (value !== undefined) bytes[bound] = copyBytes(bytesOf(value, bound))
  }
  return bytes
}

/** `limit` as a count; -1 and absence are no limit. @throws InvalidArgumentError */
export function limitOf(limit: number | undefined): number {
  if (limit === undefined || limit === -1 || limit === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  if (!Number.isSafeInteger(limit) || limit < 0) throw new InvalidArgumentError('limit must be an integer from 0, or -1')
  return limit
}
