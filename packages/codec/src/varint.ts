/**
 * Unsigned LEB128 varints for numbers up to 2^53 - 1: seven bits a byte, least significant first.
 *
 * What is no such number is refused: `Infinity` would be divided for ever. Writing is here; reading untrusted bytes goes through `ByteReader`, which refuses overlong and oversized forms.
 */

import { InvalidArgumentError } from './errors.js'

/** Most bytes a varint of this engine takes (53 bits). */
export const MAX_UVARINT_LENGTH = 8

/** Bytes that `value` takes. @throws InvalidArgumentError unless it is a safe integer from 0 */
export function uvarintLength(value: number): number {
  if (!isUvarint(value)) throw noUvarint()
  let length = 1
  while (value >= 0x80) {
    value = Math.floor(value / 0x80)
    length++
  }
  return length
}

/**
 * Writes `value` at `at` and returns the offset after it. Requires room for {@link uvarintLength} bytes.
 * @throws InvalidArgumentError unless `value` is a safe integer from 0; `into` and `at` are not looked at
 */
export function writeUvarint(into: Uint8Array, at: number, value: number): number {
  if (!isUvarint(value)) throw noUvarint()
  while (value > 0x7fffffff) {
    into[at++] = (value % 0x80) | 0x80
    value = Math.floor(value / 0x80)
  }
  while (value >= 0x80) {
    into[at++] = (value & 0x7f) | 0x80
    value >>>= 7
  }
  into[at++] = value
  return at
}

/** As `isCount`, for every entry that is written: two comparisons and a rounding. */
function isUvarint(value: number): boolean {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER && Math.floor(value) === value
}

function noUvarint(): InvalidArgumentError {
  return new InvalidArgumentError('expected: a safe integer from 0')
}
