import { MAX_SEQUENCE, compareBytes, newLookupResult } from '@wk/codec'
import { BlockCache } from '@wk/sstable'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { allBackward, allForward, anyKey, anyOptions, anyTable, build, compareEntries, entryAt, runs, show, showAt, verify } from './support.js'
import type { Entry } from './support.js'

const anyCache = fc.constantFrom(undefined, 0, 1000, 1 << 20).map((capacity) => (capacity === undefined ? undefined : new BlockCache(capacity)))

describe('table against a sorted array', () => {
  it('gives back every entry in order, both ways', () => {
    fc.assert(
      fc.property(anyTable(120), anyOptions, anyCache, (entries, options, cache) => {
        const table = build(entries, options).open({ cache })
        const wanted = entries.map(show)
        expect(allForward(table.cursor())).toEqual(wanted)
        expect(allBackward(table.cursor())).toEqual(wanted.toReversed())
      }),
      runs(100),
    )
  })

  it('finds the newest entry at or below a sequence', () => {
    fc.assert(
      fc.property(anyTable(80), anyOptions, anyCache, fc.array(fc.tuple(anyKey, fc.nat(200)), { maxLength: 40 }), (entries, options, cache, others) => {
        const table = build(entries, options).open({ cache })
        const out = newLookupResult()
        const base = Math.min(...entries.map((e) => e.sequence))
        const questions: [Uint8Array, number][] = [
          ...entries.flatMap<[Uint8Array, number]>((e) => [-1, 0, 1].map((d) => [e.key, e.sequence + d])),
          ...others.map<[Uint8Array, number]>(([key, s]) => [key, base + s]),
          ...others.map<[Uint8Array, number]>(([key]) => [key, MAX_SEQUENCE]),
        ]
        for (const [key, sequence] of questions) {
          if (sequence < 0 || sequence > MAX_SEQUENCE) continue
          const wanted = entries.find((e) => e.sequence <= sequence && compareBytes(e.key, key) === 0)
          expect(table.get(key, sequence, out)).toBe(wanted !== undefined)
          expect(out.found).toBe(wanted !== undefined)
          if (wanted === undefined) continue
          const { sequence: found, kind } = out
          expect(show({ key, sequence: found, kind, value: out.valueBytes.slice(out.valueStart, out.valueEnd) })).toBe(show(wanted))
          expect(table.mayContain(key)).toBe(true)
        }
      }),
      runs(80),
    )
  })

  it('seeks both ways to any place and walks on from there', () => {
    const move = fc.constantFrom('next', 'prev')
    fc.assert(
      fc.property(anyTable(60), anyOptions, fc.array(fc.tuple(anyKey, fc.nat(200), fc.array(move, { maxLength: 12 })), { maxLength: 30 }), (entries, options, others) => {
        const table = build(entries, options).open()
        const cursor = table.cursor()
        const base = Math.min(...entries.map((e) => e.sequence))
        const places: [Uint8Array, number, string[]][] = [
          ...entries.flatMap<[Uint8Array, number, string[]]>((e, i) => [-1, 0, 1].map((d) => [e.key, e.sequence + d, others[i]?.[2] ?? []])),
          ...others.map<[Uint8Array, number, string[]]>(([key, s, moves]) => [key, base + s, moves]),
        ]
        for (const [key, sequence, moves] of places) {
          if (sequence < 0 || sequence > MAX_SEQUENCE) continue
          const place: Entry = { key, sequence, kind: 0, value: key }
          cursor.seekReverse(key, sequence)
          expect(showAt(cursor)).toBe(show(entries.findLast((e) => compareEntries(e, place) <= 0)))
          cursor.seek(key, sequence)
          let index = entries.findIndex((e) => compareEntries(e, place) >= 0)
          if (index < 0) index = entries.length
          expect(showAt(cursor)).toBe(show(entries[index]))
          for (const direction of moves) {
            if (!cursor.valid) break
            if (direction === 'next') cursor.next()
            else cursor.prev()
            index += direction === 'next' ? 1 : -1
            expect(showAt(cursor)).toBe(show(entries[index]))
          }
        }
      }),
      runs(60),
    )
  })

  it('recounts to what it claims, and sums up what was added', () => {
    fc.assert(
      fc.property(anyTable(100), anyOptions, (entries, options) => {
        const { summary, open } = build(entries, options)
        const table = open()
        expect(table.summary()).toEqual(summary)
        expect(verify(table)).toEqual({ blocks: table.dataBlocks, entries: entries.length, bytes: summary.size })
        expect(summary.entries).toBe(entries.length)
        expect(summary.tombstones).toBe(entries.filter((e) => e.kind === 0).length)
        expect(summary.expiring).toBe(entries.filter((e) => e.kind === 5 && e.value[1] === 1).length)
        expect([summary.smallestKey, summary.largestKey]).toEqual([entries[0]?.key, entries.at(-1)?.key])
        expect(summary.smallestSequence).toBe(Math.min(...entries.map((e) => e.sequence)))
        expect(summary.largestSequence).toBe(Math.max(...entries.map((e) => e.sequence)))
        expect(summary.keyBytes).toBe(entries.reduce((sum, e) => sum + e.key.length, 0))
        expect(summary.valueBytes).toBe(entries.reduce((sum, e) => sum + e.value.length, 0))
        expect(listed(table.references())).toEqual(pointed(entries))
        expect(summary.references).toEqual(table.references().map(({ fid, count, bytes }) => ({ fid, count, bytes })))
      }),
      runs(80),
    )
  })

  it('copies a table through a cursor', () => {
    fc.assert(
      fc.property(anyTable(100), anyOptions, anyOptions, (entries, options, others) => {
        const cursor = build(entries, options).open().cursor()
        const copy = build([], others, cursor)
        expect(allForward(copy.open().cursor())).toEqual(entries.map(show))
        expect(allForward(cursor)).toEqual(entries.map(show))
        expect(entryAt(copyFirst(copy.open().cursor()))).toEqual(entries[0])
      }),
      runs(20),
    )
  })
})

function copyFirst<T extends { first(): void }>(cursor: T): T {
  cursor.first()
  return cursor
}

function pointed(entries: readonly Entry[]): string[] {
  const list = entries
    .filter((e) => e.kind === 2)
    .map(({ value }) => {
      const view = new DataView(value.buffer)
      return [view.getUint32(0, true), view.getUint32(8, true), view.getUint32(4, true)] as const
    })
  return list.map(([fid, offset, len]) => `${fid} ${offset} ${len}`).sort()
}

function listed(lists: { fid: number; offsets: Uint32Array; lengths: Uint32Array }[]): string[] {
  for (const { offsets } of lists) expect(offsets.every((offset, i) => i === 0 || offset >= (offsets[i - 1] as number))).toBe(true)
  return lists.flatMap(({ fid, offsets, lengths }) => [...offsets].map((offset, i) => `${fid} ${offset} ${lengths[i]}`)).sort()
}
