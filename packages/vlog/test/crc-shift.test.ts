import { crc32c } from '@wk/codec'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shiftCrc } from '../src/crc-shift.js'
import { SEED } from './support/bytes.js'

test('the sum of joined ranges follows from their sums', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.uint8Array({ maxLength: 400 }), (a, b) => {
      const joined = Uint8Array.from([...a, ...b])
      expect((shiftCrc(crc32c(a), b.length) ^ crc32c(b)) >>> 0).toBe(crc32c(joined))
    }),
    { seed: SEED, numRuns: 200 },
  )
})
