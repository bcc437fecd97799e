import { FilterBuilder, filterMayContain, isFilter, remainder } from '../src/bloom-filter.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { numbered } from './support.js'

/** Shapes of keys: number i of each kind, distinct. */
const kinds: Record<string, (i: number) => Uint8Array> = {
  decimal: numbered,
  'big-endian counter': (i) => Uint8Array.of(0, 0, 0, 0, i >>> 24, i >>> 16, i >>> 8, i),
  'little-endian counter': (i) => Uint8Array.of(i, i >>> 8, i >>> 16, i >>> 24, 0, 0, 0),
  'path like': (i) => Buffer.from(`node_modules/package-${i % 97}/lib/file-${Math.floor(i / 97)}.js`),
  'zero bytes': (i) => Uint8Array.of(...new Uint8Array(i % 50), i & 255, (i >> 8) & 255, (i >> 16) & 255),
  'scattered binary': (i) => {
    const key = new Uint8Array(16)
    const view = new DataView(key.buffer)
    for (let w = 0; w < 4; w++) view.setUint32(w * 4, Math.imul(i * 4 + w + 1, 0x9e3779b1) ^ (Math.imul(i, 0x85ebca6b) >>> 13))
    return key
  },
}

function falsePositives(bitsPerKey: number, keys: number, probes: number, make: (i: number) => Uint8Array): number {
  const builder = new FilterBuilder(bitsPerKey)
  for (let i = 0; i < keys; i++) builder.add(make(i), 0, make(i).length)
  const filter = builder.finish()
  for (let i = 0; i < keys; i += 7) expect(filterMayContain(filter, make(i), 0, make(i).length)).toBe(true)
  let hits = 0
  for (let i = 0; i < probes; i++) if (filterMayContain(filter, make(keys + i), 0, make(keys + i).length)) hits++
  return hits / probes
}

function theory(bitsPerKey: number): number {
  const probes = Math.round(bitsPerKey * Math.LN2)
  return (1 - Math.exp(-probes / bitsPerKey)) ** probes
}

describe('bloom filter', () => {
  it.each(Object.keys(kinds))('keeps its false positives within 20 % of theory: %s', (name) => {
    const make = kinds[name] as (i: number) => Uint8Array
    for (const [bitsPerKey, keys, probes] of [
      [10, 20_000, 200_000],
      [5, 5000, 50_000],
    ] as const) {
      const rate = falsePositives(bitsPerKey, keys, probes, make)
      expect(rate / theory(bitsPerKey), `${name}, ${bitsPerKey} bits: ${rate}`).toBeGreaterThan(0.8)
      expect(rate / theory(bitsPerKey), `${name}, ${bitsPerKey} bits: ${rate}`).toBeLessThan(1.2)
    }
  })

  it('keeps to theory with many keys', () => {
    const rate = falsePositives(10, 300_000, 300_000, numbered)
    expect(rate / theory(10)).toBeGreaterThan(0.8)
    expect(rate / theory(10)).toBeLessThan(1.2)
  })

  it('has the bits that its format says, of hashes next to multiples of its length as well', () => {
    const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
    const near = fc.integer({ min: -1, max: 1 })
    fc.assert(
      // Of 392 and 784 bits many a product with the inverse is too small; one key alone, since bits of others would hide it.
      fc.property(u32, u32, near, near, fc.constantFrom(64, 392, 784, 8008), fc.constantFrom(1, 3.5, 7), (any, other, nearX, nearY, bits, bitsPerKey) => {
        let x = Math.max(0, Math.floor(any / bits) * bits + nearX)
        let y = Math.max(0, Math.floor(other / bits) * bits + nearY)
        const builder = new FilterBuilder(bitsPerKey)
        builder.addHashes(Uint32Array.from({ length: 2 * Math.floor(bits / bitsPerKey) }, (_, i) => (i % 2 === 0 ? x : y)))
        const filter = builder.finish()
        expect(filter.length).toBe(2 + bits / 8)
        const wanted = new Uint8Array(filter.length)
        wanted.set([1, Math.round(bitsPerKey * Math.LN2)])
        for (let i = 0; i < wanted[1]!; i++) {
          wanted[2 + Math.floor((x % bits) / 8)]! |= 1 << x % 8
          x = (x + y) % 2 ** 32
          y = (y + i + 1) % 2 ** 32
        }
        expect(Buffer.compare(filter, wanted)).toBe(0)
      }),
    )
  })

  it('lets everything through without bits', () => {
    const builder = new FilterBuilder(0)
    builder.add(numbered(1), 0, 16)
    const filter = builder.finish()
    expect([...filter]).toEqual([1, 0])
    expect(isFilter(filter)).toBe(true)
    expect(filterMayContain(filter, numbered(2), 0, 16)).toBe(true)
  })

  it('asks only filters it knows', () => {
    expect(isFilter(Uint8Array.of())).toBe(false)
    expect(isFilter(Uint8Array.of(1))).toBe(false)
    expect(isFilter(Uint8Array.of(2, 7, 1))).toBe(false)
    expect(isFilter(Uint8Array.of(1, 7))).toBe(false)
    expect(isFilter(Uint8Array.of(1, 31, 1))).toBe(false)
    expect(isFilter(Uint8Array.of(1, 0, 1))).toBe(false)
    expect(isFilter(Uint8Array.of(1, 7, 0xff))).toBe(true)
  })

  it('remainders are exact, next to multiples and at both ends as well', () => {
    const U32 = 0xffff_ffff
    const bits = fc.oneof(fc.integer({ min: 1, max: U32 >>> 3 }), fc.integer({ min: 1, max: 40 }), fc.constant(U32 >>> 3)).map((bytes) => 8 * bytes)
    fc.assert(
      fc.property(bits, fc.integer({ min: 0, max: U32 }), fc.integer({ min: -1, max: 1 }), (divisor, any, near) => {
        const multiple = Math.floor(any / divisor) * divisor + near
        for (const x of [any, multiple, U32, 0]) if (x >= 0 && x <= U32) expect(remainder(x, divisor, 1 / divisor)).toBe(x % divisor)
      }),
      { numRuns: 2000 },
    )
  })

  it('never changes its bits', () => {
    const builder = new FilterBuilder(10)
    for (let i = 0; i < 8; i++) builder.add(Buffer.from('abcdefgh'), 0, i)
    expect(Buffer.from(builder.finish()).toString('hex')).toMatchInlineSnapshot(`"010756888a7ee4732453345d"`)
  })
})
