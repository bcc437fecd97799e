import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MemoryFileSystem } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { describe, expect, it, vi } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, all, expectCode, keep, large, memoryPlace, nodePlace, onBothFileSystems, text } from './harness.js'

onBothFileSystems('flush, compact, sync, stats and verify', (place) => {
  it('flush puts all memtables into tables', async () => {
    const at = place()
    const db = await at.open()
    await db.flush()
    for (let i = 0; i < 50; i++) await db.put(`k${i}`, large(i * 10, i))
    await db.flush()
    expect((await at.names()).some((name) => name.endsWith('.sst'))).toBe(true)
    await db.flush()
    for (let i = 0; i < 50; i++) expect(await db.get(`k${i}`)).toEqual(large(i * 10, i))
  })

  it('compact merges everything and drops what is dead, and resolves on nothing', async () => {
    const at = place()
    const db = await at.open()
    await db.compact()
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 60; i++) await db.put(`k${i}`, large(40, round))
      await db.flush()
    }
    await db.compact()
    expect((await all(db.keys())).length).toBe(60)
    await db.clear()
    await db.compact()
    await vi.waitFor(async () => expect((await at.names()).filter((name) => name.endsWith('.sst'))).toEqual([]))
    expect(await all(db.keys())).toEqual([])
  })

  it('compact of a range drops what is dead in it, and approximateSize tells where the bytes are', async () => {
    const db = await place().open()
    for (let i = 0; i < 400; i++) await db.put(`k${1000 + i}`, large(400, i))
    expect(await db.approximateSize({})).toBeLessThan(400 * 400 * 1.5)
    await db.flush()
    const whole = await db.approximateSize({})
    expect(whole).toBeGreaterThan(400 * 400)
    expect(whole).toBeLessThan(400 * 400 * 1.5)
    expect(await db.approximateSize({ gte: 'k1000', lte: 'k1399' })).toBe(whole)
    expect(await db.approximateSize({ gt: 'k2' })).toBe(0)
    const half = await db.approximateSize({ lt: 'k1200' })
    expect(half / whole).toBeGreaterThan(0.3)
    expect(half / whole).toBeLessThan(0.7)
    await db.clear({ lt: 'k1200' })
    await db.compact({ lt: 'k1200' })
    expect(await db.approximateSize({ lt: 'k1200' })).toBeLessThan(whole / 10)
    expect((await all(db.keys())).length).toBe(200)
    await expectCode(() => db.approximateSize({ gte: 5 as never }), 'WK_INVALID_ARGUMENT')
    await expectCode(() => db.compact({ lt: null as never }), 'WK_INVALID_ARGUMENT')
  })

  it('an aborted compact or verify is WK_ABORTED and harmless', async () => {
    const db = await place().open()
    for (let i = 0; i < 100; i++) await db.put(`k${i}`, large(400, i))
    await db.flush()
    for (const call of [() => db.compact({ signal: AbortSignal.abort() }), () => db.verify({ signal: AbortSignal.abort() }), () => db.runValueLogGC(0.5, { signal: AbortSignal.abort() })]) {
      const err = await expectCode(call, 'WK_ABORTED')
      expect(err.name).toBe('AbortError')
    }
    expect((await db.verify()).ok).toBe(true)
    await db.put('k', 'v')
  })

  it('onProgress tells phase, done, total and bytes', async () => {
    const db = await place().open()
    for (let i = 0; i < 100; i++) await db.put(`k${i}`, large(400, i))
    await db.flush()
    const told: object[] = []
    await db.verify({ onProgress: (progress) => told.push(progress) })
    await db.compact({ onProgress: (progress) => told.push(progress) })
    await db.clear({ onProgress: (progress) => told.push(progress) })
    for (const progress of told) expect(progress).toMatchObject({ phase: expect.any(String), done: expect.any(Number), total: expect.any(Number), bytes: expect.any(Number) })
  })

  it('stats() is a flat plain object of finite numbers', async () => {
    const db = await place().open()
    const check = (): void => {
      const stats = db.stats()
      expect(Object.getPrototypeOf(stats)).toBe(Object.prototype)
      expect(Object.keys(stats).length).toBeGreaterThan(5)
      for (const [name, value] of Object.entries(stats)) {
        expect(typeof value, name).toBe('number')
        expect(Number.isFinite(value), name).toBe(true)
        expect(value, name).toBeGreaterThanOrEqual(0)
      }
    }
    check()
    for (let i = 0; i < 400; i++) await db.put(`k${i % 50}`, large(400, i))
    await db.flush()
    await db.compact()
    check()
    const before = db.stats()
    before[Object.keys(before)[0] as keyof typeof before] = -1 as never
    check()
  })

  it('verify says ok on a sound database, in every state', async () => {
    const at = place()
    let db = await at.open()
    const ok = async (): Promise<void> => expect(await db.verify()).toMatchObject({ ok: true, problems: [] })
    await ok()
    for (let i = 0; i < 200; i++) await db.put(`k${i % 40}`, large((i * 13) % 900, i))
    await ok()
    await db.flush()
    await ok()
    await db.runValueLogGC(0.1)
    await ok()
    await db.compact()
    await ok()
    await db.close()
    db = await at.open()
    await ok()
  })

  it('automatic flush, compaction and value-log rotation happen by size alone', async () => {
    const at = place()
    const db = await at.open({ valueThreshold: 1000 })
    for (let i = 0; i < 1500; i++) await db.put(`k${i % 700}`, large(i % 5 === 0 ? 1200 : 400, i))
    const names = await at.names()
    expect(names.filter((name) => name.endsWith('.sst')).length).toBeGreaterThan(0)
    expect(names.filter((name) => name.endsWith('.vlog')).length).toBeGreaterThan(5)
    for (let i = 800; i < 1500; i++) expect(db.getSync(`k${i % 700}`)).toEqual(large(i % 5 === 0 ? 1200 : 400, i))
  })
})

