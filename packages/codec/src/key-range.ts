/**
 * A range of user keys in byte order. If both `gte` and `gt` are given `gte` counts; likewise `lte` over `lt`.
 */
import { compareBytes } from './compare.js'

/** Bounds of user keys; an absent bound does not bind. */
export interface KeyRange {
  gt?: Uint8Array | undefined
  gte?: Uint8Array | undefined
  lt?: Uint8Array | undefined
  lte?: Uint8Array | undefined
}

/** Whether `key` is not before the range. */
export function isAtOrAfterStart(range: KeyRange, key: Uint8Array): boolean {
  if (range.gte !== undefined) return compareBytes(key, range.gte) >= 0
  if (range.gt !== undefined) return compareBytes(key, range.gt) > 0
  return true
}

/** Whether `key` is not after the range. */
export function isAtOrBeforeEnd(range: KeyRange, key: Uint8Array): boolean {
  if (range.lte !== undefined) return compareBytes(key, range.lte) <= 0
  if (range.lt !== undefined) return compareBytes(key, range.lt) < 0
  return true
}

/** Whether `key` lies within both bounds. */
export function isInRange(range: KeyRange, key: Uint8Array): boolean {
  return isAtOrAfterStart(range, key) && isAtOrBeforeEnd(range, key)
}
