/** A union of ranges holds exactly the keys that one of them holds. */
import { isInRange } from '@wk/codec'
import type { KeyRange } from '@wk/codec'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RangeUnion } from '../src/range-union.js'

const key = fc.uint8Array({ maxLength: 2, max: 3 })
const range: fc.Arbitrary<KeyRange> = fc.record({ gt: key, gte: key, lt: key, lte: key }, { requiredKeys: [] })

test('equals asking each range', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 12 }), fc.array(key, { minLength: 1, maxLength: 20 }), (ranges, keys) => {
      const union = new RangeUnion(ranges)
      for (const one of keys) expect(union.has(one)).toBe(ranges.some((each) => isInRange(each, one)))
    }),
    { numRuns: 2000 },
  )
})
