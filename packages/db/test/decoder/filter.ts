/** Bloom filter of a table, bit by bit: docs/format.md, "Filter block". */
import { check } from './reader.js'

const rotl = (x: number, n: number): number => (x << n) | (x >>> (32 - n))

function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** The k bits of m that a key probes. */
function probes(key: Buffer, m: number, k: number): number[] {
  let a = 0x9747b28c
  let b = 0x5bd1e995
  const padded = Buffer.concat([key, Buffer.alloc(3)])
  for (let i = 0; i < key.length; i += 4) {
    const w = padded.readInt32LE(i)
    a = Math.imul(rotl(a ^ Math.imul(rotl(Math.imul(w, 0xcc9e2d51), 15), 0x1b873593), 13), 5) + 0xe6546b64
    b = Math.imul(rotl(b ^ Math.imul(rotl(Math.imul(w, 0x239b961b), 17), 0xab0e9789), 19), 5) + 0x561ccd1b
  }
  let x = mix(a ^ key.length) >>> 0
  let y = mix(b ^ key.length) >>> 0
  const bits: number[] = []
  for (let i = 0; i < k; i++) {
    bits.push(x % m)
    x = (x + y) >>> 0
    y = (y + i + 1) >>> 0
  }
  return bits
}

/** The block is exactly the filter of the distinct keys, with `bitsPerKey` bits each where that is known. */
export function checkFilter(contents: Buffer, keys: readonly Buffer[], bitsPerKey: number | undefined, file: string, at: number): void {
  const need = (holds: boolean, what: string): void => check(holds, file, at, what)
  need(contents.length >= 2 && contents[0] === 1, 'hash function')
  const k = contents.readUInt8(1)
  const m = (contents.length - 2) * 8
  need(k <= 30 && (k === 0 ? m === 0 : m >= 8), `filter: k ${k}, m ${m}`)
  const bits = Buffer.alloc(m / 8)
  for (const key of keys) for (const bit of probes(key, m, k)) bits[bit >> 3] = bits.readUInt8(bit >> 3) | (1 << (bit & 7))
  need(bits.equals(contents.subarray(2)), 'bits of the filter')
  if (bitsPerKey === undefined) return
  const wantedM = bitsPerKey === 0 ? 0 : Math.ceil(Math.max(64, keys.length * bitsPerKey) / 8) * 8
  const wantedK = Math.min(30, Math.round(bitsPerKey * Math.LN2))
  need(m === wantedM && k === wantedK, `filter: m ${m} (${wantedM}), k ${k} (${wantedK})`)
}
