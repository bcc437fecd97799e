/**
 * Law 9: the first failed write or sync of WAL, value log or manifest turns the database read-only in the same turn;
 * who waits is rejected, reads go on, what was rejected is not readable, and `close()` resolves.
 */
import { FaultFileSystem, MemoryFileSystem, type FaultRule } from '@wk/fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { DB } from '../src/index.js'
import { Stager } from '../src/stager.js'
import { all, expectCode, failureOf, keep, large, SMALL, text } from './harness.js'

interface Fixture {
  readonly db: DB
  readonly disk: MemoryFileSystem
  readonly fault: FaultFileSystem
  readonly health: unknown[]
}

/** An open database with some durable entries, on a device that is about to fail. */
async function fixture(): Promise<Fixture> {
  const disk = new MemoryFileSystem()
  const fault = new FaultFileSystem(disk)
  const db = keep(await DB.open('/db', { ...SMALL, fs: fault }))
  for (let i = 0; i < 20; i++) await db.put(`old${i}`, large(i * 30, i))
  await db.flush()
  for (let i = 0; i < 10; i++) await db.put(`new${i}`, large(i * 30, 100 + i))
  await db.sync()
  const health: unknown[] = []
  ;(db as unknown as { on(event: string, listener: (event: unknown) => void): void }).on('health', (event) => health.push(event))
  return { db, disk, fault, health }
}

/** What must hold from the turn of the failure on. */
async function expectReadOnly({ db, disk, fault }: Fixture, rejected: string[]): Promise<void> {
  const before = fault.injected.length
  expect(before).toBeGreaterThan(0)
  fault.clear()
  for (const write of [() => db.put('late', 'x'), () => db.del('old1'), () => db.batch([{ type: 'put', key: 'late', value: large(500) }]), () => db.clear(), () => db.flush(), () => db.compact(), () => db.sync(), () => db.runValueLogGC(0.5)]) {
    const err = await expectCode(write, 'WK_READ_ONLY')
    expect(err.cause, 'the cause is the failure').toMatchObject({ code: 'WK_IO' })
  }
  for (let i = 0; i < 20; i++) expect(await db.get(`old${i}`)).toEqual(large(i * 30, i))
  for (let i = 0; i < 10; i++) expect(db.getSync(`new${i}`)).toEqual(large(i * 30, 100 + i))
  for (const key of [...rejected, 'late']) {
    expect(await db.get(key), key).toBeUndefined()
    expect(await db.has(key), key).toBe(false)
  }
  const keys = (await all(db.keys())).map(text)
  for (const key of [...rejected, 'late']) expect(keys).not.toContain(key)
  const operations = disk.opCount
  const start = performance.now()
  await db.close()
  expect(performance.now() - start).toBeLessThan(5000)
  expect(disk.opCount, 'close writes nothing').toBe(operations)
}

/** After the device is whole again: nothing acknowledged lost, rejected writes whole or not at all, and they stay so. */
async function expectSoundAfterReopening({ disk }: Fixture, rejected: Map<string, Uint8Array>): Promise<void> {
  let there: string[] | undefined
  for (let round = 0; round < 2; round++) {
    const db = await DB.open('/db', { ...SMALL, fs: disk })
    for (let i = 0; i < 20; i++) expect(await db.get(`old${i}`)).toEqual(large(i * 30, i))
    for (let i = 0; i < 10; i++) expect(await db.get(`new${i}`)).toEqual(large(i * 30, 100 + i))
    const found: string[] = []
    for (const [key, value] of rejected) {
      const now = await db.get(key)
      if (now === undefined) continue
      expect(now).toEqual(value)
      found.push(key)
    }
    there ??= found
    expect(found).toEqual(there)
    expect(await db.get('late')).toBeUndefined()
    expect((await db.verify()).ok).toBe(true)
    if (round === 0) await db.put(`round`, 'x')
    await db.close()
  }
}

