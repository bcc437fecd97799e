import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { ValueBatch, ValueLog } from '../src/index.js'
import { collect, failureOf, newMemory, openLog } from './support/memory-log.js'

const INVALID = { code: 'WK_INVALID_ARGUMENT' }
const WRONG: unknown[] = [undefined, null, 5, 'text', true, {}, () => {}]
const wrongExcept = (...fine: string[]): never[] => WRONG.filter((value) => !fine.includes(typeof value)) as never[]

/** What `call` throws or rejects with. */
async function refusal(call: () => unknown): Promise<unknown> {
  return failureOf((async () => call())())
}

describe('arguments of the wrong kind are WK_INVALID_ARGUMENT, and nothing has happened', () => {
  test('records, pointers and lists of them', async () => {
    const log = await openLog(await newMemory())
    for (const value of WRONG as never[]) {
      expect(await refusal(() => log.append(value))).toMatchObject(INVALID)
      expect(await refusal(() => log.append([{ key: 'k', value: 'v' }, value]))).toMatchObject(INVALID)
      for (const use of [() => log.read(value), () => log.readSync(value), () => log.discard(value), () => log.readMany([value]), () => collect(log.stream([value]))]) expect(await refusal(use)).toMatchObject(INVALID)
      expect(await refusal(() => log.readMany(value))).toMatchObject(INVALID)
    }
    for (const value of wrongExcept('string')) expect(await refusal(() => log.stream(value))).toMatchObject(INVALID)
    for (const value of wrongExcept('function')) expect(await refusal(() => log.recountDiscards(value))).toMatchObject(INVALID)
    expect(log.files()).toEqual([])
    await log.close()
  })

  test('bytes of another realm are bytes; what only looks like them is none', async () => {
    const log = await openLog(await newMemory())
    const foreign = runInNewContext('(length) => new Uint8Array(length)') as (length: number) => Uint8Array
    for (const length of [0, 1, 100, 300_000]) {
      const value = foreign(length).fill(length)
      const [pointer] = await log.append([{ key: foreign(3).fill(1), value }])
      const entry = await log.read(pointer!)
      expect(entry.key).toEqual(Uint8Array.of(1, 1, 1))
      expect(Buffer.compare(entry.value, Buffer.alloc(length, length % 256))).toBe(0)
    }
    const before = log.files()
    for (const wrong of [new Proxy(Uint8Array.of(1), {}), Object.create(Uint8Array.prototype) as Uint8Array]) {
      expect(await refusal(() => log.append([{ key: wrong, value: 'v' }]))).toMatchObject(INVALID)
      expect(await refusal(() => log.append([{ key: 'k', value: wrong }]))).toMatchObject(INVALID)
    }
    expect(log.files()).toEqual(before)
    await log.close()
  })

  test('options of calls', async () => {
    const log = await openLog(await newMemory())
    const [pointer] = await log.append([{ key: 'k', value: 'v' }])
    for (const value of [null, 5, 'text', true] as never[]) {
      for (const use of [() => log.append([], value), () => log.verify(value), () => log.recountDiscards(() => [], value), () => log.stream([], value), () => collect(log.iterate(1, value))]) expect(await refusal(use)).toMatchObject(INVALID)
      for (const use of [() => log.verify({ signal: value }), () => log.verify({ onProgress: value }), () => log.recountDiscards(() => [], { signal: value }), () => log.stream([], { signal: value })]) expect(await refusal(use)).toMatchObject(INVALID)
    }
    for (const value of [5, 'false', {}] as never[]) {
      for (const use of [() => log.append([], { sync: value }), () => log.append([], { stored: value }), () => collect(log.iterate(1, { salvage: value })), () => collect(log.iterate(1, { stored: value })), () => collect(log.iterate(1, { onDamage: value }))]) expect(await refusal(use)).toMatchObject(INVALID)
    }
    for (const value of [-1, 1.5, Number.NaN, '5', null] as never[]) {
      for (const use of [() => log.setDiscarded(1, value, 0), () => log.setDiscarded(1, 0, value), () => collect(log.iterate(1, { from: value }))]) expect(await refusal(use)).toMatchObject(INVALID)
    }
    expect(log.files()[0]).toMatchObject({ discardBytes: 0 })
    expect((await log.read(pointer!)).version).toBe(0)
    await log.close()
    const empty = await openLog(await newMemory())
    const signal = AbortSignal.abort()
    for (const use of [() => empty.verify({ signal }), () => empty.recountDiscards(() => [], { signal })]) expect(await refusal(use)).toMatchObject({ code: 'WK_ABORTED' })
    await empty.close()
  })

  test('numbers of files that are none', async () => {
    const log = await openLog(await newMemory())
    for (const value of [undefined, null, 'x', '1', 0, -1, 1.5, Number.NaN, 2 ** 32, {}] as never[]) {
      for (const use of [() => collect(log.iterate(value)), () => log.pin(value), () => log.unpin(value), () => log.retire(value)]) expect(await refusal(use)).toMatchObject(INVALID)
    }
    for (const use of [() => collect(log.iterate(7)), () => log.pin(7)]) expect(await refusal(use)).toMatchObject({ code: 'WK_CORRUPTION', file: '000007.vlog' })
    await log.close()
  })

  test('places, lists and limits of the engine half', async () => {
    const log = await openLog(await newMemory())
    const [pointer] = await log.append([{ key: 'k', value: 'v' }])
    const key = new TextEncoder().encode('k')
    for (const value of [undefined, null, 'x', '1', 0, -1, 1.5, Number.NaN, 2 ** 32, {}] as never[]) {
      for (const use of [() => log.setDiscarded(value, 0, 0), () => log.dropLogical([value]), () => log.directPlaces(value)]) expect(await refusal(use)).toMatchObject(INVALID)
      expect(log.hasFile(value)).toBe(false)
    }
    for (const value of WRONG as never[]) {
      for (const use of [() => log.dropLogical(value), () => log.recordsFrom(value), () => log.readValues(value), () => log.readValues([value]), () => log.readBatch(value), () => log.beginBatch(value), () => log.gaps.open(value), () => log.gaps.open([value]), () => log.holes.punch(value), () => log.holes.punch([value])]) expect(await refusal(use)).toMatchObject(INVALID)
      for (const use of [() => log.readValues([{ pointer: value, key, version: 0 }]), () => log.readValues([{ pointer: pointer!, key: value, version: 0 }])]) expect(await refusal(use)).toMatchObject(INVALID)
    }
    for (const value of [undefined, null, '1', -1, 1.5, Number.NaN, Infinity, {}] as never[]) {
      for (const use of [() => log.recordsFrom({ fid: value, offset: 20 }), () => log.recordsFrom({ fid: 1, offset: value }), () => log.readValues([{ pointer: pointer!, key, version: value }])]) expect(await refusal(use)).toMatchObject(INVALID)
    }
    for (const value of [null, 'x', '4096', -1, Number.NaN, {}, true] as never[]) for (const use of [() => log.limitFiles(value), () => log.limitFiles(4096, value), () => log.limitFiles(4096, 0, value)]) expect(await refusal(use)).toMatchObject(INVALID)
    for (const value of [null, 5, 'text', {}] as never[]) expect(await refusal(() => log.createRelocation(value))).toMatchObject(INVALID)
    expect(await log.readValues([{ pointer: pointer!, key, version: 0 }])).toHaveLength(1)
    expect(await log.dropLogical([77])).toBe(0)
    expect(await collect(log.recordsFrom({ fid: 0, offset: 0 }))).toHaveLength(1)
    await log.close()
  })

  test('a place outside its file does not count as garbage', async () => {
    const log = await openLog(await newMemory())
    const pointers = await log.append([{ key: 'k', value: 'v' }, { key: 'l', value: 'v'.repeat(500) }])
    const { fid, offset, len } = pointers[0]!
    for (const pointer of [{ fid, offset: 0, len }, { fid, offset, len: 0 }, { fid, offset, len: 2 ** 32 - 1 }, { fid, offset: 4_000_000_000, len }, { fid: 77, offset, len }]) log.discard(pointer)
    expect(log.files()).toMatchObject([{ discardBytes: 0 }])
    for (const pointer of pointers) log.discard(pointer)
    expect(log.files()).toMatchObject([{ discardBytes: pointers[0]!.len + pointers[1]!.len, liveBytes: 0 }])
    await log.close()
  })

  test('a batch that was filled with what is no place', async () => {
    const batch = new ValueBatch()
    for (const slot of [undefined, -1, 1.5, Number.NaN, Infinity, 'x'] as never[]) expect(await refusal(() => batch.add(slot, 1, 20, 19, new Uint8Array(1), 0))).toMatchObject(INVALID)
    expect([batch.count, batch.values.length]).toEqual([0, 0])
  })

  test('a meta byte that only looks like one in its low bits', async () => {
    const log = await openLog(await newMemory())
    for (const meta of [256, 2 ** 32, 2 ** 32 + 1, -(2 ** 32)]) expect(await refusal(() => log.append([{ key: 'k', value: 'v', meta }]))).toMatchObject(INVALID)
    expect(log.files()).toEqual([])
    await log.close()
  })

  test('a figure of more garbage than a file has records does not keep the log from opening again', async () => {
    const fs = await newMemory()
    const log = await openLog(fs)
    await log.append([{ key: 'k', value: 'v' }])
    log.setDiscarded(1, 1, 2 ** 40)
    expect(log.files()[0]).toMatchObject({ discardBytes: 19, liveBytes: 0 })
    await log.close()
    const again = await openLog(fs)
    expect(again.files()[0]).toMatchObject({ discardBytes: 19, liveBytes: 0 })
    await again.close()
  })

  test('options of open', async () => {
    const fs = await newMemory()
    for (const value of [null, 5, 'text', true] as never[]) expect(await refusal(() => ValueLog.open('/x', value))).toMatchObject(INVALID)
    for (const dir of [undefined, null, 5, {}, '', 'a\0b'] as never[]) expect(await refusal(() => ValueLog.open(dir, { fs }))).toMatchObject(INVALID)
    for (const value of [5, 'false', {}] as never[]) {
      for (const name of ['sync', 'readOnly', 'createIfMissing', 'lock', 'salvage', 'fs', 'runtime', 'names', 'expectedFids', 'onFailure', 'randomBytes']) expect(await refusal(() => ValueLog.open('/x', { fs, [name]: value }))).toMatchObject(INVALID)
    }
    expect(await refusal(() => fs.list('/x'))).toMatchObject({ code: 'WK_IO' })
  })

  test('answers of a lookup that are too few, too many, no list, or no pointers', async () => {
    const log = await openLog(await newMemory())
    await log.append([{ key: 'k', value: 'v' }, { key: 'l', value: 'v' }])
    const answers: unknown[] = [undefined, null, [], [undefined], [undefined, undefined, undefined], [5, undefined], [{}, undefined], [{ fid: 1, offset: 1 }, null], new Map(), 'ab']
    for (const answer of answers as never[]) {
      expect(await refusal(() => log.recountDiscards(() => answer))).toMatchObject(INVALID)
      expect(await refusal(() => log.recountDiscards(async () => answer))).toMatchObject(INVALID)
      expect(log.files()[0]?.discardBytes).toBe(0)
    }
    // A promise of another library, and an index that says `null`.
    const thenable = { then: (resolve: (value: null[]) => void) => resolve([null, null]) }
    expect(await log.recountDiscards(() => thenable as never)).toMatchObject({ records: 2 })
    await log.close()
  })
})

