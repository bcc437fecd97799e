import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClosedError, InvalidArgumentError, KIND_ATTRIBUTES, KIND_POINTER, KIND_TOMBSTONE, KIND_VALUE, MAX_KEY_LENGTH, NotSupportedError, encodePointer, newLookupResult, writePointer } from '@wk/codec'
import { HandleCache, NodeFileSystem } from '@wk/fs'
import { BlockCache, TableReader, TableWriter } from '@wk/sstable'
import { afterEach, describe, expect, it } from 'vitest'
import { loadLz4, setLz4 } from '../src/compression.js'
import { ArrayFile, allBackward, allForward, build, bytes, numbered, pointerEntries, show, verify } from './support.js'
import type { Entry } from './support.js'

const entry = (key: string, sequence: number, value = 'v'): Entry => ({ key: bytes(key), sequence, kind: KIND_VALUE, value: bytes(value) })
const text = (length: number): Uint8Array => bytes('the quick brown fox jumps over the lazy dog. '.repeat(Math.ceil(length / 45))).subarray(0, length)

afterEach(() => setLz4(undefined))

describe('table writer', () => {
  it('refuses entries out of order', () => {
    const orders: [Entry, Entry][] = [
      [entry('b', 1), entry('a', 2)],
      [entry('ab', 1), entry('a', 2)],
      [entry('a', 1), entry('a', 1)],
      [entry('a', 1), entry('a', 2)],
    ]
    for (const pair of orders) expect(() => build(pair)).toThrow(InvalidArgumentError)
    expect(() => build([entry('', 5), entry('', 4), entry('a', 9), entry('ab', 1)])).not.toThrow()
  })

  it('refuses an empty table, unknown kinds, cut pointers and keys over the limit', () => {
    expect(() => build([])).toThrow(InvalidArgumentError)
    expect(() => build([{ ...entry('a', 1), kind: 3 }])).toThrow(InvalidArgumentError)
    expect(() => build([{ ...entry('a', 1), kind: KIND_POINTER }])).toThrow(InvalidArgumentError)
    expect(() => build([{ ...entry('a', 1), key: new Uint8Array(MAX_KEY_LENGTH + 1) }])).toThrow(InvalidArgumentError)
    expect(() => build([entry('a', 1)], { fileNumber: 0 })).toThrow(InvalidArgumentError)
    expect(() => build([entry('a', 1)], { restartInterval: 0 })).toThrow(InvalidArgumentError)
  })

  it('adds nothing after finish or abandon', () => {
    const writer = new TableWriter(new ArrayFile(), { fileNumber: 1 })
    const add = (key: string): void => writer.add(bytes(key), 0, key.length, 1, KIND_VALUE, bytes('v'), 0, 1)
    add('a')
    writer.finish()
    expect(() => add('b')).toThrow(ClosedError)
    expect(() => writer.finish()).toThrow(ClosedError)
    const given = new TableWriter(new ArrayFile(), { fileNumber: 1 })
    given.abandon()
    expect(() => given.finish()).toThrow(ClosedError)
  })

  it('estimates its size', () => {
    const writer = new TableWriter(new ArrayFile(), { fileNumber: 1 })
    for (const { key, sequence, kind, value } of pointerEntries(20_000)) writer.add(key, 0, 16, sequence, kind, value, 0, 12)
    const estimated = writer.estimatedSize
    const { size } = writer.finish()
    expect(estimated / size).toBeGreaterThan(0.9)
    expect(estimated / size).toBeLessThan(1.1)
  })

  it('counts entries with an expiry', () => {
    const pointer = encodePointer({ fid: 1, offset: 20, len: 30 })
    const { summary } = build([
      { key: bytes('a'), sequence: 1, kind: KIND_VALUE | KIND_ATTRIBUTES, value: Uint8Array.of(9, 0, 65) },
      { key: bytes('b'), sequence: 2, kind: KIND_VALUE | KIND_ATTRIBUTES, value: Uint8Array.of(0, 100, 65) },
      { key: bytes('c'), sequence: 3, kind: KIND_POINTER | KIND_ATTRIBUTES, value: Uint8Array.of(...pointer, 1, 100) },
      { key: bytes('d'), sequence: 4, kind: KIND_TOMBSTONE, value: bytes('') },
    ])
    expect(summary).toMatchObject({ entries: 4, expiring: 2, expiredQuarterAt: expect.any(Number), tombstones: 1, references: [{ fid: 1, count: 1, bytes: 30 }] })
  })

  it('writes the same through short writes', () => {
    const whole = build(pointerEntries(500))
    const file = new ArrayFile()
    file.chunk = 1000
    const writer = new TableWriter(file, { fileNumber: 7 })
    writer.addCursor(startOf(whole.open().cursor()))
    writer.finish()
    expect(Buffer.from(file.bytes).equals(whole.file.bytes)).toBe(true)
  })

  it('holds values far larger than a block', () => {
    const big = new Uint8Array(1_500_000).map((_, i) => i * 7)
    const entries: Entry[] = [entry('a', 1), { key: bytes('b'), sequence: 2, kind: KIND_VALUE, value: big }, entry('c', 3)]
    for (const compression of ['none', 'lz4'] as const) {
      const table = build(entries, { compression }).open({ cache: new BlockCache(1000) })
      expect(allForward(table.cursor())).toEqual(entries.map(show))
      expect(verify(table).entries).toBe(3)
    }
  })

  it('holds keys up to the limit, forward and back', () => {
    const long = (last: number): Uint8Array => new Uint8Array(MAX_KEY_LENGTH).fill(3).fill(last, MAX_KEY_LENGTH - 1)
    const entries: Entry[] = [1, 2, 3, 9].map((last, i) => ({ key: long(last), sequence: i, kind: KIND_VALUE, value: bytes('v') }))
    for (const blockSize of [4096, 1 << 20]) {
      const table = build(entries, { blockSize }).open()
      expect(allBackward(table.cursor())).toEqual(entries.map(show).toReversed())
      const out = newLookupResult()
      for (const { key, sequence } of entries) expect(table.get(key, sequence, out)).toBe(true)
      expect(table.get(long(4), 9, out)).toBe(false)
    }
  })
})

