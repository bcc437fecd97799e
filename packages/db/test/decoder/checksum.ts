/** CRC-32C (Castagnoli) and the salt of docs/format.md, "Frames": numbers that are summed and not stored. */

const TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = (n & 1) === 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1
  return n
})

/** CRC-32C over several byte strings, one after another. */
export function crc32c(...parts: readonly Uint8Array[]): number {
  let sum = -1
  for (const bytes of parts) for (const byte of bytes) sum = (sum >>> 8) ^ (TABLE[(sum ^ byte) & 255] ?? 0)
  return ~sum >>> 0
}

export function u64(n: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(n))
  return bytes
}
