/**
 * The key that a walk or a writer stands at, in a buffer that grows (each entry brings only what it does not share with the one before), and short copies.
 */

/** Bytes up to this count are copied by a loop: it costs less than a view. */
const SHORT_COPY = 40

/** `key`, or, if it has no room for `length` bytes, a larger one with its first `kept`. */
export function withRoom(key: Uint8Array, kept: number, length: number): Uint8Array {
  if (length <= key.length) return key
  const grown = new Uint8Array(Math.max(length, key.length * 2))
  grown.set(key.subarray(0, kept))
  return grown
}

/** Copies `from[start..start + length)` to `into[at..)`. */
export function copyRange(from: Uint8Array, start: number, into: Uint8Array, at: number, length: number): void {
  if (length > SHORT_COPY) into.set(from.subarray(start, start + length), at)
  else for (let i = 0; i < length; i++) into[at + i] = from[start + i]!
}
