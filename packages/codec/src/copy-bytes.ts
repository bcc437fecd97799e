/**
 * Private copies. `slice` is not one: a Node `Buffer` is a `Uint8Array` whose `slice` shares its memory.
 */

/** A copy of `bytes[start..end)` as a plain `Uint8Array` in memory of its own, never shared. */
export function copyBytes(bytes: Uint8Array, start = 0, end: number = bytes.length): Uint8Array {
  const copy = new Uint8Array(end - start)
  copy.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
  return copy
}
