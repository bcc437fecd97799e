import { KIND_ATTRIBUTES, KIND_POINTER, KIND_VALUE, MAX_SEQUENCE, newLookupResult } from '@wk/codec'
import { MIN_CAPACITY, Memtable } from '@wk/memtable'
import type { MemtableDescription } from '@wk/memtable'
import { describe, expect, it } from 'vitest'
import { allForward } from './support.js'

const INVALID = expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }) as Error
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const NO_NUMBERS: unknown[] = [undefined, null, '1', 'x', {}, [], true, 1n, Number.NaN, -1, 1.5, Infinity, -Infinity, 2 ** 53]
const NO_BYTES: unknown[] = [undefined, null, 'text', 5, {}, [1, 2], new ArrayBuffer(4), new Uint16Array(4), new DataView(new ArrayBuffer(4))]

describe('misuse of a memtable is WK_INVALID_ARGUMENT, and nothing has happened', () => {
  const refused = (call: () => unknown): void => expect(call).toThrow(INVALID)

  it('options', () => {
    for (const options of [undefined, null, 5, 'text'] as never[]) refused(() => new Memtable(options))
    for (const capacity of [...NO_NUMBERS, 0, MIN_CAPACITY - 64, 2 ** 31] as never[]) refused(() => new Memtable({ capacity }))
    for (const buffer of [5, 'text', {}, new ArrayBuffer(1 << 16), new Uint8Array(1 << 16), new SharedArrayBuffer(4096)] as never[]) refused(() => new Memtable({ capacity: 1 << 16, buffer }))
    expect(new Memtable({ capacity: MIN_CAPACITY + 1 }).capacity % 64).toBe(0)
  })

  it('entries', () => {
    const table = new Memtable({ capacity: 1 << 16 })
    const key = bytes('k')
    for (const wrong of NO_BYTES as never[]) {
      refused(() => table.add(wrong, 1, KIND_VALUE, key))
      refused(() => table.add(key, 1, KIND_VALUE, wrong))
      refused(() => table.addPointer(wrong, 1, KIND_POINTER, 1, 2, 3))
    }
    for (const wrong of [...NO_NUMBERS, MAX_SEQUENCE + 1] as never[]) {
      refused(() => table.add(key, wrong, KIND_VALUE, key))
      refused(() => table.addPointer(key, wrong, KIND_POINTER, 1, 2, 3))
    }
    for (const wrong of NO_NUMBERS as never[]) {
      if (wrong !== undefined) refused(() => table.add(key, 1, KIND_VALUE, key, wrong))
      if (wrong !== undefined) refused(() => table.add(key, 1, KIND_VALUE, key, 0, wrong))
      for (const at of [0, 1, 2, 3, 4] as const) {
        if (at > 2 && wrong === undefined) continue
        const fields: [number, number, number, number, number] = [1, 20, 30, 5, 6]
        fields[at] = wrong
        if (at === 4 && (wrong as unknown) === 2 ** 53) fields[at] = 2 ** 54
        refused(() => table.addPointer(key, 1, KIND_POINTER | KIND_ATTRIBUTES, ...fields))
      }
    }
    for (const wrong of [...NO_NUMBERS, 3, 4, 7, 2 ** 32 + 1, -(2 ** 32) + 1] as never[]) {
      refused(() => table.add(key, 1, wrong, key))
      refused(() => table.addPointer(key, 1, wrong, 1, 20, 30))
    }
    refused(() => table.addPointer(key, 1, KIND_POINTER, 2 ** 32, 20, 30))
    refused(() => table.addPointer(key, 1, KIND_POINTER | KIND_ATTRIBUTES, 1, 20, 30, 256, 0))
    refused(() => table.add(key, 1, KIND_VALUE, key, 1, 0))
    expect(table.count).toBe(0)
    expect(allForward(table.cursor())).toEqual([])
    table.add(key, 1, KIND_VALUE, key)
    refused(() => table.add(key, 1, KIND_VALUE, key))
    expect(table.count).toBe(1)
  })

  it('lookups and cursors', () => {
    const table = new Memtable({ capacity: 1 << 16 })
    const key = bytes('k')
    table.add(key, 1, KIND_VALUE, key)
    const cursor = table.cursor()
    for (const wrong of NO_BYTES as never[]) for (const call of [() => table.get(wrong, 1, newLookupResult()), () => cursor.seek(wrong, 1), () => cursor.seekReverse(wrong, 1)]) refused(call)
    for (const wrong of [...NO_NUMBERS.filter((value) => value !== 1.5), MAX_SEQUENCE + 1] as never[]) for (const call of [() => table.get(key, wrong, newLookupResult()), () => cursor.seek(key, wrong), () => cursor.seekReverse(key, wrong)]) refused(call)
    for (const wrong of [undefined, null] as never[]) refused(() => table.get(key, 1, wrong))
    refused(() => cursor.next())
    refused(() => cursor.prev())
    const out = newLookupResult()
    expect(table.get(new Uint8Array(70_000), 1, out)).toBe(false)
    for (const seek of ['seek', 'seekReverse'] as const) {
      cursor[seek](new Uint8Array(70_000).fill(255), 1)
      expect(cursor.valid).toBe(seek === 'seekReverse')
    }
  })

  it('bounds that are longer than any key lie where their bytes say', () => {
    const table = new Memtable({ capacity: 1 << 20 })
    for (const length of [0, 5, 20, 5000]) table.add(new Uint8Array(length), 1 + length, KIND_VALUE, bytes('v'))
    const cursor = table.cursor()
    for (const length of [65_535, 65_536, 65_541, 65_560, 131_100]) {
      cursor.seek(new Uint8Array(length), 1)
      expect(cursor.valid).toBe(false)
      cursor.seekReverse(new Uint8Array(length), 1)
      expect(cursor.keyEnd - cursor.keyStart).toBe(5000)
      expect(table.get(new Uint8Array(length), 9999, newLookupResult())).toBe(false)
    }
  })

  it('sizes, also those at which reckoning would never end', () => {
    const table = new Memtable({ capacity: 1 << 16 })
    for (const wrong of NO_NUMBERS as never[]) {
      for (const call of [() => Memtable.capacityFor(wrong, 1), () => Memtable.capacityFor(1, wrong), () => table.hasRoomFor(wrong, 1), () => table.hasRoomFor(1, wrong), () => table.hasRoom(wrong, 1), () => table.hasRoom(1, wrong)]) refused(call)
    }
    expect(table.hasRoomFor(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)).toBe(false)
    expect(Memtable.capacityFor(Number.MAX_SAFE_INTEGER, 0)).toBeGreaterThan(2 ** 31)
    expect(Memtable.capacityFor(0, 0)).toBeGreaterThanOrEqual(MIN_CAPACITY)
  })

  it('descriptions', () => {
    const table = new Memtable({ capacity: 1 << 16 })
    table.addPointer(bytes('k'), 1, KIND_POINTER, 1, 20, 30)
    refused(() => table.describe())
    table.seal()
    expect(() => table.add(bytes('k'), 2, KIND_VALUE, bytes('v'))).toThrow(expect.objectContaining({ code: 'WK_READ_ONLY' }) as Error)
    expect(() => table.addPointer(bytes('k'), 2, KIND_POINTER, 1, 20, 30)).toThrow(expect.objectContaining({ code: 'WK_READ_ONLY' }) as Error)
    const description = table.describe()
    for (const wrong of [undefined, null, 5, 'text', {}] as never[]) refused(() => Memtable.attach(wrong))
    for (const name of Object.keys(description) as (keyof MemtableDescription)[]) {
      for (const wrong of [undefined, null, 'text', -1, {}, [5], [{ fid: 1 }]]) refused(() => Memtable.attach({ ...description, [name]: wrong }))
    }
    for (const name of Object.keys(description.tree)) for (const wrong of [undefined, 'x', -5, 2 ** 31]) refused(() => Memtable.attach({ ...description, tree: { ...description.tree, [name]: wrong } }))
    expect(Memtable.attach(description).count).toBe(1)
    expect(Memtable.attach({ ...description, references: [] }).count).toBe(1)
  })
})
