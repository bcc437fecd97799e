/**
 * Byte order: keys compare as unsigned bytes, a prefix before what extends it.
 *
 * Everything that is sorted in this engine uses these functions, so there is one order. They are hot: that arguments are bytes, and places in them, is not
 * checked.
 */
import { copyBytes } from './copy-bytes.js'

/** Negative, zero or positive as `a` sorts before, with or after `b`. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return compareRanges(a, 0, a.length, b, 0, b.length)
}

/** {@link compareBytes} of `a[aStart..aEnd)` and `b[bStart..bEnd)`, without a view being made. */
export function compareRanges(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const aLength = aEnd - aStart
  const bLength = bEnd - bStart
  const shared = aLength < bLength ? aLength : bLength
  for (let i = 0; i < shared; i++) {
    const difference = a[aStart + i]! - b[bStart + i]!
    if (difference !== 0) return difference
  }
  return aLength - bLength
}

/** Number of leading bytes that the two ranges share. */
export function commonPrefixLength(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const limit = Math.min(aEnd - aStart, bEnd - bStart)
  let i = 0
  while (i < limit && a[aStart + i] === b[bStart + i]) i++
  return i
}

/**
 * A short key `s` with `a <= s < b`. Requires `a < b`. The result is the caller's own.
 * Index blocks use it: the separator is often far shorter than the keys it parts.
 */
export function shortestSeparator(a: Uint8Array, b: Uint8Array): Uint8Array {
  const shared = commonPrefixLength(a, 0, a.length, b, 0, b.length)
  const byte = a[shared]
  const limit = b[shared]
  if (byte !== undefined && limit !== undefined && byte < 0xff && byte + 1 < limit) {
    const separator = copyBytes(a, 0, shared + 1)
    separator[shared] = byte + 1
    return separator
  }
  return copyBytes(a)
}
