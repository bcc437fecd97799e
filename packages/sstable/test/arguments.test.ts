import { KIND_ATTRIBUTES, KIND_POINTER, KIND_VALUE, MAX_KEY_LENGTH, MAX_SEQUENCE, newLookupResult } from '@wk/codec'
import { BlockCache, TableMerge, TableReader, TableWriter } from '@wk/sstable'
import { describe, expect, it } from 'vitest'
import { sourceOf } from './merged.js'
import { ArrayFile, allForward, build, bytes, numbered, pointerEntries } from './support.js'

const INVALID = expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }) as Error
const CLOSED = expect.objectContaining({ code: 'WK_CLOSED' }) as Error
const NO_COUNTS: unknown[] = [null, '1', 'x', {}, [], true, 1n, Number.NaN, -1, 1.5, -Infinity]
const NO_BYTES: unknown[] = [undefined, null, 'text', 5, {}, [1, 2], new ArrayBuffer(4), new Uint16Array(4)]
const refused = (call: () => unknown): void => expect(call).toThrow(INVALID)

describe('misuse of tables is WK_INVALID_ARGUMENT, and nothing has happened', () => {
  it('options of a writer', () => {
    const file = new ArrayFile()
    for (const options of [undefined, null, 5, 'text', {}] as never[]) refused(() => new TableWriter(file, options))
    for (const wrong of [undefined, null, 5, {}, 'file'] as never[]) refused(() => new TableWriter(wrong, { fileNumber: 1 }))
    for (const wrong of [...NO_COUNTS, undefined, 0, Infinity, 2 ** 53] as never[]) refused(() => new TableWriter(file, { fileNumber: wrong }))
    for (const wrong of [0, -1, Number.NaN, '4096', {}, true] as never[]) refused(() => new TableWriter(file, { fileNumber: 1, blockSize: wrong }))
    for (const wrong of [0, -1, 1.5, Number.NaN, Infinity, '16', 2 ** 32] as never[]) refused(() => new TableWriter(file, { fileNumber: 1, restartInterval: wrong }))
    for (const wrong of ['zip', 'LZ4', 5, {}, true] as never[]) refused(() => new TableWriter(file, { fileNumber: 1, compression: wrong }))
    for (const wrong of [-1, 65, Number.NaN, Infinity, '10', true] as never[]) refused(() => new TableWriter(file, { fileNumber: 1, bloomBitsPerKey: wrong }))
  })

  it('entries of a writer: what was refused is not in the table', () => {
    const file = new ArrayFile()
    const writer = new TableWriter(file, { fileNumber: 7 })
    const key = bytes('k')
    const size = writer.estimatedSize
    for (const wrong of NO_BYTES as never[]) {
      refused(() => writer.add(wrong, 0, 1, 1, KIND_VALUE, key, 0, 1))
      refused(() => writer.add(key, 0, 1, 1, KIND_VALUE, wrong, 0, 1))
    }
    for (const wrong of [...NO_COUNTS, undefined, 2, Infinity] as never[]) {
      refused(() => writer.add(key, wrong, 1, 1, KIND_VALUE, key, 0, 1))
      refused(() => writer.add(key, 0, wrong, 1, KIND_VALUE, key, 0, 1))
      refused(() => writer.add(key, 0, 1, 1, KIND_VALUE, key, wrong, 1))
      refused(() => writer.add(key, 0, 1, 1, KIND_VALUE, key, 0, wrong))
    }
    for (const wrong of [...NO_COUNTS, undefined, MAX_SEQUENCE + 1, Infinity] as never[]) refused(() => writer.add(key, 0, 1, wrong, KIND_VALUE, key, 0, 1))
    for (const wrong of [...NO_COUNTS, undefined, 3, 4, 7, 2 ** 32 + 1] as never[]) refused(() => writer.add(key, 0, 1, 1, wrong, key, 0, 1))
    refused(() => writer.add(key, 0, 1, 1, KIND_POINTER, key, 0, 1))
    refused(() => writer.add(key, 0, 1, 1, KIND_VALUE | KIND_ATTRIBUTES, key, 0, 1))
    refused(() => writer.add(new Uint8Array(MAX_KEY_LENGTH + 1), 0, MAX_KEY_LENGTH + 1, 1, KIND_VALUE, key, 0, 1))
    for (const wrong of [undefined, null, 5, {}] as never[]) refused(() => writer.addCursor(wrong))
    refused(() => writer.finish())
    expect([writer.entries, writer.estimatedSize]).toEqual([0, size])
    writer.add(key, 0, 1, 1, KIND_VALUE, key, 0, 1)
    refused(() => writer.add(key, 0, 1, 1, KIND_VALUE, key, 0, 1))
    const summary = writer.finish()
    expect(allForward(TableReader.openSync(file, 7, summary.size).cursor())).toHaveLength(1)
    expect(() => writer.add(key, 0, 1, 1, KIND_VALUE, key, 0, 1)).toThrow(CLOSED)
    expect(() => writer.finishSteps()).toThrow(CLOSED)
  })

  it('readers, lookups and cursors', () => {
    const { file, summary, open } = build(pointerEntries(1000), { blockSize: 200 })
    for (const wrong of [undefined, null, 5, {}, 'file'] as never[]) refused(() => TableReader.openSync(wrong, 7, summary.size))
    for (const wrong of [...NO_COUNTS, undefined, 0, Infinity] as never[]) refused(() => TableReader.openSync(file, wrong, summary.size))
    for (const wrong of [...NO_COUNTS, undefined, Infinity] as never[]) refused(() => TableReader.openSync(file, 7, wrong))
    for (const wrong of [null, 5, 'text'] as never[]) refused(() => TableReader.openSync(file, 7, summary.size, wrong))
    for (const wrong of [5, {}, 'text', new Map()] as never[]) refused(() => open({ cache: wrong }))
    for (const wrong of [5, {}, 'false'] as never[]) refused(() => open({ verifyChecksums: wrong }))
    const table = open()
    const cursor = table.cursor()
    for (const wrong of NO_BYTES as never[]) for (const call of [() => table.get(wrong, 1, newLookupResult()), () => table.mayContain(wrong), () => cursor.seek(wrong, 1), () => cursor.seekReverse(wrong, 1)]) refused(call)
    for (const wrong of [...NO_COUNTS, undefined, MAX_SEQUENCE + 1] as never[]) for (const call of [() => table.get(numbered(1), wrong, newLookupResult()), () => cursor.seek(numbered(1), wrong), () => cursor.seekReverse(numbered(1), wrong)]) refused(call)
    for (const wrong of [undefined, null, 5, 'text'] as never[]) refused(() => table.get(numbered(1), 1, wrong))
    refused(() => cursor.next())
    refused(() => cursor.prev())
    expect(table.get(numbered(1), MAX_SEQUENCE, newLookupResult())).toBe(true)
  })

  it('the cache', () => {
    for (const wrong of [...NO_COUNTS, undefined] as never[]) refused(() => new BlockCache(wrong))
    const cache = new BlockCache(1000)
    for (const wrong of [...NO_COUNTS, undefined, Infinity] as never[]) {
      refused(() => cache.blocksOf(wrong, 1))
      refused(() => cache.blocksOf(1, wrong))
    }
    cache.blocksOf(1, 5)
    refused(() => cache.blocksOf(1, 6))
    cache.evictTable(undefined as never)
    expect(cache.stats()).toMatchObject({ blocks: 0, bytes: 0 })
  })

  it('merges', () => {
    const options = { blockSize: 500, restartInterval: 16, dropsOlder: true, showsPointers: false, onLost: () => undefined }
    for (const wrong of [undefined, null, 5, 'text', {}] as never[]) refused(() => new TableMerge([], wrong))
    for (const wrong of [undefined, null, 5, 'text', {}, [5], [undefined], [{}]] as never[]) refused(() => new TableMerge(wrong, options))
    for (const wrong of [0, Number.NaN, '5', undefined] as never[]) {
      refused(() => new TableMerge([], { ...options, blockSize: wrong }))
      refused(() => new TableMerge([], { ...options, restartInterval: wrong }))
    }
    for (const wrong of [-1, 65, Number.NaN, '5'] as never[]) refused(() => new TableMerge([], { ...options, bloomBitsPerKey: wrong }))
    refused(() => new TableMerge([], { ...options, onLost: 5 as never }))
    const merge = new TableMerge([sourceOf(build(pointerEntries(10)).open())], options)
    refused(() => merge.finishSteps().next())
    merge.close()
  })
})
