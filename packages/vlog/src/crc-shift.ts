/**
 * Sums of joined byte ranges without reading them again: `crc(A ++ B) = shift(crc(A), |B|) ^ crc(B)`.
 *
 * A CRC is a polynomial over GF(2); appending n zero bytes multiplies it by x^(8n) modulo the generator. With this the
 * search for a record behind damage (`record-search.ts`) checks candidates of any length in one pass over the bytes.
 */

/** CRC-32C generator, bit-reflected. */
const GENERATOR = 0x82f63b78

/** x^(8 * 2^k) for k = 0..31, reflected. */
const powers = buildPowers()

/** The sum of a range of sum `sum` followed by `length` bytes, xor the sum of those bytes alone. */
export function shiftCrc(sum: number, length: number): number {
  let shifted = sum
  for (let k = 0; length > 0; k++) {
    if (length % 2 === 1) shifted = multiply(powers[k] ?? 0, shifted)
    length = Math.floor(length / 2)
  }
  return shifted >>> 0
}

/** Product of two reflected polynomials modulo the generator. */
function multiply(a: number, b: number): number {
  let product = 0
  for (let bit = 0x8000_0000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= b
    b = (b & 1) !== 0 ? (b >>> 1) ^ GENERATOR : b >>> 1
  }
  return product >>> 0
}

function buildPowers(): Uint32Array {
  const table = new Uint32Array(32)
  let power = 0x0080_0000 // x^8: bit 31 - 8, reflected
  for (let k = 0; k < 32; k++) {
    table[k] = power
    power = multiply(power, power)
  }
  return table
}
