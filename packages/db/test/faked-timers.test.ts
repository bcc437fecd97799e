/** Whoever fakes the timers of a test fakes none of the engine's: what it has to wait for comes. The clock of `ttl` is the faked one. */
import { afterEach, expect, it, vi } from 'vitest'
import type { DB } from '../src/index.js'
import { all, cleanUp, large, memoryPlace, onBothFileSystems, text } from './harness.js'

const TO_FAKE = ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'clearImmediate', 'queueMicrotask', 'performance', 'hrtime', 'Date'] as const

afterEach(async () => {
  vi.useRealTimers()
  await cleanUp()
})

/** Enough of everything for flushes, compactions, passes and brakes. */
async function live(db: DB): Promise<void> {
  for (let round = 0; round < 6; round++) {
    const puts: Promise<void>[] = []
    for (let i = 0; i < 100; i++) puts.push(db.put(`k${i}`, large(1000 + i, round)))
    await Promise.all(puts)
  }
  await db.put('synced', 'v', { sync: true })
  await db.batch([{ type: 'put', key: 'a', value: large(100_000) }, { type: 'del', key: 'k1' }])
  expect(await all(db.iterator())).toHaveLength(101)
  expect(await db.getMany(Array.from({ length: 2000 }, (_, i) => `k${i}`))).toHaveLength(2000)
  await db.transaction(async (txn) => txn.put('t', (await txn.get('synced')) ?? ''))
  await db.flush()
  await db.compact()
  await db.gc({ maxSpaceAmp: 1.1 })
  await db.clear({ gte: 'k5', lt: 'l' })
  expect((await db.verify()).problems).toEqual([])
  const copy = await memoryPlace().open()
  await copy.load(db.backup())
  expect(await copy.keys().all()).toHaveLength((await db.keys().all()).length)
  await copy.close()
}

onBothFileSystems('under faked timers', (place) => {
  for (const options of [{ workers: 0 }, { workers: 1 }, { workers: 1, gc: { auto: true } }]) {
    it(`a database lives its whole life (${JSON.stringify(options)})`, { timeout: 20_000 }, async () => {
      vi.useFakeTimers({ toFake: [...TO_FAKE] })
      const somewhere = place()
      const db = await somewhere.open(options)
      await live(db)
      await db.close()
      const again = await somewhere.open(options)
      expect(text(await again.get('t'))).toBe('v')
      await again.close()
      await somewhere.destroy()
    })
  }
})

it('ttl goes by the clock that the process shows', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2030, 0, 1) })
  const db = await memoryPlace().open()
  await db.put('k', 'v', { ttl: 60 })
  expect((await db.getEntry('k'))?.expiresAt).toBe(Date.UTC(2030, 0, 1) / 1000 + 60)
  vi.setSystemTime(Date.UTC(2030, 0, 1, 0, 0, 59))
  expect(await db.has('k')).toBe(true)
  vi.setSystemTime(Date.UTC(2030, 0, 1, 0, 1, 0))
  expect(await db.get('k')).toBeUndefined()
  vi.useRealTimers()
  await db.close()
})
