import { getEventListeners } from 'node:events'
import { MemoryFileSystem, TraceFileSystem } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { DB, Transaction, WkError } from '../src/index.js'
import type { Progress } from '../src/index.js'
import { SMALL, all, contentsOf, expectCode, keep, large, memoryPlace, nodePlace, onBothFileSystems, text } from './harness.js'

describe('inMemory', () => {
  it('does everything but value-log GC, and touches no file system', async () => {
    const fs = new TraceFileSystem(new MemoryFileSystem())
    const db = keep(await DB.open('ignored', { ...SMALL, fs, inMemory: true }))
    for (let i = 0; i < 300; i++) await db.put(`k${i % 50}`, large(1000, i), { sync: i % 50 === 0 })
    await db.batch([{ type: 'del', key: 'k1' }, { type: 'put', key: 'b', value: 'v' }], { sync: true })
    const snapshot = db.snapshot()
    await db.clear({ gte: 'k2', lt: 'k3' })
    expect(await db.has('k20')).toBe(false)
    expect(await db.has('k20', { snapshot })).toBe(true)
    await db.transaction(async (txn) => txn.put('t', (await txn.get('b')) ?? ''))
    await db.sync()
    await db.flush()
    await db.compact()
    expect((await db.verify()).ok).toBe(true)
    expect(await db.versions('t')).toHaveLength(1)
    expect(db.valueLogFiles()).toEqual([])
    expect(Object.values(db.stats()).every(Number.isFinite)).toBe(true)
    await expectCode(() => db.gc(), 'WK_NOT_SUPPORTED')
    await expectCode(() => db.runValueLogGC(0.5), 'WK_NOT_SUPPORTED')
    await expectCode(() => db.checkpoint('/copy'), 'WK_NOT_SUPPORTED')
    await db.close()
    expect(fs.entries).toEqual([])
    const again = keep(await DB.open('ignored', { ...SMALL, fs, inMemory: true, errorIfExists: true }))
    expect(await all(again.keys())).toEqual([])
  })

  it('with readOnly it is WK_NOT_SUPPORTED', async () => {
    await expectCode(() => DB.open('', { inMemory: true, readOnly: true }), 'WK_NOT_SUPPORTED')
  })
})

describe('readOnly', () => {
  it('allows whatever only reads, refuses the rest, and changes no file', async () => {
    const at = nodePlace()
    const writer = await at.open({ numVersionsToKeep: 2 })
    for (let i = 0; i < 60; i++) await writer.put(`k${i % 30}`, large(i * 20, i))
    await writer.close()
    const before = contentsOf(at.dir)
    const db = await at.open({ readOnly: true, numVersionsToKeep: 2 })
    expect(await db.versions('k1')).toHaveLength(2)
    expect(await db.transaction(async (txn) => (await txn.keys().all()).length)).toBe(30)
    expect(await db.transaction((txn) => txn.get('k2'), { readOnly: true })).toEqual(large(32 * 20, 32))
    await db.sync()
    expect((await db.verify()).ok).toBe(true)
    expect((await all(db.backup())).length).toBeGreaterThan(2)
    expect(db.valueLogFiles().length).toBeGreaterThan(0)
    const snapshot = db.snapshot()
    expect(db.getSync('k3', { snapshot })).toEqual(large(33 * 20, 33))
    for (const refused of [() => db.gc(), () => db.checkpoint(`${at.dir}-copy`), () => db.load([]), () => db.transaction((txn) => txn.del('k')), () => db.batch([])]) {
      await expectCode(refused, 'WK_READ_ONLY')
    }
    await db.close()
    expect(contentsOf(at.dir)).toEqual(before)
  })

  it('with errorIfExists it is WK_EXISTS, and changes nothing', async () => {
    const at = nodePlace()
    await (await at.open()).close()
    const before = contentsOf(at.dir)
    await expectCode(() => at.open({ readOnly: true, errorIfExists: true }), 'WK_EXISTS')
    expect(contentsOf(at.dir)).toEqual(before)
  })
})

