import { describe, expect, test } from 'vitest'
import { Version } from '../src/manifest/version.js'
import { SnapshotList } from '../src/snapshot-list.js'
import { resolveOptions } from '../src/index.js'
import { MemoryFileSystem } from '@wk/fs'
import { table } from './compaction-support.js'
import { text } from './engine-support.js'

const references = [{ fid: 3, count: 2, bytes: 20 }]

describe('a version', () => {
  const version = Version.empty(4).apply(
    [
      { level: 0, table: table(9, 'b', 'k') },
      { level: 0, table: table(12, 'a', 'c') },
      { level: 2, table: table(4, 'm', 'p') },
      { level: 2, table: { ...table(3, 'a', 'c'), references } },
      { level: 2, table: { ...table(5, 'd', 'f'), references } },
    ],
    [],
  )
  const numbers = (tables: readonly { number: number }[]): number[] => tables.map(({ number }) => number)

  test('keeps level 0 newest first and the others by key', () => {
    expect(version.levels.map(numbers)).toEqual([[12, 9], [], [3, 5, 4], []])
    expect(version.tableCount).toBe(5)
    expect([version.has(5), version.has(6)]).toEqual([true, false])
    expect(version.widenedTo(7).levels).toHaveLength(7)
    expect(version.widenedTo(2)).toBe(version)
  })

  test('finds tables by key and by range', () => {
    const find = (key: string) => version.find(2, text(key))?.number
    expect(['', 'a', 'b', 'c', 'cc', 'd', 'f', 'g', 'm', 'p', 'q'].map(find)).toEqual([undefined, 3, 3, 3, undefined, 5, 5, undefined, 4, 4, undefined])
    const overlapping = (level: number, from?: string, to?: string) => numbers(version.overlapping(level, from === undefined ? from : text(from), to === undefined ? to : text(to)))
    expect(overlapping(2, 'c', 'd')).toEqual([3, 5])
    expect(overlapping(2, 'cc', 'cd')).toEqual([])
    expect(overlapping(2)).toEqual([3, 5, 4])
    expect(overlapping(2, undefined, 'a')).toEqual([3])
    expect(overlapping(0, 'd')).toEqual([9])
    expect(overlapping(7)).toEqual([])
    expect(version.isBottommost(0, text('g'), text('l'))).toBe(true)
    expect(version.isBottommost(0, text('f'), text('l'))).toBe(false)
  })

  test('sums what its tables reference', () => {
    expect([...version.references()]).toEqual([[3, { count: 4, bytes: 40 }]])
    expect(version.levelBytes(2)).toBe(3000)
  })

  test('refuses edits that do not fit', () => {
    const conflict = (level: number, number: number, from: string, to: string) => version.conflict([{ level, table: table(number, from, to) }], [])
    expect(conflict(2, 20, 'f', 'g')).toMatch(/overlap/)
    expect(conflict(2, 20, 'g', 'h')).toBeUndefined()
    expect(conflict(1, 4, 'x', 'y')).toMatch(/already/)
    expect(conflict(99, 20, 'x', 'y')).toMatch(/no level/)
    expect(version.conflict([], [{ level: 1, number: 4 }])).toMatch(/not in level/)
    expect(() => version.apply([], [{ level: 1, number: 4 }])).toThrow(/invariant/)
    // A table may be replaced or moved by one edit.
    expect(version.apply([{ level: 3, table: table(4, 'm', 'p') }], [{ level: 2, number: 4 }]).levels.map(numbers)).toEqual([[12, 9], [], [3, 5], [4]])
  })
})

test('snapshots count', () => {
  const list = new SnapshotList()
  const [first, second, third] = [list.acquire(9), list.acquire(4), list.acquire(9)]
  expect([list.sequences(), list.oldest(), list.size]).toEqual([[4, 9], 4, 3])
  first.release()
  first.release()
  expect(list.sequences()).toEqual([4, 9])
  third.release()
  second.release()
  expect([list.sequences(), list.oldest(), list.size]).toEqual([[], undefined, 0])
})

test('snapshots are dropped in any order: the oldest is known, and told of when it goes', () => {
  let told = 0
  const list = new SnapshotList(() => told++)
  // What a failure hid is not seen by those that come after it.
  const held = [5, 7, 7, 9, 12, 3, 8].map((sequence) => list.acquire(sequence))
  expect(list.sequences()).toEqual([3, 5, 7, 8, 9, 12])
  const drop = (at: number): [number | undefined, number[], number] => {
    held[at]!.release()
    return [list.oldest(), list.sequences(), told]
  }
  expect(drop(3)).toEqual([3, [3, 5, 7, 8, 12], 0])
  expect(drop(1)).toEqual([3, [3, 5, 7, 8, 12], 0])
  expect(drop(2)).toEqual([3, [3, 5, 8, 12], 0])
  expect(drop(5)).toEqual([5, [5, 8, 12], 1])
  held.push(list.acquire(12), list.acquire(9))
  expect(list.sequences()).toEqual([5, 8, 9, 12])
  expect(drop(0)).toEqual([8, [8, 9, 12], 2])
  for (const snapshot of held) snapshot.release()
  expect([list.oldest(), list.sequences(), list.size]).toEqual([undefined, [], 0])
})

test('snapshots that are dropped in a row are told of once', () => {
  let told = 0
  const tasks: (() => void)[] = []
  const list = new SnapshotList(() => told++, (task) => tasks.push(task))
  const held = [1, 2, 3, 4].map((sequence) => list.acquire(sequence))
  for (const snapshot of held.slice(0, 3)) snapshot.release()
  expect([tasks.length, told]).toEqual([1, 0])
  tasks.pop()?.()
  held[3]!.release()
  expect([tasks.length, told]).toEqual([1, 1])
})

test('options have defaults and bounds', () => {
  const fs = new MemoryFileSystem()
  expect(resolveOptions({ fs })).toMatchObject({ memTableSize: 32 * 2 ** 20, maxLevels: 7, l0CompactionTrigger: 4, l0SlowdownTrigger: 12, l0StopTrigger: 20 })
  expect(resolveOptions({ fs, memTableSize: 65536 }).memTableSize).toBe(65536)
  for (const bad of [
    { memTableSize: 65535 },
    { memTableSize: 1e6 + 0.5 },
    { maxLevels: 1 },
    { l0StopTrigger: 5 },
    { l0SlowdownTrigger: 3 },
    { numVersionsToKeep: 0 },
    { compression: 'zip' as 'lz4' },
    { blockSize: NaN },
  ]) {
    expect(() => resolveOptions({ fs, ...bad }), JSON.stringify(bad)).toThrow(expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }))
  }
})
