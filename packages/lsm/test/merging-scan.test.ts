import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MergingScan } from '../src/compaction/merging-scan.js'
import { ArrayCursor, entryAt, propertyOptions, show, sourcesArbitrary } from './iterator-support.js'

function drain(scan: MergingScan): string[] {
  const seen: string[] = []
  for (let entry = scan.current; entry !== undefined; entry = scan.next()) seen.push(show(entryAt(entry)))
  return seen
}

describe('merging scan', () => {
  test('gives every entry once, the earlier source first', () => {
    fc.assert(
      fc.property(sourcesArbitrary, ({ sources, expected }) => {
        const scan = new MergingScan(sources.map((entries) => new ArrayCursor(entries)))
        scan.first()
        expect(drain(scan)).toEqual(expected.map(show))
        expect(scan.current).toBeUndefined()
        expect(() => scan.next()).toThrow('a scan beside all entries was moved')
      }),
      propertyOptions(300),
    )
  })

  test('of nothing is empty', () => {
    const scan = new MergingScan([new ArrayCursor([]), new ArrayCursor([])])
    scan.first()
    expect(scan.current).toBeUndefined()
  })
})
