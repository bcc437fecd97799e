/**
 * Search among sorted keys by four of their bytes: those after the prefix that all have in common. They decide nearly
 * every comparison and lie next to each other in memory, where the keys themselves do not.
 */

const SIGN = 0x8000_0000 | 0

/** Four bytes of a key, big-endian, zeros behind `end`, sign bit flipped so that signed order is byte order. */
export function wordAt(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) {
    return ((((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) ^ SIGN) | 0
  }
  let word = 0
  for (let i = 0; i < 4; i++) word = (word << 8) | (at + i < end ? (bytes[at + i] as number) : 0)
  return word ^ SIGN
}

/** Order of `key` against the prefix `bytes[start..start + length)`; 0 also if it starts with it. */
export function comparePrefix(key: Uint8Array, bytes: Uint8Array, start: number, length: number): number {
  const limit = key.length < length ? key.length : length
  for (let i = 0; i < limit; i++) {
    const difference = (key[i] as number) - (bytes[start + i] as number)
    if (difference !== 0) return difference
  }
  return limit - length
}