describe('law 9: a failing device', () => {
  const cases: [string, FaultRule, (db: DB) => Promise<unknown>[]][] = [
    ['write to the WAL', { operation: 'write', path: '.wal' }, (db) => [db.put('r0', 'small'), db.put('r1', large(300, 1))]],
    ['write to the WAL, disk full', { operation: 'write', path: '.wal', errno: 'ENOSPC', times: Infinity }, (db) => [db.put('r0', 'small'), db.put('r1', large(300, 1))]],
    ['short, then failed write to the WAL', { operation: 'write', path: '.wal', short: 7, errno: 'EIO' }, (db) => [db.put('r0', 'small'), db.put('r1', large(300, 1))]],
    ['sync of the WAL', { operation: 'sync', path: '.wal' }, (db) => [db.put('r0', 'small', { sync: true }), db.put('r1', large(300, 1))]],
    ['sync of the WAL that lies afterwards', { operation: 'sync', path: '.wal', thenLie: true }, (db) => [db.put('r0', 'small', { sync: true })]],
    ['write to the value log', { operation: 'write', path: '.vlog' }, (db) => [db.put('r0', large(300, 0)), db.put('r1', large(300, 1))]],
    ['short, then failed write to the value log', { operation: 'write', path: '.vlog', short: 40, errno: 'ENOSPC' }, (db) => [db.put('r0', large(300, 0)), db.put('r1', large(300, 1))]],
    ['sync of the value log', { operation: 'sync', path: '.vlog' }, (db) => [db.put('r0', large(300, 0), { sync: true }), db.put('r1', 'small')]],
    ['write of a large batch', { operation: 'write', path: '.vlog' }, (db) => [db.batch(Array.from({ length: 30 }, (_, i) => ({ type: 'put' as const, key: `r${i}`, value: large(3000, i) })))]],
  ]
  for (const [name, rule, writes] of cases) {
    it(`law 9: ${name}: read-only in the same turn, waiters rejected, reads go on`, async () => {
      const at = await fixture()
      at.fault.add(rule)
      const rejected = new Map<string, Uint8Array>([
        ['r0', name.includes('large batch') ? large(3000, 0) : name.includes('value log') ? large(300, 0) : new Uint8Array(Buffer.from('small'))],
        ['r1', name.includes('large batch') ? large(3000, 1) : name.startsWith('sync of the value') ? new Uint8Array(Buffer.from('small')) : large(300, 1)],
      ])
      const outcomes = await Promise.allSettled(writes(at.db))
      for (const outcome of outcomes) {
        expect(outcome.status).toBe('rejected')
        if (outcome.status === 'rejected') expect((outcome.reason as { code: string }).code).toMatch(/^WK_(IO|READ_ONLY)$/)
      }
      expect(at.health).toHaveLength(1)
      expect(at.health[0]).toMatchObject({ cause: { code: 'WK_IO' } })
      await expectReadOnly(at, ['r0', 'r1'])
      await expectSoundAfterReopening(at, rejected)
    })
  }

  it('law 9: the error carries the errno error as its cause', async () => {
    const at = await fixture()
    at.fault.add({ operation: 'write', path: '.wal', errno: 'ENOSPC' })
    const err = await failureOf(() => at.db.put('k', 'v'))
    const io = err.code === 'WK_IO' ? err : (err.cause as typeof err)
    expect(io.code).toBe('WK_IO')
    expect(io.operation).toBe('write')
    expect(String(io.file)).toContain('.wal')
    expect((io.cause as NodeJS.ErrnoException).code).toBe('ENOSPC')
  })

  it('law 9: a write called in the turn of the failure is refused, and everything that waited is rejected', async () => {
    const at = await fixture()
    at.fault.add({ operation: 'sync', path: '.wal' })
    const waiting = Array.from({ length: 10 }, (_, i) => at.db.put(`r${i}`, large(i * 50, i), { sync: i === 0 }))
    const later = waiting[0]?.catch(() => expectCode(() => at.db.put('late', 'x'), 'WK_READ_ONLY'))
    for (const outcome of await Promise.allSettled(waiting)) expect(outcome.status).toBe('rejected')
    await later
    await expectReadOnly(at, Array.from({ length: 10 }, (_, i) => `r${i}`))
  })

  for (const [what, rule] of [
    ['write to the manifest', { operation: 'write', path: 'MANIFEST' }],
    ['sync of the manifest', { operation: 'sync', path: 'MANIFEST' }],
  ] as const) {
    it(`law 9: a failed ${what} during flush`, async () => {
      const at = await fixture()
      at.fault.add(rule)
      const err = await failureOf(() => at.db.flush())
      expect(err.code).toMatch(/^WK_(IO|READ_ONLY)$/)
      await expectReadOnly(at, [])
      await expectSoundAfterReopening(at, new Map())
    })
  }

  it.each([
    ['of the manifest', 'MANIFEST'],
    ['of a table, in every new file', '.sst'],
  ])('law 9: a background failure %s that no caller waited for makes the next write reject, and emits health', async (_, path) => {
    const at = await fixture()
    at.fault.add({ operation: ['write', 'sync'], path, times: Infinity })
    let refused: unknown
    for (let i = 0; i < 4000 && refused === undefined; i++) refused = await at.db.put(`fill${i}`, large(60, i)).then(() => undefined, (err: unknown) => err)
    expect(refused).toMatchObject({ code: 'WK_READ_ONLY', cause: { code: 'WK_IO' } })
    expect(at.health).toHaveLength(1)
    at.fault.clear()
    await at.db.close()
    const again = keep(await DB.open('/db', { ...SMALL, fs: at.disk }))
    for (let i = 0; i < 20; i++) expect(await again.get(`old${i}`)).toEqual(large(i * 30, i))
    expect(await again.get('fill0')).toEqual(large(60, 0))
  })

  it('law 9: a failed sync of a full value log, which no write waits for, ends writing and is the cause that is given', async () => {
    const at = await fixture()
    at.fault.add({ operation: 'sync', path: '.vlog' })
    // On a slow machine a turn may be due, in which the sync would fail before the group is acknowledged.
    await new Promise((resolve) => setImmediate(resolve))
    // The group that fills the file is acknowledged; the file is synced beside the calls.
    await at.db.put('full', large(6000, 1))
    await at.db.put('next', large(100, 2)).catch(() => undefined)
    for (let turn = 0; turn < 20 && at.health.length === 0; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(at.health).toMatchObject([{ state: 'read-only', cause: { code: 'WK_IO', operation: 'sync' } }])
    for (const key of ['small', 'again']) expect(await expectCode(() => at.db.put(key, 'x'), 'WK_READ_ONLY')).toMatchObject({ cause: { code: 'WK_IO' } })
    expect(await at.db.get('full')).toEqual(large(6000, 1))
    await at.db.close()
  })

  it('law 9: a large value that fails takes with it what the same turn staged before', async () => {
    const at = await fixture()
    at.fault.add({ operation: 'write', path: '.vlog' })
    const writes = [at.db.put('r0', 'small'), at.db.put('r1', large(300, 1)), at.db.put('r2', large(3_000_000, 2))]
    for (const outcome of await Promise.allSettled(writes)) expect(outcome.status).toBe('rejected')
    expect(at.health).toMatchObject([{ cause: { code: 'WK_IO' } }])
    await expectReadOnly(at, ['r0', 'r1', 'r2'])
    await expectSoundAfterReopening(at, new Map([['r0', new Uint8Array(Buffer.from('small'))], ['r1', large(300, 1)], ['r2', large(3_000_000, 2)]]))
  })

  for (const index of [0, 1, 2]) {
    it(`law 9: write ${index} of a large value that is written at the call fails: alone, or first in its batch`, async () => {
      for (const write of [
        (db: DB) => db.put('r0', large(300_000, 0)),
        (db: DB) => db.batch([{ type: 'put', key: 'r0', value: large(300_000, 0) }, { type: 'put', key: 'r1', value: 'small' }]),
      ]) {
        const disk = new MemoryFileSystem()
        const fault = new FaultFileSystem(disk)
        const db = keep(await DB.open('/db', { ...SMALL, valueLogFileSize: 1 << 24, fs: fault }))
        await db.put('old', large(500, 1))
        const health: unknown[] = []
        db.on('health', (event) => health.push(event))
        fault.add({ operation: 'write', path: '.vlog', index, errno: 'ENOSPC', short: 1 })
        const waiting = db.put('before', 'small')
        const failed = write(db)
        expect(health, 'in the turn of the call').toMatchObject([{ state: 'read-only', cause: { code: 'WK_IO' } }])
        expect(await failureOf(() => failed)).toMatchObject({ code: 'WK_IO' })
        await expectCode(() => waiting, 'WK_READ_ONLY')
        await expectCode(() => db.put('late', 'x'), 'WK_READ_ONLY')
        for (const key of ['r0', 'r1', 'before']) expect(await db.get(key)).toBeUndefined()
        expect(await db.get('old')).toEqual(large(500, 1))
        fault.clear()
        await db.close()
        const again = keep(await DB.open('/db', { ...SMALL, fs: disk }))
        expect(await again.get('old')).toEqual(large(500, 1))
        for (const key of ['r0', 'r1']) expect(await again.get(key)).toBeUndefined()
      }
    })
  }

  describe.each([0, 1, 2])('a batch of which %i operations are staged when memory runs out', (staged) => {
    afterEach(() => vi.restoreAllMocks())

    it('law 9: takes with it what was not acknowledged; nothing of it is visible, now or later', async () => {
      const at = await fixture()
      const put = Stager.prototype.put
      let calls = 0
      const waiting = at.db.put('r0', large(300, 0))
      vi.spyOn(Stager.prototype, 'put').mockImplementation(function (this: Stager, ...args) {
        if (calls++ === staged) throw new RangeError('Array buffer allocation failed')
        put.apply(this, args)
      })
      const failing = at.db.batch(['r1', 'r2', 'r3'].map((key, i) => ({ type: 'put', key, value: i === 1 ? 'small' : large(300, i + 1) })))
      vi.restoreAllMocks()
      expect(await failureOf(() => failing)).toMatchObject({ code: 'WK_IO', cause: { name: 'RangeError' } })
      expect((await Promise.allSettled([waiting]))[0]).toMatchObject({ status: 'rejected' })
      expect(at.health).toHaveLength(1)
      await expectCode(() => at.db.put('late', 'x'), 'WK_READ_ONLY')
      await expectCode(() => at.db.sync(), 'WK_READ_ONLY')
      for (const key of ['r0', 'r1', 'r2', 'r3', 'late']) expect(at.db.getSync(key), key).toBeUndefined()
      expect((await all(at.db.keys())).length).toBe(30)
      await at.db.close()
      const again = keep(await DB.open('/db', { ...SMALL, fs: at.disk }))
      expect((await all(again.keys())).map(text).filter((key) => key?.startsWith('r'))).toEqual([])
      expect(await again.get('new9')).toEqual(large(270, 109))
    })
  })

  it('law 9: after a value log that could not be made, verify() looks at what there is', async () => {
    const at = await fixture()
    at.fault.add({ operation: 'create', path: '.vlog', errno: 'ENOSPC', times: Infinity })
    for (let i = 0; i < 3; i++) await at.db.put(`r${i}`, large(5000, i)).catch(() => undefined)
    expect(at.health).toHaveLength(1)
    expect(await at.db.verify()).toMatchObject({ ok: true })
    await at.db.close()
  })

  it('law 9: close() resolves on a device that fails for good, and leaves no file open', async () => {
    const operations = ['read', 'write', 'sync', 'close'] as const
    for (const failing of [...operations.map((operation) => [operation]), [...operations]]) {
      const at = await fixture()
      await at.db.flush()
      await all(at.db.iterator())
      expect(at.disk.openFiles).toBeGreaterThan(2)
      at.fault.add({ operation: failing, times: Infinity })
      const put = at.db.put('r0', large(300, 0), { sync: true })
      if (failing.some((operation) => operation === 'write' || operation === 'sync')) await failureOf(() => put)
      else await put
      if (failing.join() === 'close') await failureOf(() => at.db.flush())
      await at.db.close()
      expect(at.disk.openFiles, failing.join()).toBe(0)
      const again = await DB.open('/db', { ...SMALL, fs: at.disk })
      expect(await again.get('old5')).toEqual(large(150, 5))
      await again.close()
    }
  })

  it('close() resolves where handles of value logs fail as they are closed: all that they hold is durable', async () => {
    const at = await fixture()
    await at.db.flush()
    await all(at.db.iterator())
    at.fault.add({ operation: 'close', path: '.vlog', times: Infinity })
    await at.db.close()
    expect(at.fault.injected.length).toBeGreaterThan(0)
    expect(at.disk.openFiles).toBe(0)
    const again = await DB.open('/db', { ...SMALL, fs: at.disk })
    expect(await again.get('old5')).toEqual(large(150, 5))
    await again.close()
  })

  it('whatever an iterator or a snapshot fails with as it is closed, close() closes all files', async () => {
    const at = await fixture()
    const [iterator, snapshot] = [at.db.iterator(), at.db.snapshot()]
    await iterator.next()
    const failure = new Error('as it is closed')
    iterator.close = () => Promise.reject(failure)
    snapshot.close = () => {
      throw failure
    }
    await at.db.close()
    expect(at.disk.openFiles).toBe(0)
    const again = await DB.open('/db', { ...SMALL, fs: at.disk })
    expect(await again.get('old5')).toEqual(large(150, 5))
    await again.close()
  })

  it('a table that goes under a reader, and whose handle fails as it is closed, is nothing to the reader', async () => {
    const at = await fixture()
    await at.db.flush()
    const iterator = at.db.iterator()
    await iterator.next()
    for (let i = 0; i < 20; i++) await at.db.put(`old${i}`, large(i * 30, i))
    await at.db.compact()
    at.fault.add({ operation: 'close', path: '.sst', times: Infinity })
    expect((await iterator.nextv(1000)).length).toBe(29)
    await iterator.close()
    expect(at.fault.injected.length).toBeGreaterThan(0)
    await at.db.close()
    expect(at.disk.openFiles).toBe(0)
  })

  it('a snapshot and an iterator that were open go on reading', async () => {
    const at = await fixture()
    const [snapshot, iterator] = [at.db.snapshot(), at.db.iterator()]
    await iterator.next()
    at.fault.add({ operation: 'write', path: '.wal' })
    await failureOf(() => at.db.put('r0', 'x'))
    expect((await iterator.nextv(1000)).length).toBe(29)
    expect(await at.db.get('old5', { snapshot })).toEqual(large(150, 5))
    await iterator.close()
    await at.db.close()
  })
})