describe('damage', () => {
  /** A closed database on the real file system with values in tables and in value logs. */
  async function closed() {
    const at = nodePlace()
    const db = await at.open()
    for (let i = 0; i < 80; i++) await db.put(`k${String(i).padStart(2, '0')}`, large(i % 2 === 0 ? 30 : 400, i))
    await db.flush()
    await db.close()
    return at
  }
  const damage = (path: string, at: number): void => {
    const content = readFileSync(path)
    content[at] = (content[at] ?? 0) ^ 0x40
    writeFileSync(path, content)
  }

  it('in a value is WK_CORRUPTION with file and offset for every way to read it, and the others stay readable', async () => {
    const at = await closed()
    const name = readdirSync(at.dir).filter((one) => one.endsWith('.vlog'))[1] as string
    damage(join(at.dir, name), 20 + 200)
    const db = await at.open()
    let broken: string | undefined
    for (let i = 0; i < 80; i++) {
      const key = `k${String(i).padStart(2, '0')}`
      try {
        expect(await db.get(key)).toEqual(large(i % 2 === 0 ? 30 : 400, i))
      } catch (err) {
        expect(err).toMatchObject({ code: 'WK_CORRUPTION' })
        expect(broken).toBeUndefined()
        broken = key
      }
    }
    expect(broken).toBeDefined()
    const key = broken as string
    for (const read of [() => db.get(key), () => db.getSync(key), () => db.getMany([key]), () => all(db.iterator({ gte: key, limit: 1 })), () => all(db.values({ gte: key, limit: 1 })), () => db.getEntry(key)]) {
      const err = await expectCode(read, 'WK_CORRUPTION')
      expect(err.file).toBe(name)
      expect(err.offset).toEqual(expect.any(Number))
      expect(err.message).not.toContain(key)
    }
    expect(await db.has(key)).toBe(true)
    expect((await all(db.keys())).length).toBe(80)
    const report = await db.verify()
    expect(report.ok).toBe(false)
    expect(report.problems.length).toBeGreaterThan(0)
    expect(report.problems[0]).toMatchObject({ file: name, code: 'WK_CORRUPTION', offset: expect.any(Number), message: expect.any(String) })
  })

  it('that took a whole file while the database is open is WK_CORRUPTION with its name; verify tells it, collection stops at it, the others stay readable', async () => {
    for (const ending of ['.vlog', '.sst']) {
      const at = await closed()
      const db = await at.open({ maxOpenFiles: 8 })
      const file = readdirSync(at.dir).filter((one) => one.endsWith(ending)).sort()[0] as string
      rmSync(join(at.dir, file))
      const gone: string[] = []
      for (let i = 0; i < 80; i++) {
        const key = `k${String(i).padStart(2, '0')}`
        const value = await db.get(key).catch((err: unknown) => {
          expect(err).toMatchObject({ code: 'WK_CORRUPTION', file, offset: undefined })
          gone.push(key)
          return large(i % 2 === 0 ? 30 : 400, i)
        })
        expect(value).toEqual(large(i % 2 === 0 ? 30 : 400, i))
      }
      expect(gone.length).toBeGreaterThan(0)
      const [key] = gone as [string]
      for (const read of [() => db.getSync(key), () => db.getMany(gone), () => all(db.iterator()), () => db.getEntry(key), () => db.versions(key), () => all(db.backup())]) {
        expect(await expectCode(read, 'WK_CORRUPTION')).toMatchObject({ file })
      }
      const { ok, problems } = await db.verify()
      expect(ok).toBe(false)
      expect(problems).toContainEqual({ file, offset: undefined, code: 'WK_CORRUPTION', message: expect.stringContaining(file) as string })
      expect(await at.names()).not.toContain(file)
      await db.close()
      expect(await expectCode(() => at.open(), 'WK_CORRUPTION')).toMatchObject({ file })
    }
    const at = await closed()
    const db = await at.open({ maxOpenFiles: 8 })
    const file = readdirSync(at.dir).filter((one) => one.endsWith('.vlog')).sort()[0] as string
    for (let i = 0; i < 80; i += 4) await db.put(`k${String(i + 1).padStart(2, '0')}`, large(400, i))
    rmSync(join(at.dir, file))
    expect(await expectCode(() => db.gc({ maxSpaceAmp: 1.001 }), 'WK_CORRUPTION')).toMatchObject({ file })
    await db.put('k', large(400))
  })

  it('in a table is WK_CORRUPTION with file and offset', async () => {
    const at = await closed()
    const name = readdirSync(at.dir).find((one) => one.endsWith('.sst')) as string
    damage(join(at.dir, name), 60)
    const err = await expectCode(async () => {
      const db = await at.open()
      expect((await db.verify()).ok).toBe(false)
      await all(db.iterator())
    }, 'WK_CORRUPTION')
    expect(err.file).toBe(name)
    expect(err.offset).toEqual(expect.any(Number))
  })

  it('in the manifest is WK_CORRUPTION at open', async () => {
    const at = await closed()
    const name = readdirSync(at.dir).find((one) => one.startsWith('MANIFEST')) as string
    damage(join(at.dir, name), 30)
    const err = await expectCode(() => at.open(), 'WK_CORRUPTION')
    expect(err.file).toBe(name)
  })

  it('a value log cut short is WK_CORRUPTION, not an empty value, and is left as it is', async () => {
    const at = await closed()
    for (const name of readdirSync(at.dir).filter((one) => one.endsWith('.vlog'))) {
      const path = join(at.dir, name)
      const content = readFileSync(path)
      writeFileSync(path, content.subarray(0, content.length - 100))
      const outcome = await at.open().then(
        async (db) => {
          const errors = await Promise.all(Array.from({ length: 80 }, (_, i) => db.get(`k${String(i).padStart(2, '0')}`).then((value) => (value?.length === 0 ? 'empty' : undefined), (err: { code: string }) => err.code)))
          await db.close()
          return errors.filter((error) => error !== undefined)
        },
        (err: { code: string }) => [err.code],
      )
      expect(outcome.length).toBeGreaterThan(0)
      expect(new Set(outcome)).toEqual(new Set(['WK_CORRUPTION']))
      expect(readFileSync(path).length).toBe(content.length - 100)
      writeFileSync(path, content)
    }
  })

  it('stops GC, which keeps the file', async () => {
    const at = nodePlace()
    const db = await at.open()
    for (let i = 0; i < 40; i++) await db.put(`k${i}`, large(400, i))
    await db.flush()
    for (let i = 0; i < 40; i += 2) await db.del(`k${i}`)
    await db.flush()
    await db.close()
    const names = readdirSync(at.dir).filter((one) => one.endsWith('.vlog'))
    for (const name of names) for (let place = 30; place < readFileSync(join(at.dir, name)).length; place += 150) damage(join(at.dir, name), place)
    const again = await at.open().catch(() => undefined)
    if (again !== undefined) {
      await expectCode(async () => {
        for (let i = 0; i < 30; i++) await again.runValueLogGC(0.1)
      }, 'WK_CORRUPTION')
    }
    expect(readdirSync(at.dir)).toEqual(expect.arrayContaining(names))
  })
})

