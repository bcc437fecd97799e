import {
  MAX_SEQUENCE,
  TRAILER_LENGTH,
  commonPrefixLength,
  compareBytes,
  compareInternal,
  encodeInternalKey,
  isInRange,
  readTrailerKind,
  readTrailerSequence,
  shortestSeparator,
} from '@wk/codec'
import fc from 'fast-check'
import { expect, test } from 'vitest'

const key = fc.oneof(fc.uint8Array({ maxLength: 6 }), fc.array(fc.constantFrom(0, 1, 255), { maxLength: 6 }).map((a) => Uint8Array.from(a)))
const sequence = fc.oneof(fc.nat(3), fc.maxSafeNat().map((n) => n % (MAX_SEQUENCE + 1)), fc.constant(MAX_SEQUENCE))
const sign = (n: number): number => Math.sign(n)

test('byte order is that of Buffer.compare', () => {
  fc.assert(fc.property(key, key, (a, b) => sign(compareBytes(a, b)) === Buffer.compare(a, b)))
})

test('an internal key gives back its parts', () => {
  fc.assert(
    fc.property(key, sequence, fc.nat(7), (k, s, kind) => {
      const encoded = encodeInternalKey(k, s, kind)
      expect(encoded.length).toBe(k.length + TRAILER_LENGTH)
      expect(readTrailerSequence(encoded, k.length)).toBe(s)
      expect(readTrailerKind(encoded, k.length)).toBe(kind)
    }),
  )
})

test('for one user key, encoded trailers sort as bytes exactly as newest first', () => {
  fc.assert(
    fc.property(key, sequence, sequence, (k, a, b) => {
      fc.pre(a !== b)
      const order = compareBytes(encodeInternalKey(k, a, 1), encodeInternalKey(k, b, 1))
      expect(sign(order)).toBe(sign(b - a))
      expect(sign(compareInternal(k, 0, k.length, a, k, 0, k.length, b))).toBe(sign(b - a))
    }),
  )
})

test('a separator lies from a up to below b and is never longer than a', () => {
  fc.assert(
    fc.property(key, key, (x, y) => {
      fc.pre(compareBytes(x, y) !== 0)
      const [a, b] = compareBytes(x, y) < 0 ? [x, y] : [y, x]
      const s = shortestSeparator(a, b)
      expect(compareBytes(a, s)).toBeLessThanOrEqual(0)
      expect(compareBytes(s, b)).toBeLessThan(0)
      expect(s.length).toBeLessThanOrEqual(a.length)
      expect(s.buffer).not.toBe(a.buffer)
    }),
  )
})

test('common prefixes', () => {
  fc.assert(
    fc.property(key, key, key, (p, a, b) => {
      const x = Uint8Array.from([...p, ...a])
      const y = Uint8Array.from([...p, ...b])
      const n = commonPrefixLength(x, 0, x.length, y, 0, y.length)
      expect(n).toBeGreaterThanOrEqual(p.length)
      expect(x.slice(0, n)).toEqual(y.slice(0, n))
      if (n < x.length && n < y.length) expect(x[n]).not.toBe(y[n])
    }),
  )
})

test('gte counts over gt, lte over lt', () => {
  const at = (n: number): Uint8Array => Uint8Array.of(n)
  expect(isInRange({ gt: at(5), gte: at(3) }, at(3))).toBe(true)
  expect(isInRange({ lt: at(3), lte: at(5) }, at(5))).toBe(true)
  expect(isInRange({ gt: at(3) }, at(3))).toBe(false)
  expect(isInRange({ lt: at(3) }, at(3))).toBe(false)
  expect(isInRange({}, at(3))).toBe(true)
})
