/**
 * Private copies. `slice` is not one: a Node `Buffer` is a `Uint8Array` whose `slice` shares its memory.
 */

/** Up to this many bytes a loop is cheaper than `subarray` and `set`. */
const SHORT = 64

/** A copy of `bytes[start..end)` as a plain `Uint8Array` in memory of its own, never shared. */
export function copyBytes(bytes: Uint8Array, start = 0, end: number = bytes.length): Uint8Array {
  const length = end - start
  const copy = new Uint8Array(length)
  if (length <= SHORT) for (let i = 0; i < length; i++) copy[i] = bytes[start + i]!
  else copy.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
  return copy
}
