import { MAX_SEQUENCE } from '@wk/codec'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MergingCursor } from '../src/iterator/merging-cursor.js'
import {
  ArrayCursor,
  bytes,
  compareEntries,
  entryAt,
  keyArbitrary,
  propertyOptions,
  show,
  sourcesArbitrary,
  valueEntry,
} from './iterator-support.js'

function drain(cursor: MergingCursor): string[] {
  const seen: string[] = []
  while (cursor.valid) {
    seen.push(show(entryAt(cursor)))
    if (cursor.reverse) cursor.prev()
    else cursor.next()
  }
  return seen
}

describe('merging cursor', () => {
  test('forward and reverse give every entry once, the earlier source first', () => {
    fc.assert(
      fc.property(sourcesArbitrary, ({ sources, expected }) => {
        const forward = new MergingCursor(sources.map((entries) => new ArrayCursor(entries)))
        expect(forward.valid).toBe(false)
        forward.first()
        expect(drain(forward)).toEqual(expected.map(show))
        const reverse = new MergingCursor(sources.map((entries) => new ArrayCursor(entries)), true)
        reverse.last()
        expect(drain(reverse)).toEqual(expected.map(show).reverse())
      }),
      propertyOptions(300),
    )
  })

  test('seeks', () => {
    fc.assert(
      fc.property(sourcesArbitrary, keyArbitrary, fc.integer({ min: 0, max: 90 }), ({ sources, expected }, key, sequence) => {
        const target = { key: bytes(key), sequence, kind: 0, payload: bytes('') }
        const forward = new MergingCursor(sources.map((entries) => new ArrayCursor(entries)))
        forward.seek(target.key, sequence)
        expect(drain(forward)).toEqual(expected.filter((entry) => compareEntries(entry, target) >= 0).map(show))
        const reverse = new MergingCursor(sources.map((entries) => new ArrayCursor(entries)), true)
        reverse.seekReverse(target.key, sequence)
        expect(drain(reverse)).toEqual(expected.filter((entry) => compareEntries(entry, target) <= 0).map(show).reverse())
      }),
      propertyOptions(300),
    )
  })

  test('no source, empty sources, and a second pass', () => {
    const none = new MergingCursor([])
    none.first()
    expect(none.valid).toBe(false)
    const cursor = new MergingCursor([new ArrayCursor([]), new ArrayCursor([valueEntry('a', 1, 'x')])])
    for (let pass = 0; pass < 2; pass++) {
      cursor.first()
      expect(drain(cursor)).toEqual([show(valueEntry('a', 1, 'x'))])
    }
    cursor.seek(bytes('b'), MAX_SEQUENCE)
    expect(cursor.valid).toBe(false)
  })

  test('refuses the other direction, and to move beside all entries', () => {
    const forward = new MergingCursor([])
    expect(() => forward.last()).toThrow(/forward/)
    expect(() => forward.seekReverse(bytes(''), 0)).toThrow(/forward/)
    expect(() => forward.prev()).toThrow(/forward/)
    expect(() => forward.next()).toThrow(/beside/)
    const reverse = new MergingCursor([], true)
    expect(() => reverse.first()).toThrow(/reverse/)
    expect(() => reverse.seek(bytes(''), 0)).toThrow(/reverse/)
    expect(() => reverse.next()).toThrow(/reverse/)
    expect(() => reverse.prev()).toThrow(/beside/)
  })
})
