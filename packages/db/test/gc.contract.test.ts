import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { DB, WkError } from '../src/index.js'
import { all, expectCode, keep, large, memoryPlace, nodePlace, onBothFileSystems, text, type Place } from './harness.js'

const logs = async (at: Place): Promise<string[]> => (await at.names()).filter((name) => /\.(vlog|rlog)$/.test(name))

/** Collects until nothing is left to do. */
async function collectAll(db: DB, ratio: number): Promise<number> {
  for (let passes = 0; passes < 200; passes++) {
    try {
      await db.runValueLogGC(ratio)
    } catch (err) {
      expect(err).toMatchObject({ code: 'WK_NO_REWRITE' })
      return passes
    }
  }
  throw new Error('collection does not end')
}

onBothFileSystems('runValueLogGC', (place) => {
  it('finds nothing in an empty database, nor in one without garbage: WK_NO_REWRITE', async () => {
    const db = await place().open()
    await expectCode(() => db.runValueLogGC(0.5), 'WK_NO_REWRITE')
    for (let i = 0; i < 60; i++) await db.put(`k${i}`, large(500, i))
    await expectCode(() => db.runValueLogGC(0.5), 'WK_NO_REWRITE')
    await db.flush()
    await expectCode(() => db.runValueLogGC(0.01), 'WK_NO_REWRITE')
  })

  it('finds 200 overwrites of one value without any flush by the caller', async () => {
    const at = place()
    const db = await at.open({ valueLogFileSize: 64 * 1024, memTableSize: 8 * 1024 * 1024 })
    for (let i = 0; i < 200; i++) await db.put('k', large(4096, i))
    const before = (await logs(at)).length
    expect(before).toBeGreaterThan(5)
    const report = await db.runValueLogGC(0.5)
    expect(report.filesCollected).toBeGreaterThan(0)
    expect(report.bytesReclaimed).toBeGreaterThan(0)
    await collectAll(db, 0.5)
    expect((await logs(at)).length).toBeLessThanOrEqual(2)
    expect(await db.get('k')).toEqual(large(4096, 199))
  })

  it('reports what it did, and the report is true', async () => {
    const at = place()
    const db = await at.open()
    for (let i = 0; i < 100; i++) await db.put(`k${i}`, large(500, i))
    for (let i = 0; i < 100; i++) if (i % 4 !== 0) await db.del(`k${i}`)
    const report = await db.runValueLogGC(0.5)
    expect(Object.keys(report).sort()).toEqual(['bytesMoved', 'bytesReclaimed', 'filesCollected', 'spaceAmp'])
    for (const figure of Object.values(report)) expect(Number.isFinite(figure)).toBe(true)
    expect(report.filesCollected).toBeGreaterThanOrEqual(1)
    expect(report.spaceAmp).toBeGreaterThanOrEqual(1)
    await collectAll(db, 0.5)
    for (let i = 0; i < 100; i++) expect(await db.get(`k${i}`)).toEqual(i % 4 === 0 ? large(500, i) : undefined)
    expect((await db.verify()).ok).toBe(true)
  })

  it('tells its progress also when all it does is to remove dead files', async () => {
    const db = await place().open({ valueLogFileSize: 16 * 1024 })
    for (let i = 0; i < 100; i++) await db.put(`k${i}`, large(500, i))
    await Promise.all(Array.from({ length: 100 }, (_, i) => db.del(`k${i}`)))
    const told: { phase: string; done: number; bytes: number }[] = []
    const { filesCollected, bytesMoved } = await db.runValueLogGC(0.5, { onProgress: (progress) => told.push({ ...progress }) })
    expect(bytesMoved).toBe(0)
    expect(told.filter(({ phase }) => phase === 'remove').reduce((sum, { done }) => sum + done, 0)).toBe(filesCollected)
    expect(told.reduce((sum, { bytes }) => sum + bytes, 0)).toBeGreaterThan(20_000)
  })

  it('beside another explicit call it is WK_GC_RUNNING, and the first one ends well', async () => {
    const db = await place().open()
    for (let i = 0; i < 200; i++) await db.put(`k${i % 20}`, large(500, i))
    const first = db.runValueLogGC(0.2)
    await expectCode(() => db.runValueLogGC(0.2), 'WK_GC_RUNNING')
    await first
    await db.runValueLogGC(0.2).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
  })

  it('runs beside writes and reads, and changes nothing that they see', async () => {
    const db = await place().open()
    const expected = new Map<string, Uint8Array>()
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 60; i++) {
        expected.set(`k${i % 25}`, large(100 + ((i * 53) % 900), round * 100 + i))
        await db.put(`k${i % 25}`, expected.get(`k${i % 25}`) as Uint8Array)
      }
      const collecting = db.runValueLogGC(0.05).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
      for (let i = 0; i < 30; i++) {
        const key = `k${(i * 7) % 25}`
        if (i % 5 === 0) {
          expected.delete(key)
          await db.del(key)
        } else if (i % 3 === 0) {
          expected.set(key, large(300, 5000 + i))
          await db.put(key, large(300, 5000 + i))
        }
        expect(await db.get(key)).toEqual(expected.get(key))
        expect(db.getSync(`k${i % 25}`)).toEqual(expected.get(`k${i % 25}`))
      }
      await collecting
      for (let i = 0; i < 25; i++) expect(await db.get(`k${i}`)).toEqual(expected.get(`k${i}`))
    }
  })

  it('keeps what a snapshot and an iterator still see, and gives it back once they are closed', async () => {
    const at = place()
    const db = await at.open()
    for (let i = 0; i < 100; i++) await db.put(`k${String(i).padStart(3, '0')}`, large(500, i))
    const snapshot = db.snapshot()
    const iterator = db.iterator()
    await iterator.next()
    await db.clear()
    await collectAll(db, 0.01)
    for (let i = 0; i < 100; i++) expect(await db.get(`k${String(i).padStart(3, '0')}`, { snapshot })).toEqual(large(500, i))
    expect((await iterator.nextv(1000)).length).toBeGreaterThan(0)
    await iterator.close()
    snapshot.close()
    await collectAll(db, 0.01)
    expect((await logs(at)).length).toBeLessThanOrEqual(2)
    expect(await all(db.keys())).toEqual([])
  })

  it('a deleted key does not come back, whatever the order of flush, GC, compaction and reopening', async () => {
    const at = place()
    let db = await at.open()
    const steps = { flush: () => db.flush(), compact: () => db.compact(), gc: () => collectAll(db, 0.01), reopen: async () => (await db.close(), (db = await at.open())) }
    type Step = keyof typeof steps
    const orders: Step[][] = [
      ['flush', 'gc', 'compact', 'reopen'],
      ['gc', 'flush', 'compact', 'gc', 'reopen', 'gc'],
      ['reopen', 'gc', 'compact', 'reopen'],
      ['compact', 'reopen', 'gc', 'compact'],
    ]
    for (const [number, order] of orders.entries()) {
      const key = `victim ${number}`
      await db.put(key, large(2000, number))
      for (let i = 0; i < 20; i++) await db.put(`other ${i}`, large(500, number * 100 + i))
      await db.flush()
      await db.compact()
      await db.del(key)
      for (let i = 0; i < 4; i++) await db.put('more', `${i}`)
      for (const step of order) {
        await steps[step]()
        expect(await db.has(key), `${key} after ${step}`).toBe(false)
        expect(await db.get(key)).toBeUndefined()
      }
      expect((await all(db.keys())).map(text)).not.toContain(key)
    }
  })

  it('the space of dropped values comes back on disk', async () => {
    const at = nodePlace()
    const db = await at.open({ valueLogFileSize: 256 * 1024 })
    const size = (): number => readdirSync(at.dir).reduce((sum, name) => sum + statSync(join(at.dir, name)).size, 0)
    for (let round = 0; round < 5; round++) for (let i = 0; i < 200; i++) await db.put(`k${i}`, large(4000, round * 200 + i))
    expect(size()).toBeGreaterThan(3_500_000)
    await collectAll(db, 0.3)
    expect(size()).toBeLessThan(200 * 4000 * 1.6 + 300_000)
    for (let i = 0; i < 200; i++) expect(await db.get(`k${i}`)).toEqual(large(4000, 800 + i))
    await db.close()
    const again = await at.open()
    for (let i = 0; i < 200; i++) expect(await again.get(`k${i}`)).toEqual(large(4000, 800 + i))
  })
})

describe('GC elsewhere', () => {
  it('in memory it is WK_NOT_SUPPORTED', async () => {
    const db = await DB.open('', { inMemory: true }).catch((err: unknown) => {
      expect(err).toBeInstanceOf(WkError)
      expect(err).toMatchObject({ code: 'WK_NOT_SUPPORTED' })
      return undefined
    })
    if (db === undefined) return
    keep(db)
    await db.put('k', large(5000))
    expect(await db.get('k')).toEqual(large(5000))
    await expectCode(() => db.runValueLogGC(0.5), 'WK_NOT_SUPPORTED')
  })

  it('gc() works to the target, or is WK_NOT_SUPPORTED', async () => {
    const db = await memoryPlace().open()
    for (let i = 0; i < 300; i++) await db.put(`k${i % 30}`, large(500, i))
    try {
      const report = await db.gc({ maxSpaceAmp: 1.5 })
      expect(report.filesCollected).toBeGreaterThan(0)
      expect(report.spaceAmp).toBeLessThan(2.5)
    } catch (err) {
      expect(err).toMatchObject({ code: 'WK_NOT_SUPPORTED' })
    }
    for (let i = 0; i < 30; i++) expect(await db.get(`k${i}`)).toEqual(large(500, 270 + i))
  })
})