describe('a table of many references', () => {
  it('is finished in many steps, with its lists in order', () => {
    const count = 70_000
    const file = new ArrayFile(new Uint8Array(8 << 20))
    const writer = new TableWriter(file, { fileNumber: 1 })
    const payload = new Uint8Array(12)
    for (let i = 0; i < count; i++) {
      const key = numbered(i)
      writePointer(payload, 0, 1 + (i % 2), (Math.imul(i, 0x9e3779b1) >>> 0) % 0xffff_0000, i % 1000)
      writer.add(key, 0, key.length, i + 1, KIND_POINTER, payload, 0, 12)
    }
    const steps = writer.finishSteps()
    let pauses = 0
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) pauses++
    expect(pauses).toBeGreaterThan(15)
    const table = TableReader.openSync(new ArrayFile(file.bytes.subarray(0, step.value.size)), 1, step.value.size)
    for (const _ of table.verify());
    const lists = table.references()
    expect(lists.map(({ fid, count: records }) => [fid, records])).toEqual([[1, count / 2], [2, count / 2]])
    for (const { offsets } of lists) for (let i = 1; i < offsets.length; i++) if (offsets[i - 1]! > offsets[i]!) throw new Error('lists are sorted')
  })
})

describe('table reader', () => {
  it('finds nothing outside its keys', () => {
    const table = build(pointerEntries(1000), { bloomBitsPerKey: 0 }).open()
    const out = newLookupResult()
    for (const key of ['', '/', '0', '0000000000000', '00000000000009999', '1', '~'])
      expect(table.get(bytes(key), 2 ** 48 - 1, out)).toBe(false)
    const cursor = table.cursor()
    cursor.seek(bytes('~'), 5)
    expect(cursor.valid).toBe(false)
    expect(() => cursor.next()).toThrow(InvalidArgumentError)
    expect(() => cursor.prev()).toThrow(InvalidArgumentError)
    cursor.seekReverse(bytes(''), 5)
    expect(cursor.valid).toBe(false)
  })

  it('opens with two reads', () => {
    const { file, open } = build(pointerEntries(5000))
    const before = file.reads
    const table = open()
    expect(file.reads - before).toBe(2)
    expect(table.memory / 5000).toBeLessThan(2.5)
  })

  it('holds as much in memory for a million keys as the README says', () => {
    const count = 50_000
    const random = new Uint32Array(count).map((_, i) => Math.imul(i + 1, 0x9e3779b1)).sort()
    const entries = pointerEntries(count).map((entry, i) => {
      const key = new Uint8Array(16)
      const view = new DataView(key.buffer)
      view.setUint32(0, random[i]!)
      for (let word = 1; word < 4; word++) view.setUint32(word * 4, Math.imul(random[i]! + word, 0x85ebca6b))
      return { ...entry, key }
    })
    const table = build(entries).open({ cache: new BlockCache(1 << 20) })
    const [, stated] = /\*\*([\d.]+) MB per million keys\*\*/.exec(readFileSync(new URL('../README.md', import.meta.url), 'utf8')) ?? []
    expect(table.memory / count / Number(stated)).toBeGreaterThan(0.9)
    expect(table.memory / count / Number(stated)).toBeLessThan(1.1)
  })

  it('verifies in slices', () => {
    const table = build(pointerEntries(3000)).open()
    const steps = [...table.verify()]
    expect(steps.length).toBe(table.dataBlocks)
    expect(steps.map((s) => s.entries)).toEqual(steps.map((s) => s.entries).toSorted((a, b) => a - b))
  })

  it('works over real files, opened when needed', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'wk-sstable-'))
    try {
      const fs = new NodeFileSystem()
      const path = join(dir, '000007.sst')
      const file = await fs.open(path, 'create')
      const writer = new TableWriter(file, { fileNumber: 7, compression: 'lz4' })
      for (const { key, sequence, kind, value } of pointerEntries(5000)) writer.add(key, 0, key.length, sequence, kind, value, 0, value.length)
      const summary = writer.finish()
      await file.sync()
      await file.close()
      const handles = new HandleCache(fs, 1)
      const table = TableReader.openSync({ acquireSync: () => handles.acquireSync(path), release: () => handles.release(path) }, 7, summary.size)
      expect(allForward(table.cursor())).toEqual(pointerEntries(5000).map(show))
      expect(verify(table).entries).toBe(5000)
      await handles.close()
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})

