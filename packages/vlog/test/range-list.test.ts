/** Ranges in any order against bytes that are marked one by one. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RangeList, firstAbove } from '../src/range-list.js'
import type { SortedRanges } from '../src/range-list.js'

const ranges = fc.array(fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 12 })).map(([start, length]) => ({ start, end: start + length })), { maxLength: 12 })

function listOf(all: readonly { start: number; end: number }[]): RangeList {
  const list = new RangeList(all.length)
  for (const { start, end } of all) list.add(start, end)
  return list
}

function rangesOf(sorted: SortedRanges): { start: number; end: number }[] {
  return Array.from({ length: sorted.count }, (_, i) => ({ start: sorted.start(i), end: sorted.end(i) }))
}

test('gaps are what no range covers, and ranges overlap where two cover a byte', () => {
  fc.assert(
    fc.property(ranges, fc.boolean(), fc.nat(10), fc.integer({ min: 60, max: 90 }), fc.integer({ min: 1, max: 5 }), (all, isSorted, from, to, least) => {
      if (isSorted) all.sort((a, b) => a.start - b.start || a.end - b.end)
      const cover = new Uint8Array(100)
      for (const { start, end } of all) for (let i = start; i < end; i++) cover[i] = cover[i]! + 1
      const last = Math.max(from, to, ...all.map(({ end }) => end))
      const wanted: { start: number; end: number }[] = []
      for (let i = from; i < to; i++) {
        if (cover[i] !== 0) continue
        const before = wanted.at(-1)
        if (before?.end === i) wanted[wanted.length - 1] = { start: before.start, end: i + 1 }
        else wanted.push({ start: i, end: i + 1 })
      }
      const list = listOf(all)
      // What lies behind `to` bounds nothing before it.
      if (all.every(({ start }) => start <= to)) expect(rangesOf(list.gaps(from, to, least))).toEqual(wanted.filter(({ start, end }) => end - start >= least))
      expect(list.overlap()).toBe(cover.subarray(0, last).some((count) => count > 1))
    }),
    { numRuns: 2000 },
  )
})

test('a list that was looked at takes more', () => {
  const list = new RangeList(4)
  list.add(30, 40)
  list.add(10, 20)
  expect(rangesOf(list.gaps(0, 50))).toEqual([{ start: 0, end: 10 }, { start: 20, end: 30 }, { start: 40, end: 50 }])
  list.add(40, 45)
  list.add(0, 5)
  expect(rangesOf(list.gaps(0, 50))).toEqual([{ start: 5, end: 10 }, { start: 20, end: 30 }, { start: 45, end: 50 }])
  expect(list.overlap()).toBe(false)
})

test('a list that is reset is like a new one, whatever it held and was asked before', () => {
  const list = new RangeList(0)
  fc.assert(
    fc.property(fc.array(ranges, { maxLength: 4 }), fc.integer({ min: 72, max: 90 }), (lists, to) => {
      for (const all of lists) {
        list.reset(all.length)
        for (const { start, end } of all) list.add(start, end)
        const fresh = listOf(all)
        expect(rangesOf(list.gaps(0, to))).toEqual(rangesOf(fresh.gaps(0, to)))
        expect(list.overlap()).toBe(fresh.overlap())
      }
    }),
    { numRuns: 1000 },
  )
})

test('the first number above a bound is found from wherever one looks', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(200), { maxLength: 60 }), fc.integer({ min: -1, max: 201 }), fc.option(fc.nat(61), { nil: undefined }), (numbers, bound, near) => {
      const ascending = Uint32Array.from(numbers).sort()
      const count = ascending.length
      const above = ascending.findIndex((number) => number > bound)
      expect(firstAbove(ascending, bound, near === undefined ? undefined : Math.min(near, count))).toBe(above === -1 ? count : above)
    }),
    { numRuns: 5000 },
  )
})
