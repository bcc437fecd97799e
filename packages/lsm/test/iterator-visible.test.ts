import { MAX_SEQUENCE, compareBytes } from '@wk/codec'
import type { EntryCursor, KeyRange } from '@wk/codec'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MergingCursor } from '../src/iterator/merging-cursor.js'
import { VisibleCursor } from '../src/iterator/visible-cursor.js'
import { ArrayCursor, bytes, entryAt, historyArbitrary, keyArbitrary, propertyOptions, show, sorted, text, tombstone, valueEntry, visible } from './iterator-support.js'
import type { Entry } from './iterator-support.js'

function drain(cursor: VisibleCursor): string[] {
  const seen: string[] = []
  for (; cursor.valid || cursor.paused; cursor.paused ? cursor.resume() : cursor.next()) if (!cursor.paused) seen.push(show(entryAt(cursor)))
  return seen
}

const rangeArbitrary: fc.Arbitrary<KeyRange> = fc.record(
  { gt: keyArbitrary.map(bytes), gte: keyArbitrary.map(bytes), lt: keyArbitrary.map(bytes), lte: keyArbitrary.map(bytes) },
  { requiredKeys: [] },
)

/** Many versions of few keys, so that the jump over old ones is taken. */
const deepHistoryArbitrary = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 80 }).map((keys) => keys.map((key, i): Entry => (i % 7 === 3 ? tombstone(key, i + 1) : valueEntry(key, i + 1, `v${i}`))))

const cursorArbitrary = fc.constantFrom(
  (entries: readonly Entry[]): EntryCursor => new ArrayCursor(sorted(entries)),
  (entries: readonly Entry[], reverse: boolean): EntryCursor =>
    new MergingCursor([0, 1, 2].map((part) => new ArrayCursor(sorted(entries.filter(({ sequence }) => sequence % 3 === part)))), reverse),
)

