import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesOf, Model, Rng, textOf, valueBytes } from '../src/index.js'

describe('key text', () => {
  it('orders as bytes do and turns back', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 8 }), fc.uint8Array({ maxLength: 8 }), (a, b) => {
        const [x, y] = [textOf(a), textOf(b)]
        expect(bytesOf(x)).toEqual(a)
        expect(Math.sign(Buffer.compare(a, b))).toBe(x < y ? -1 : x > y ? 1 : 0)
      }),
    )
  })
})

describe('the model', () => {
  const model = new Model(['b', 'a', 'd', 'c'].map((key) => [key, Buffer.from(key)] as const))
  const keys = (range: Parameters<Model['scan']>[0]): string => model.scan(range).map(([key]) => key).join('')

  it('scans ranges both ways with a limit', () => {
    expect(keys({})).toBe('abcd')
    expect(keys({ gte: 'b', lt: 'd' })).toBe('bc')
    expect(keys({ gt: 'b', lte: 'd', reverse: true })).toBe('dc')
    expect(keys({ gt: 'a', gte: 'a' })).toBe('abcd')
    expect(keys({ reverse: true, limit: 2 })).toBe('dc')
    expect(keys({ limit: 0 })).toBe('')
    expect(keys({ limit: -1 })).toBe('abcd')
    expect(keys({ gt: 'c', lt: 'b' })).toBe('')
  })

  it('has snapshots that do not move', () => {
    const copy = model.snapshot()
    model.apply({ key: 'e', value: new Uint8Array() })
    model.apply({ key: 'a', value: undefined })
    expect(copy.entries().map(([key]) => key)).toEqual(['a', 'b', 'c', 'd'])
    expect(keys({})).toBe('bcde')
  })
})

describe('seeded values', () => {
  it('are the same for the same seed and differ otherwise', () => {
    expect(valueBytes({ size: 100, seed: 1 })).toEqual(valueBytes({ size: 100, seed: 1 }))
    expect(valueBytes({ size: 100, seed: 1 })).not.toEqual(valueBytes({ size: 100, seed: 3 }))
    expect(valueBytes({ size: 0, seed: 1 }).length).toBe(0)
  })

  it('numbers stay in their bounds and reach them', () => {
    const rng = new Rng(1)
    const seen = new Set(Array.from({ length: 1000 }, () => rng.between(3, 6)))
    expect([...seen].sort()).toEqual([3, 4, 5, 6])
    expect(new Rng(5).next()).toBe(new Rng(5).next())
    expect(rng.weighted({ never: 0, always: 1 })).toBe('always')
  })
})