onBothFileSystems('long work', (place) => {
  it('that would have nothing to do is refused all the same: an aborted signal, what is no signal, what cannot be told', async () => {
    const db = await place().open()
    const works: ((options: object) => Promise<unknown>)[] = [
      (options) => db.compact(options),
      (options) => db.verify(options),
      (options) => db.runValueLogGC(0.5, options),
      (options) => db.gc(options),
      (options) => db.gc({ ...options, dryRun: true }),
      (options) => all(db.backup(options)),
      (options) => db.load([], options),
      (options) => db.checkpoint('/nowhere', options),
      (options) => db.clear(options),
      (options) => DB.repair('/nowhere', { to: '/elsewhere', ...options }),
    ]
    for (const work of works) {
      expect((await expectCode(() => work({ signal: AbortSignal.abort() }), 'WK_ABORTED')).name).toBe('AbortError')
      for (const signal of [5, {}, null]) await expectCode(() => work({ signal }), 'WK_INVALID_ARGUMENT')
      for (const onProgress of [5, {}, null]) await expectCode(() => work({ onProgress }), 'WK_INVALID_ARGUMENT')
    }
  })

  it('leaves nothing at a signal that outlives it', async () => {
    const here = place()
    const db = await here.open()
    await db.put('k', large(300))
    const { signal } = new AbortController()
    const chunks = await all(db.backup({ signal }))
    await db.load(chunks, { signal })
    await expectCode(() => db.load([], { signal }), 'WK_CORRUPTION')
    await db.checkpoint(`${here.dir}-copy`, { signal })
    await Promise.all([db.compact({ signal }), db.verify({ signal }), db.gc({ signal }), db.clear({ signal })])
    const backup = db.backup({ signal })
    await backup.next()
    await backup.return(0)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('that close() ends is WK_CLOSED, unless its own signal was aborted as well', async () => {
    const db = await place().open()
    const controller = new AbortController()
    const hanging = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) }
    const ended = expectCode(() => db.load(hanging), 'WK_CLOSED')
    const aborted = expectCode(() => db.load(hanging, { signal: controller.signal }), 'WK_ABORTED')
    const closing = db.close()
    controller.abort()
    await Promise.all([ended, aborted, closing])
  })

  it('tells phase, done, total and bytes, and ends with the signal', async () => {
    const here = place()
    const db = await here.open()
    for (let i = 0; i < 400; i++) await db.put(`k${i % 40}`, large(900, i))
    const chunks = await all(db.backup())
    const works: [string, (options: { signal?: AbortSignal; onProgress?: (p: Progress) => void }) => Promise<unknown>][] = [
      ['compact', (options) => db.compact(options)],
      ['verify', (options) => db.verify(options)],
      ['runValueLogGC', (options) => db.runValueLogGC(0.1, options)],
      ['gc', (options) => db.gc({ maxSpaceAmp: 1.01, ...options })],
      ['backup', (options) => all(db.backup(options))],
      ['load', (options) => db.load(chunks, options)],
      ['checkpoint', (options) => db.checkpoint(`${here.dir}-copy`, options)],
      ['clear', (options) => db.clear({ gte: 'k', lt: 'l', ...options })],
    ]
    for (const [name, work] of works) {
      const aborted = await expectCode(() => work({ signal: AbortSignal.abort(new Error('reason')) }), 'WK_ABORTED')
      expect(aborted.name, name).toBe('AbortError')
      await expectCode(() => work({ signal: 5 as never }), 'WK_INVALID_ARGUMENT')
    }
    for (const [name, work] of works) {
      if (name === 'gc' || name === 'runValueLogGC') for (let i = 0; i < 200; i++) await db.put(`k${i % 40}`, large(900, i))
      const told: Progress[] = []
      await work({ onProgress: (progress) => told.push({ ...progress }) })
      // A collection that finds only dead files removes them in one step.
      if (name !== 'gc' && name !== 'runValueLogGC') expect(told.length, name).toBeGreaterThan(0)
      for (const { phase, done, total, bytes } of told) {
        expect(typeof phase, name).toBe('string')
        expect(done <= total && done >= 0 && bytes >= 0, `${name}: ${done} of ${total}, ${bytes}`).toBe(true)
      }
    }
    expect(await all(db.keys())).toEqual([])
    expect((await db.verify()).ok).toBe(true)
  })
})

describe('handles', () => {
  it('close twice and dispose, every one of them', async () => {
    const place = memoryPlace()
    const db = await place.open()
    await db.put('k', 'v')
    const snapshot = db.snapshot()
    snapshot[Symbol.dispose]()
    snapshot.close()
    const iterator = db.keys()
    await iterator[Symbol.asyncDispose]()
    await iterator.close()
    const backup = db.backup()
    await backup.next()
    await backup.return(0)
    await backup.return(0)
    await db[Symbol.asyncDispose]()
    await db.close()
    await (await place.open()).close()
  })

  it('the classes and errors of the contract are exported', async () => {
    const db = await memoryPlace().open()
    await db.transaction((txn) => expect(txn).toBeInstanceOf(Transaction))
    const error = await db.transaction(5 as never).catch((err: unknown) => err)
    expect(error).toBeInstanceOf(WkError)
    expect(error).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
  })
})

describe('clear', () => {
  it('keeps what was written after the call, and what is written while it runs', async () => {
    const db = await memoryPlace().open()
    for (let i = 0; i < 3000; i++) void db.put(`k${i}`, 'old')
    const clearing = db.clear({ gte: 'k', lt: 'l' })
    await Promise.all([db.put('k5', 'new'), db.put('k2999', 'new'), clearing])
    expect((await all(db.iterator())).map(([key, value]) => `${text(key)}=${text(value)}`)).toEqual(['k2999=new', 'k5=new'])
  })

  it('with a limit of 0 it clears nothing, with -1 everything', async () => {
    const db = await memoryPlace().open()
    await db.put('a', '1')
    await db.clear({ limit: 0 })
    expect(await db.has('a')).toBe(true)
    await db.clear({ limit: -1 })
    expect(await db.has('a')).toBe(false)
  })
})