describe('visible cursor', () => {
  test('equals the model: ranges, snapshots, expiry, both directions, seeks', () => {
    fc.assert(
      fc.property(
        fc.oneof(historyArbitrary, deepHistoryArbitrary),
        cursorArbitrary,
        fc.oneof(fc.integer({ min: 0, max: 80 }), fc.constant(MAX_SEQUENCE)),
        fc.integer({ min: 0, max: 22 }),
        rangeArbitrary,
        fc.array(keyArbitrary.map(bytes), { maxLength: 4 }),
        fc.integer({ min: 1, max: 5 }),
        (history, makeCursor, sequence, now, range, targets, patience) => {
          const expected = visible(history, sequence, now, range)
          const forward = new VisibleCursor(makeCursor(history, false), { sequence, now, range, patience })
          expect(forward.valid).toBe(false)
          forward.first()
          expect(drain(forward)).toEqual(expected.map(show))
          const reverse = new VisibleCursor(makeCursor(history, true), { sequence, now, range, reverse: true, patience })
          reverse.first()
          expect(drain(reverse)).toEqual(expected.map(show).reverse())
          for (const target of targets) {
            forward.seek(target)
            expect(drain(forward)).toEqual(expected.filter(({ key }) => compareBytes(key, target) >= 0).map(show))
            reverse.seek(target)
            expect(drain(reverse)).toEqual(expected.filter(({ key }) => compareBytes(key, target) <= 0).map(show).reverse())
          }
        },
      ),
      propertyOptions(1000),
    )
  })

  test('gte counts before gt, lte before lt', () => {
    const history = [...'abcde'].map((key, i) => valueEntry(key, i + 1, key))
    const range = { gt: bytes('c'), gte: bytes('b'), lt: bytes('c'), lte: bytes('d') }
    const cursor = new VisibleCursor(new ArrayCursor(sorted(history)), { sequence: 99, now: 0, range })
    cursor.first()
    const keys: string[] = []
    for (; cursor.valid; cursor.next()) keys.push(text(entryAt(cursor).key))
    expect(keys).toEqual(['b', 'c', 'd'])
  })

  test('an open bound excludes an entry with sequence number 0, too', () => {
    for (const reverse of [false, true]) {
      const source = new ArrayCursor(sorted([valueEntry('a', 0, 'x'), valueEntry('b', 0, 'y'), valueEntry('c', MAX_SEQUENCE, 'z')]))
      const cursor = new VisibleCursor(source, { sequence: MAX_SEQUENCE, now: 0, reverse, range: { gt: bytes('a'), lt: bytes('c') } })
      cursor.first()
      expect(drain(cursor)).toEqual([show(valueEntry('b', 0, 'y'))])
    }
  })

  test('jumps over a long run of old versions', () => {
    const history = [valueEntry('a', 1, 'x'), ...Array.from({ length: 1000 }, (_, i) => valueEntry('b', i + 2, 'y')), valueEntry('c', 2000, 'z')]
    const source = new ArrayCursor(sorted(history))
    let moves = 0
    const counted = new Proxy(source, {
      get: (target, property) => {
        if (property === 'next' || property === 'prev') moves++
        const value: unknown = Reflect.get(target, property, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const newest = new VisibleCursor(counted, { sequence: MAX_SEQUENCE, now: 0 })
    newest.first()
    expect(drain(newest)).toHaveLength(3)
    const oldest = new VisibleCursor(counted, { sequence: 1, now: 0 })
    oldest.first()
    expect(drain(oldest)).toHaveLength(1)
    const backwards = new VisibleCursor(counted, { sequence: 1, now: 0, reverse: true })
    backwards.first()
    expect(drain(backwards)).toHaveLength(1)
    expect(moves).toBeLessThan(100)
  })

  test('law 10: a move that passes many hidden entries stops short, and goes on where it was', () => {
    const history = [...Array.from({ length: 1000 }, (_, i) => tombstone(`k${1000 + i}`, i + 1)), ...Array.from({ length: 1000 }, (_, i) => valueEntry(`k${2000 + i}`, 5000 + i, 'late'))]
    for (const reverse of [false, true]) {
      const cursor = new VisibleCursor(new ArrayCursor(sorted([valueEntry('a', 1, 'x'), ...history, valueEntry('z', 2, 'y')])), { sequence: 4000, now: 0, reverse })
      const seen: string[] = []
      let pauses = 0
      for (cursor.first(); cursor.valid || cursor.paused; ) {
        expect(cursor.valid).toBe(!cursor.paused)
        if (cursor.paused) {
          pauses++
          cursor.resume()
        } else {
          seen.push(text(entryAt(cursor).key))
          cursor.next()
        }
      }
      expect(seen).toEqual(reverse ? ['z', 'a'] : ['a', 'z'])
      expect(pauses).toBe(7)
      cursor.seek(bytes('k1500'))
      expect(cursor.paused).toBe(true)
      cursor.seek(bytes(reverse ? 'b' : 'y'))
      expect(cursor.paused).toBe(false)
      expect(text(entryAt(cursor).key)).toBe(reverse ? 'a' : 'z')
    }
  })

  test('in reverse the entry is a copy that stays while the source has moved on', () => {
    const source = new ArrayCursor(sorted([valueEntry('a', 1, 'x'.repeat(200)), valueEntry('b', 2, 'y')]))
    const cursor = new VisibleCursor(source, { sequence: 9, now: 0, reverse: true })
    cursor.first()
    expect(show(entryAt(cursor))).toBe(show(valueEntry('b', 2, 'y')))
    cursor.next()
    expect(show(entryAt(cursor))).toBe(show(valueEntry('a', 1, 'x'.repeat(200))))
    cursor.next()
    expect(cursor.valid).toBe(false)
  })

  test('an inverted or empty range has no entries, and seeking it reads nothing', () => {
    const source = new ArrayCursor([valueEntry('a', 1, 'x')])
    for (const range of [{ gte: bytes('b'), lte: bytes('a') }, { gt: bytes('a'), lte: bytes('a') }, { gte: bytes('a'), lt: bytes('a') }]) {
      const cursor = new VisibleCursor(source, { sequence: 9, now: 0, range })
      cursor.first()
      expect(cursor.valid).toBe(false)
      cursor.seek(bytes('a'))
      expect(cursor.valid).toBe(false)
    }
    expect(source.seeks).toBe(0)
  })
})