it('verify on a sound in-memory file system names counts', async () => {
  const db = await memoryPlace().open()
  await db.put('k', large(500))
  const report = await db.verify()
  expect(report.ok).toBe(true)
  expect(text((await all(db.keys()))[0])).toBe('k')
})

it('an abort ends gc, verify and checkpoint while they wait for their turn, and what holds them up goes on', async () => {
  const fs = new HoldingFileSystem(new MemoryFileSystem())
  const db = await DB.open('/db', { ...SMALL, fs })
  for (let i = 0; i < 100; i++) await db.put(`k${i % 10}`, large(400, i))
  await db.flush()
  fs.hold = ({ kind }) => kind === 'link'
  const held = db.checkpoint('/copy')
  await expect.poll(() => fs.held.length).toBe(1)
  for (const call of [
    (signal: AbortSignal) => db.gc({ signal }),
    (signal: AbortSignal) => db.runValueLogGC(0.5, { signal }),
    (signal: AbortSignal) => db.verify({ signal }),
    (signal: AbortSignal) => db.checkpoint('/other', { signal }),
  ]) {
    const aborter = new AbortController()
    const aborted = call(aborter.signal)
    setTimeout(() => aborter.abort('enough'), 10)
    expect(await expectCode(() => aborted, 'WK_ABORTED')).toMatchObject({ cause: 'enough' })
  }
  const waiting = db.gc({ maxSpaceAmp: 1.01 })
  await expectCode(() => db.runValueLogGC(0.5), 'WK_GC_RUNNING')
  // Those that were aborted let nobody pass: what they waited for has not ended.
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(db.stats().gcFilesCollected).toBe(0)
  expect(fs.held.length).toBe(1)
  fs.release()
  await held
  expect((await waiting).filesCollected).toBeGreaterThan(0)
  expect((await db.verify()).ok).toBe(true)
  expect(await fs.list('/other').catch(() => 'nothing')).toBe('nothing')
  await db.close()
  expect((await keep(await DB.open('/copy', { ...SMALL, fs })).keys().all()).length).toBe(10)
})
