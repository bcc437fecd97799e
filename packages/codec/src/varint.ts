/**
 * Unsigned LEB128 varints for numbers up to 2^53 - 1: seven bits a byte, least significant first.
 *
 * Writing is here; reading untrusted bytes goes through `ByteReader`, which refuses overlong and oversized forms.
 */

/** Most bytes a varint of this engine takes (53 bits). */
export const MAX_UVARINT_LENGTH = 8

/** Bytes that `value` takes. Requires a safe integer that is not negative. */
export function uvarintLength(value: number): number {
  let length = 1
  while (value >= 0x80) {
    value = Math.floor(value / 0x80)
    length++
  }
  return length
}

/** Writes `value` at `at` and returns the offset after it. Requires room for {@link uvarintLength} bytes. */
export function writeUvarint(into: Uint8Array, at: number, value: number): number {
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
