/** Which gaps are filled, by what writes into gaps took. */
import { ManualRuntime } from '@wk/fs'
import { expect, test } from 'vitest'
import { GapLengths } from '../src/gap-lengths.js'

function lengths(least: number | undefined): { gaps: GapLengths; runtime: ManualRuntime; write: (count: number, each: number) => void } {
  const runtime = new ManualRuntime()
  const appended = { pieces: { count: 0, milliseconds: 0 } }
  const write = (count: number, each: number): void => {
    appended.pieces = { count: appended.pieces.count + count, milliseconds: appended.pieces.milliseconds + count * each }
  }
  return { gaps: new GapLengths(least, 1000, appended, runtime), runtime, write }
}

test('short ones as long as writes are quick, for a minute not once they were slow, then again', async () => {
  const { gaps, runtime, write } = lengths(1024)
  expect(gaps.least(10)).toBe(1024)
  write(100_000, 0.01)
  expect(gaps.least(10)).toBe(1024)
  write(2000, 0.03)
  expect(gaps.least(10)).toBe(8192)
  await runtime.advance(59_000)
  expect(gaps.least(10)).toBe(8192)
  await runtime.advance(1000)
  expect(gaps.least(10)).toBe(1024)
  write(2000, 0.01)
  expect(gaps.least(10), 'what was judged counts no more').toBe(1024)
})

test('a few slow ones among many tell nothing', () => {
  const { gaps, write } = lengths(1024)
  write(1999, 5)
  expect(gaps.least(10)).toBe(1024)
  const { gaps: others, write: writeOthers } = lengths(1024)
  writeOthers(10, 4)
  writeOthers(10_000, 0.005)
  expect(others.least(10)).toBe(1024)
})

test('a host that wants longer ones gets no shorter ones, and one that wants none gets none', () => {
  const { gaps, write } = lengths(100_000)
  write(5000, 1)
  expect(gaps.least(10)).toBe(100_000)
  const { gaps: none, write: writeNone } = lengths(undefined)
  writeNone(5000, 1)
  expect(none.least(10)).toBeUndefined()
})

test('short ones are left alone among many records', () => {
  const { gaps } = lengths(1024)
  expect([gaps.least(1000), gaps.least(1001)]).toEqual([1024, 8192])
  expect(lengths(10_000).gaps.least(1001)).toBe(10_000)
})
