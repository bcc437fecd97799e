import { Worker } from 'node:worker_threads'
import { InvalidArgumentError, KIND_ATTRIBUTES, KIND_POINTER, KIND_TOMBSTONE, KIND_VALUE, MAX_KEY_LENGTH, ReadOnlyError, newLookupResult, readPayload } from '@wk/codec'
import { MIN_CAPACITY, Memtable } from '@wk/memtable'
import { describe, expect, it } from 'vitest'
import { allBackward, allForward } from './support.js'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const numbered = (i: number): Uint8Array => bytes(String(i).padStart(16, '0'))

describe('memtable', () => {
  it('is empty at first', () => {
    const table = new Memtable({ capacity: 65_536 })
    const cursor = table.cursor()
    for (const move of [() => cursor.first(), () => cursor.last(), () => cursor.seek(bytes('a'), 9), () => cursor.seekReverse(bytes('a'), 9)]) {
      move()
      expect(cursor.valid).toBe(false)
    }
    expect(() => cursor.next()).toThrow(InvalidArgumentError)
    expect(() => cursor.prev()).toThrow(InvalidArgumentError)
    expect(table.get(bytes('a'), 9, newLookupResult())).toBe(false)
    expect([table.count, table.sealed, table.references().size]).toEqual([0, false, 0])
  })

  it('copies what it is given', () => {
    const table = new Memtable({ capacity: 65_536 })
    const key = bytes('key')
    const value = bytes('..value..')
    table.add(key, 1, KIND_VALUE, value, 2, 7)
    key.fill(0)
    value.fill(0)
    const out = newLookupResult()
    expect(table.get(bytes('key'), 1, out)).toBe(true)
    expect(Buffer.from(out.valueBytes.slice(out.valueStart, out.valueEnd)).toString()).toBe('value')
  })

  it('keeps a key apart from the same key with zero bytes behind it', () => {
    const table = new Memtable({ capacity: 1 << 20 })
    for (let length = 0; length < 40; length++) table.add(new Uint8Array(length), 100 - length, KIND_VALUE, Uint8Array.of(length))
    const out = newLookupResult()
    for (let length = 0; length < 40; length++) {
      expect(table.get(new Uint8Array(length), 1000, out)).toBe(true)
      expect(out.valueBytes[out.valueStart]).toBe(length)
      expect(table.get(new Uint8Array(length), 99 - length, out)).toBe(false)
    }
    expect(allForward(table.cursor()).map((e) => e.key.length)).toEqual(Array.from({ length: 40 }, (_, i) => i))
  })

  it('keeps the longest keys and refuses longer ones', () => {
    const table = new Memtable({ capacity: 1 << 20 })
    const long = new Uint8Array(MAX_KEY_LENGTH).fill(9)
    table.add(long, 1, KIND_VALUE, bytes('v'))
    const other = long.slice()
    other[MAX_KEY_LENGTH - 1] = 8
    table.add(other, 2, KIND_VALUE, bytes('w'))
    expect(allForward(table.cursor()).map((e) => e.sequence)).toEqual([2, 1])
    expect(() => table.add(new Uint8Array(MAX_KEY_LENGTH + 1), 3, KIND_VALUE, long)).toThrow(InvalidArgumentError)
  })

  it('encodes pointers in place as add() would take them', () => {
    const table = new Memtable({ capacity: 65_536 })
    table.addPointer(bytes('a'), 1, KIND_POINTER, 7, 0xffff_fffe, 300)
    table.addPointer(bytes('b'), 2, KIND_POINTER | KIND_ATTRIBUTES, 7, 20, 30, 9, 1_700_000_000)
    expect(() => table.addPointer(bytes('c'), 3, KIND_POINTER, 7, 20, 30, 9, 0)).toThrow(InvalidArgumentError)
    const out = newLookupResult()
    table.get(bytes('a'), 9, out)
    const pointer = Buffer.from(out.valueBytes.slice(out.valueStart, out.valueEnd))
    expect([pointer.length, pointer.readUInt32LE(0), pointer.readUInt32LE(4), pointer.readUInt32LE(8)]).toEqual([12, 7, 300, 0xffff_fffe])
    table.get(bytes('b'), 9, out)
    const view = { userMeta: 0, expiresAt: 0, valueStart: 0, valueEnd: 0 }
    readPayload(out.kind, out.valueBytes, out.valueStart, out.valueEnd, view)
    expect([view.userMeta, view.expiresAt]).toEqual([9, 1_700_000_000])
    expect(table.references()).toEqual(new Map([[7, { count: 2, bytes: 330 }]]))
    expect(table.count).toBe(2)
  })

  it('refuses what does not fit and changes nothing', () => {
    const table = new Memtable({ capacity: MIN_CAPACITY })
    let i = 0
    while (table.hasRoom(16, 100)) table.add(numbered(i), ++i, KIND_VALUE, new Uint8Array(100))
    const before = allForward(table.cursor())
    expect(i).toBeGreaterThan(5)
    expect(() => table.add(numbered(i), 99, KIND_VALUE, new Uint8Array(100))).toThrow(InvalidArgumentError)
    expect(() => table.add(numbered(0), 1, KIND_VALUE, new Uint8Array(0))).toThrow(InvalidArgumentError)
    expect(allForward(table.cursor())).toEqual(before)
    expect(table.count).toBe(i)
  })

  it('refuses malformed entries', () => {
    const table = new Memtable({ capacity: 65_536 })
    const key = bytes('k')
    expect(() => table.add(key, -1, KIND_VALUE, key)).toThrow(InvalidArgumentError)
    expect(() => table.add(key, 2 ** 48, KIND_VALUE, key)).toThrow(InvalidArgumentError)
    expect(() => table.add(key, 1.5, KIND_VALUE, key)).toThrow(InvalidArgumentError)
    expect(() => table.add(key, 1, 3, key)).toThrow(InvalidArgumentError)
    expect(() => table.add(key, 1, KIND_POINTER, key)).toThrow(InvalidArgumentError)
    expect(() => table.add(key, 1, KIND_VALUE, key, 1, 3)).toThrow(InvalidArgumentError)
    expect(() => new Memtable({ capacity: 100 })).toThrow(InvalidArgumentError)
    expect(() => new Memtable({ capacity: 2 ** 31 })).toThrow(InvalidArgumentError)
    expect(() => new Memtable({ capacity: 65_536, buffer: new SharedArrayBuffer(4096) })).toThrow(InvalidArgumentError)
    expect(table.count).toBe(0)
  })

  it('takes nothing once sealed', () => {
    const table = new Memtable({ capacity: 65_536 })
    expect(() => table.describe()).toThrow(InvalidArgumentError)
    table.seal()
    table.seal()
    expect(table.sealed).toBe(true)
    expect(() => table.add(bytes('k'), 1, KIND_TOMBSTONE, bytes(''))).toThrow(ReadOnlyError)
  })

  it('starts afresh in a used buffer', () => {
    const old = new Memtable({ capacity: 1 << 20 })
    for (let i = 0; i < 5000; i++) old.add(numbered(i * 7919), i, KIND_VALUE, numbered(i))
    const table = new Memtable({ capacity: 1 << 20, buffer: old.buffer })
    expect(allForward(table.cursor())).toEqual([])
    for (let i = 0; i < 3000; i++) table.add(numbered((i * 7919) % 3000), i, KIND_VALUE, numbered(i))
    const keys = allForward(table.cursor()).map((e) => Buffer.from(e.key).toString())
    expect(keys).toEqual(Array.from({ length: 3000 }, (_, i) => String(i).padStart(16, '0')))
    expect(allBackward(table.cursor()).length).toBe(3000)
  })

  it('fills its nodes when keys arrive in order', () => {
    const table = new Memtable({ capacity: 4 << 20 })
    for (let i = 0; i < 20_000; i++) table.add(numbered(i), i, KIND_VALUE, bytes('0123456789ab'))
    expect(table.usedBytes / 20_000).toBeLessThan(66)
  })

  it('is read by another thread without a copy', async () => {
    const table = new Memtable({ capacity: 1 << 20 })
    for (let i = 0; i < 5000; i++) table.addPointer(numbered((i * 7919) % 5000), i + 1, KIND_POINTER, 1 + (i % 3), i, 10)
    table.add(numbered(17), 9000, KIND_TOMBSTONE, bytes(''))
    table.seal()
    const description = table.describe()
    const worker = new Worker(
      `
      void (async () => {
        const { workerData, parentPort } = await import('node:worker_threads')
        const { Memtable } = await import(workerData.module)
        const { newLookupResult } = await import(workerData.codec)
        const table = Memtable.attach(workerData.description)
        const keys = []
        const cursor = table.cursor()
        for (cursor.first(); cursor.valid; cursor.next()) keys.push(Buffer.from(cursor.keyBytes.slice(cursor.keyStart, cursor.keyEnd)).toString())
        const out = newLookupResult()
        table.get(Buffer.from('0000000000000017'), 2 ** 48 - 1, out)
        let refused = false
        try { table.add(Buffer.from('x'), 1, 1, Buffer.from('y')) } catch { refused = true }
        parentPort.postMessage({ keys, kind: out.kind, sequence: out.sequence, references: table.references(), count: table.count, refused,
          shared: workerData.description.buffer instanceof SharedArrayBuffer, tombstones: table.tombstones, sealed: table.sealed })
      })()
      `,
      {
        eval: true,
        execArgv: [],
        workerData: {
          description,
          module: new URL('../dist/index.js', import.meta.url).href,
          codec: new URL('../../codec/dist/index.js', import.meta.url).href,
        },
      },
    )
    const answer = await new Promise<Record<string, unknown>>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
    })
    await worker.terminate()
    expect(answer['keys']).toEqual(allForward(table.cursor()).map((e) => Buffer.from(e.key).toString()))
    expect(answer).toMatchObject({ kind: 0, sequence: 9000, count: 5001, tombstones: 1, sealed: true, refused: true, shared: true })
    expect(answer['references']).toEqual(table.references())
  })
})
