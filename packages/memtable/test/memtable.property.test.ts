import { MAX_SEQUENCE, baseKind, compareBytes, entryBytes, newLookupResult } from '@wk/codec'
import { Memtable } from '@wk/memtable'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { allBackward, allForward, anyEntries, anyKey, compareEntries, entryAt, runs, show, showAt } from './support.js'
import type { Entry } from './support.js'

function fill(entries: readonly Entry[]): Memtable {
  const table = new Memtable({ capacity: 16 << 20 })
  for (const { key, sequence, kind, value } of entries) table.add(key, sequence, kind, value)
  return table
}

describe('memtable against a sorted array', () => {
  it('holds every entry in order, both ways', () => {
    fc.assert(
      fc.property(anyEntries(300), (entries) => {
        const sorted = entries.toSorted(compareEntries)
        const table = fill(entries)
        expect(allForward(table.cursor()).map(show)).toEqual(sorted.map(show))
        expect(allBackward(table.cursor()).map(show)).toEqual(sorted.toReversed().map(show))
        expect(table.count).toBe(entries.length)
      }),
      runs(60),
    )
  })

  it('counts the bytes that entries stand for, and those that a newer one shadows, in whatever order they come', () => {
    fc.assert(
      fc.property(
        anyEntries(300).chain((entries) => fc.shuffledSubarray([...entries], { minLength: entries.length })),
        (entries) => {
          const table = fill(entries)
          let all = 0
          let shadowed = 0
          for (const entry of entries) {
            const { key, sequence, kind, value } = entry
            const bytes = entryBytes(kind, key.length, value, 0, value.length)
            all += bytes
            if (entries.some((other) => other.sequence > sequence && compareBytes(other.key, key) === 0)) shadowed += bytes
          }
          expect({ all: table.entryBytes, shadowed: table.shadowedBytes, attributed: table.attributed }).toEqual({
            all,
            shadowed,
            attributed: entries.filter(({ kind }) => kind !== baseKind(kind)).length,
          })
          table.seal()
          const { entryBytes: told, shadowedBytes } = Memtable.attach(table.describe())
          expect([told, shadowedBytes]).toEqual([all, shadowed])
        },
      ),
      runs(60),
    )
  })

  it('finds the newest entry at or below a sequence', () => {
    fc.assert(
      fc.property(anyEntries(120), fc.array(fc.tuple(anyKey, fc.nat(130)), { maxLength: 40 }), (entries, others) => {
        const table = fill(entries)
        const base = entries[0]?.sequence ?? 0
        const out = newLookupResult()
        const questions: [Uint8Array, number][] = [
          ...entries.map<[Uint8Array, number]>((e, i) => [e.key, [e.sequence, e.sequence - 1, MAX_SEQUENCE][i % 3] as number]),
          ...others.map<[Uint8Array, number]>(([key, s]) => [key, Math.min(MAX_SEQUENCE, base + s)]),
        ]
        for (const [key, sequence] of questions) {
          if (sequence < 0) continue
          const wanted = entries.findLast((e) => e.sequence <= sequence && compareBytes(e.key, key) === 0)
          expect(table.get(key, sequence, out)).toBe(wanted !== undefined)
          expect(out.found).toBe(wanted !== undefined)
          if (wanted === undefined) continue
          expect([out.sequence, out.kind]).toEqual([wanted.sequence, wanted.kind])
          expect(Uint8Array.from(out.valueBytes.subarray(out.valueStart, out.valueEnd))).toEqual(wanted.value)
        }
      }),
      runs(60),
    )
  })

  it('seeks both ways to any place', () => {
    fc.assert(
      fc.property(anyEntries(120), fc.array(fc.tuple(anyKey, fc.nat(130)), { maxLength: 40 }), (entries, others) => {
        const sorted = entries.toSorted(compareEntries)
        const cursor = fill(entries).cursor()
        const base = entries[0]?.sequence ?? 0
        const places = [
          ...entries.flatMap((e) => [-1, 0, 1].map((d) => ({ key: e.key, sequence: e.sequence + d }))),
          ...others.map(([key, s]) => ({ key, sequence: base + s })),
        ]
        for (const { key, sequence } of places) {
          if (sequence < 0 || sequence > MAX_SEQUENCE) continue
          const place: Entry = { key, sequence, kind: 0, value: key }
          cursor.seek(key, sequence)
          expect(showAt(cursor)).toEqual(show(sorted.find((e) => compareEntries(e, place) >= 0)))
          cursor.seekReverse(key, sequence)
          expect(showAt(cursor)).toEqual(show(sorted.findLast((e) => compareEntries(e, place) <= 0)))
        }
      }),
      runs(40),
    )
  })

  it('lets cursors walk while entries are added', () => {
    const step = fc.tuple(fc.constantFrom('next', 'prev', 'add', 'add', 'add'), fc.nat(3))
    fc.assert(
      fc.property(anyEntries(400), fc.array(step, { maxLength: 900 }), fc.nat(400), (entries, steps, start) => {
        const table = fill(entries.slice(0, start))
        const present = entries.slice(0, start).toSorted(compareEntries)
        const cursors = [0, 1, 2, 3].map((i) => {
          const cursor = table.cursor()
          if (i % 2 === 0) cursor.first()
          else cursor.last()
          return cursor
        })
        let added = start
        for (const [action, which] of steps) {
          const entry = entries[added]
          if (action === 'add') {
            if (entry === undefined) continue
            added++
            table.add(entry.key, entry.sequence, entry.kind, entry.value)
            present.splice(present.findLastIndex((e) => compareEntries(e, entry) < 0) + 1, 0, entry)
            continue
          }
          const cursor = cursors[which]
          if (cursor === undefined || !cursor.valid) continue
          const at = entryAt(cursor)
          const index = present.findIndex((e) => e.sequence === at.sequence)
          const wanted = present[action === 'next' ? index + 1 : index - 1]
          if (action === 'next') cursor.next()
          else cursor.prev()
          expect(showAt(cursor)).toEqual(show(wanted))
        }
      }),
      runs(40),
    )
  })

  it('accounts references, tombstones and sequences on add', () => {
    fc.assert(
      fc.property(anyEntries(100), (entries) => {
        const table = fill(entries)
        const sums = new Map<number, { count: number; bytes: number }>()
        for (const { kind, value } of entries) {
          if (kind !== 2) continue
          const view = new DataView(value.buffer)
          const sum = sums.get(view.getUint32(0, true)) ?? { count: 0, bytes: 0 }
          sums.set(view.getUint32(0, true), { count: sum.count + 1, bytes: sum.bytes + view.getUint32(4, true) })
        }
        expect(table.references()).toEqual(sums)
        expect(table.tombstones).toBe(entries.filter((e) => e.kind === 0).length)
        if (entries.length === 0) return
        expect(table.firstSequence).toBe(entries[0]?.sequence)
        expect(table.lastSequence).toBe(entries.at(-1)?.sequence)
      }),
      runs(30),
    )
  })

  it('takes whatever it said it has room for, and never more than the arena', () => {
    const order = fc.constantFrom('up', 'down', 'mixed')
    fc.assert(
      fc.property(order, fc.integer({ min: 1, max: 3000 }), fc.nat(40), fc.nat(100), (direction, operations, keyLength, valueLength) => {
        const length = keyLength + 4
        const table = new Memtable({ capacity: Memtable.capacityFor(operations, operations * (length + valueLength)) })
        expect(table.hasRoomFor(operations, operations * (length + valueLength))).toBe(true)
        const key = new Uint8Array(length)
        const view = new DataView(key.buffer)
        const value = new Uint8Array(valueLength)
        for (let i = 0; i < operations; i++) {
          view.setUint32(keyLength, direction === 'up' ? i : direction === 'down' ? operations - i : Math.imul(i, 0x9e3779b1) >>> 0)
          expect(table.hasRoom(length, valueLength)).toBe(true)
          table.add(key, i, 1, value)
          const left = operations - i - 1
          if (i % 97 === 0) expect(table.hasRoomFor(left >>> 1, (left >>> 1) * (length + valueLength))).toBe(true)
        }
        expect(table.usedBytes).toBeLessThanOrEqual(table.capacity)
        expect(allForward(table.cursor()).length).toBe(operations)
      }),
      runs(30),
    )
  })
})