describe('compression', () => {
  const entries: Entry[] = Array.from({ length: 200 }, (_, i) => ({ key: numbered(i), sequence: i, kind: KIND_VALUE, value: text(100) }))

  it('makes a table of text smaller, and nothing larger', () => {
    expect(loadLz4()).toBeDefined()
    expect(build(entries, { compression: 'lz4' }).summary.size).toBeLessThan(build(entries).summary.size / 2)
    let state = 1
    const noise = entries.map((e) => ({ ...e, value: Uint8Array.from({ length: 300 }, () => (state = (Math.imul(state, 1103515245) + 12345) | 0) >>> 24) }))
    expect(build(noise, { compression: 'lz4' }).summary.size).toBe(build(noise).summary.size)
  })

  it('is left out where the library is absent, and such tables say why they cannot be read', () => {
    const compressed = build(entries, { compression: 'lz4' })
    setLz4(null)
    const plain = build(entries, { compression: 'lz4' })
    expect(plain.summary.size).toBe(build(entries).summary.size)
    expect(allForward(plain.open().cursor())).toEqual(entries.map(show))
    const table = compressed.open()
    expect(() => table.get(numbered(1), 1000, newLookupResult())).toThrow(NotSupportedError)
    expect(() => allForward(table.cursor())).toThrow(NotSupportedError)
    setLz4(undefined)
    expect(allForward(table.cursor())).toEqual(entries.map(show))
  })
})

function startOf<T extends { first(): void }>(cursor: T): T {
  cursor.first()
  return cursor
}