describe('what surrounds a log', () => {
  test('a relative directory stays the same one after chdir', async () => {
    const [here, elsewhere] = [await realpath(await mkdtemp(join(tmpdir(), 'wk-vlog-'))), await realpath(await mkdtemp(join(tmpdir(), 'wk-vlog-')))]
    const cwd = process.cwd()
    process.chdir(here)
    try {
      const log = await ValueLog.open('log', { fileSize: 4096, maxOpenFiles: 1 })
      const pointers = []
      for (let i = 0; i < 20; i++) {
        if (i === 10) process.chdir(elsewhere)
        pointers.push(...(await log.append([{ key: `k${i}`, value: 'v'.repeat(1000) }], { sync: true })))
      }
      expect(await log.readMany(pointers)).toHaveLength(20)
      await log.close()
      const again = await ValueLog.open(join(here, 'log'))
      expect((await again.verify()).records).toBe(20)
      await again.close()
    } finally {
      process.chdir(cwd)
      for (const dir of [here, elsewhere]) await rm(dir, { recursive: true, force: true })
    }
  })

  test('whoever does nothing but await it does not hold the event loop, whatever is called', async () => {
    const log = await ValueLog.open('/log', { fs: await newMemory() })
    const [pointer] = await log.append([{ key: 'k', value: 'v' }])
    const calls: Record<string, () => Promise<unknown>> = {
      append: () => log.append([{ key: 'k', value: 'v' }]),
      'append of long values': () => log.append([{ key: 'k', value: new Uint8Array(1 << 18) }]),
      read: () => log.read(pointer!),
      readMany: () => log.readMany([pointer!, pointer!]),
    }
    for (const [name, call] of Object.entries(calls)) {
      let turned = false
      setImmediate(() => (turned = true))
      for (const start = performance.now(); !turned && performance.now() - start < 2000; ) await call()
      expect(turned, name).toBe(true)
    }
    await log.close()
  })

  test('a stream hands out nothing after close, not even what it had read ahead', async () => {
    const log = await openLog(await newMemory())
    const pointers = await log.append(Array.from({ length: 10 }, (_, i) => ({ key: `k${i}`, value: 'v' })))
    const stream = log.stream(pointers)
    await stream.next()
    await log.close()
    expect(await failureOf(stream.next())).toMatchObject({ code: 'WK_CLOSED' })
  })
})
