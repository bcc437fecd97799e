/** What callers pass in as keys, ranges and limits. */
import { expect, it } from 'vitest'
import { MAX_KEY_LENGTH, bytesOf, keyBytes, limitOf, rangeBytes } from '../src/index.js'

const refused = expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' })

it('text is UTF-8, bytes are what they are, all else is refused', () => {
  expect(bytesOf('é', 'key')).toEqual(Uint8Array.of(0xc3, 0xa9))
  const bytes = Uint8Array.of(1, 2)
  expect(bytesOf(bytes, 'key')).toBe(bytes)
  for (const wrong of [undefined, null, 1, {}, [1], new ArrayBuffer(1), new Uint16Array(1)]) expect(() => bytesOf(wrong, 'key')).toThrow(refused)
})

it('a key has at most 65,000 bytes, counted as UTF-8', () => {
  expect(keyBytes('é'.repeat(MAX_KEY_LENGTH / 2))).toHaveLength(MAX_KEY_LENGTH)
  expect(() => keyBytes(`${'é'.repeat(MAX_KEY_LENGTH / 2)}x`)).toThrow(refused)
})

it('the bounds of a range are copies', () => {
  const lower = Uint8Array.of(1)
  const range = rangeBytes({ gte: lower, lt: 'b', lte: undefined })
  lower[0] = 9
  expect(range).toEqual({ gte: Uint8Array.of(1), lt: Uint8Array.of(0x62) })
  expect(() => rangeBytes({ gt: 1 as never })).toThrow(refused)
})

it('-1 and absence are no limit', () => {
  expect([undefined, -1, Infinity, 0, 5].map(limitOf)).toEqual([Infinity, Infinity, Infinity, 0, 5])
  for (const wrong of [-2, 1.5, NaN, 2 ** 53, '1', null]) expect(() => limitOf(wrong as never)).toThrow(refused)
})
