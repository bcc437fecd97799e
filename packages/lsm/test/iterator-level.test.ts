import type { TableSummary } from '@wk/sstable'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LevelCursor } from '../src/iterator/level-cursor.js'
import { ArrayCursor, bytes, compareEntries, entryAt, historyArbitrary, keyArbitrary, propertyOptions, show, sorted, text } from './iterator-support.js'
import type { Entry } from './iterator-support.js'
import { summaryOf } from './compaction-support.js'

/** Cuts sorted entries into tables, between user keys; an empty table (which no writer makes) here and there. */
function cut(entries: readonly Entry[], every: number, empties: boolean): Entry[][] {
  const tables: Entry[][] = []
  let last: string | undefined
  for (const entry of sorted(entries)) {
    const key = text(entry.key)
    if (tables.length === 0 || (key !== last && tables.at(-1)!.length >= every)) tables.push([])
    tables.at(-1)!.push(entry)
    last = key
  }
  return empties ? tables.flatMap((table) => [table, []]) : tables
}

test('walks and seeks as one sorted sequence, opening tables only when reached', () => {
  fc.assert(
    fc.property(historyArbitrary, fc.integer({ min: 1, max: 6 }), keyArbitrary, fc.integer({ min: 0, max: 90 }), fc.boolean(), (history, every, key, sequence, empties) => {
      const contents = cut(history, every, empties && history.length > 0)
      const tables = contents.map((entries, i) => summaryOf(i + 1, entries.length > 0 ? entries : contents[i - 1]!))
      let opened = 0
      const open = (table: TableSummary): ArrayCursor => {
        opened++
        return new ArrayCursor(contents[table.number - 1]!)
      }
      const all = sorted(history)
      const target = { key: bytes(key), sequence, kind: 0, payload: bytes('') }
      const cursor = new LevelCursor(tables, open)
      expect(cursor.valid).toBe(false)
      cursor.first()
      expect(opened).toBeLessThanOrEqual(1)
      expect(forward(cursor)).toEqual(all.map(show))
      cursor.last()
      expect(backward(cursor)).toEqual(all.map(show).reverse())
      cursor.seek(target.key, sequence)
      expect(forward(cursor)).toEqual(all.filter((entry) => compareEntries(entry, target) >= 0).map(show))
      cursor.seekReverse(target.key, sequence)
      expect(backward(cursor)).toEqual(all.filter((entry) => compareEntries(entry, target) <= 0).map(show).reverse())
    }),
    propertyOptions(300),
  )
})

test('turns round', () => {
  const entries = [...'abcdef'].map((key, i) => ({ key: bytes(key), sequence: i + 1, kind: 1, payload: bytes('v') }))
  const contents = [entries.slice(0, 2), entries.slice(2, 4), entries.slice(4)]
  const cursor = new LevelCursor(contents.map((content, i) => summaryOf(i + 1, content)), (table) => new ArrayCursor(contents[table.number - 1]!))
  cursor.seek(bytes('d'), 100)
  const path = ['d']
  for (const step of 'npppnnn') {
    if (step === 'n') cursor.next()
    else cursor.prev()
    path.push(text(entryAt(cursor).key))
  }
  expect(path.join('')).toBe('dedcbcde')
})

function forward(cursor: LevelCursor): string[] {
  const seen: string[] = []
  for (; cursor.valid; cursor.next()) seen.push(show(entryAt(cursor)))
  return seen
}

function backward(cursor: LevelCursor): string[] {
  const seen: string[] = []
  for (; cursor.valid; cursor.prev()) seen.push(show(entryAt(cursor)))
  return seen
}

test('law 7: a table that could not be opened is not taken for the one before, when it is sought again', () => {
  const contents = [['a', 'b'], ['c', 'd'], ['e', 'f']].map((keys) => keys.map((key): Entry => ({ key: bytes(key), sequence: 1, kind: 1, payload: bytes('') })))
  let failures = 1
  const cursor = new LevelCursor(
    contents.map((entries, i) => summaryOf(i + 1, entries)),
    ({ number }) => {
      if (number === 2 && failures-- > 0) throw new Error('EMFILE')
      return new ArrayCursor(contents[number - 1]!)
    },
  )
  cursor.first()
  cursor.next()
  expect(() => cursor.next()).toThrow('EMFILE')
  cursor.seek(bytes('c'), 1)
  expect(text(cursor.keyBytes.subarray(cursor.keyStart, cursor.keyEnd))).toBe('c')
})
