import { defaultRuntime } from '@wk/fs'
import { Rng } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import type { DB } from '../src/index.js'
import { expectCode, large, memoryPlace, onBothFileSystems, text } from './harness.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 25 : 1))

/** A clock to be set by hand, in seconds. */
function clock(start = 1_700_000_000): { runtime: typeof defaultRuntime; seconds: number } {
  const at = { seconds: start, runtime: { ...defaultRuntime, now: () => at.seconds * 1000 } }
  return at
}

const compacted = async (db: DB): Promise<void> => {
  await db.flush()
  await db.compact()
}

onBothFileSystems('versions', (place) => {
  it('are listed newest first, with everything known of them, small and large', async () => {
    const db = await place().open({ numVersionsToKeep: 3 })
    for (let i = 1; i <= 5; i++) await db.put('k', i % 2 === 0 ? large(500, i) : `v${i}`, { userMeta: i })
    const newest = await db.getEntry('k')
    for (const check of ['memtable', 'tables']) {
      const versions = await db.versions('k')
      expect(versions.map(({ value, userMeta }) => [userMeta, value.length]), check).toEqual([[5, 2], [4, 500], [3, 2]])
      expect(versions[0]).toEqual(newest)
      expect(versions[1]?.value).toEqual(large(500, 4))
      expect(text(versions[2]?.key)).toBe('k')
      const numbers = versions.map(({ version }) => version)
      expect(numbers).toEqual([...numbers].sort((a, b) => b - a))
      await compacted(db)
    }
    expect(await db.versions('none')).toEqual([])
  })

  it('survive reopening, GC and compaction; exactly as many as asked for are kept', async () => {
    const here = place()
    let db = await here.open({ numVersionsToKeep: 3 })
    for (let i = 0; i < 40; i++) {
      for (const key of ['a', 'b', 'c']) await db.put(key, large(200, i))
      if (i % 9 === 0) await compacted(db)
    }
    await compacted(db)
    await db.gc({ maxSpaceAmp: 1.01 })
    expect((await db.verify()).entries).toBe(9)
    for (const key of ['a', 'b', 'c']) expect((await db.versions(key)).map(({ value }) => value)).toEqual([large(200, 39), large(200, 38), large(200, 37)])
    await db.close()
    db = await here.open({ numVersionsToKeep: 2 })
    expect(await db.versions('a')).toHaveLength(2)
    await db.put('a', 'new')
    await compacted(db)
    expect((await db.versions('a')).map(({ value }) => value)).toEqual([new Uint8Array(Buffer.from('new')), large(200, 39)])
    expect(await db.versions('b')).toHaveLength(2)
    expect((await db.verify()).entries).toBe(6)
  })
})

describe('versions', () => {
  it('one is kept by default', async () => {
    const db = await memoryPlace().open()
    for (let i = 0; i < 3; i++) await db.put('k', String(i))
    expect((await db.versions('k')).map(({ value }) => text(value))).toEqual(['2'])
  })

  it('end at a deletion, before and after compaction', async () => {
    const db = await memoryPlace().open({ numVersionsToKeep: 10 })
    await db.put('k', '1')
    await db.put('k', '2')
    await db.del('k')
    expect(await db.versions('k')).toEqual([])
    await db.put('k', '3')
    await db.put('k', '4')
    for (let i = 0; i < 2; i++) {
      expect((await db.versions('k')).map(({ value }) => text(value))).toEqual(['4', '3'])
      await compacted(db)
    }
    await db.del('k')
    await compacted(db)
    expect((await db.verify()).entries).toBe(0)
  })

  it('end at an expired one, which is never listed', async () => {
    const at = clock()
    const db = await memoryPlace().open({ numVersionsToKeep: 10, runtime: at.runtime })
    await db.put('k', '1')
    await db.put('k', '2', { ttl: 50 })
    await db.put('k', '3')
    await db.put('k', '4', { ttl: 100 })
    const listed = async (): Promise<(string | undefined)[]> => (await db.versions('k')).map(({ value }) => text(value))
    expect(await listed()).toEqual(['4', '3', '2', '1'])
    at.seconds += 50
    expect(await listed()).toEqual(['4', '3'])
    await compacted(db)
    expect(await listed()).toEqual(['4', '3'])
    at.seconds += 50
    expect(await listed()).toEqual([])
    expect(await db.get('k')).toBeUndefined()
  })

  it('wrong keys are WK_INVALID_ARGUMENT, after close it is WK_CLOSED', async () => {
    const db = await memoryPlace().open()
    await expectCode(() => db.versions(1 as never), 'WK_INVALID_ARGUMENT')
    await db.close()
    await expectCode(() => db.versions('k'), 'WK_CLOSED')
  })

  it(`equal a plain list over random histories, seeds ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}`, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const rng = new Rng(seed)
      const keep = rng.between(1, 4)
      const at = clock()
      const place = memoryPlace()
      const options = { numVersionsToKeep: keep, runtime: at.runtime, l0CompactionTrigger: 2 }
      let db = await place.open(options)
      const history = new Map<string, { value: string | undefined; expiresAt: number }[]>()
      const expected = (key: string): string[] => {
        const listed: string[] = []
        for (const { value, expiresAt } of history.get(key) ?? []) {
          if (value === undefined || (expiresAt !== 0 && expiresAt <= at.seconds) || listed.length === keep) break
          listed.push(value)
        }
        return listed
      }
      for (let i = 0; i < 150; i++) {
        const key = `k${rng.below(6)}`
        const change = rng.weighted({ put: 6, del: 1, ttl: 2, time: 1, flush: 0.5, compact: 0.3, reopen: 0.1, check: 3 })
        const entries = history.get(key) ?? history.set(key, []).get(key) ?? []
        const value = `${i}`.padEnd(rng.pick([3, 200]), '.')
        if (change === 'put') {
          await db.put(key, value)
          entries.unshift({ value, expiresAt: 0 })
        } else if (change === 'ttl') {
          const ttl = rng.between(1, 20)
          await db.put(key, value, { ttl })
          entries.unshift({ value, expiresAt: at.seconds + ttl })
        } else if (change === 'del') {
          await db.del(key)
          entries.unshift({ value: undefined, expiresAt: 0 })
        } else if (change === 'time') at.seconds += rng.below(10)
        else if (change === 'flush') await db.flush()
        else if (change === 'compact') await db.compact()
        else if (change === 'reopen') {
          await db.close()
          db = await place.open(options)
        } else {
          const replay = `seed ${seed}, replay: WK_SEED=${seed} WK_RUNS=1 npx vitest run test/versions.contract.test.ts`
          expect((await db.versions(key)).map((one) => text(one.value)), replay).toEqual(expected(key))
          expect(text(await db.get(key)), replay).toBe(expected(key)[0])
        }
      }
      await compacted(db)
      let total = 0
      for (const key of history.keys()) total += expected(key).length
      expect((await db.verify()).entries, `seed ${seed}`).toBe(total)
      await db.close()
    }
  })
})

describe('expiry', () => {
  it('an expired entry is gone from every read, and so is its space', async () => {
    const at = clock()
    const db = await memoryPlace().open({ runtime: at.runtime })
    for (let i = 0; i < 40; i++) await db.put(`t${String(i).padStart(2, '0')}`, large(400, i), { ttl: 10 })
    await db.put('stays', large(400, 99))
    await db.put('small', 's', { ttl: 10, userMeta: 3 })
    const snapshot = db.snapshot()
    expect(await db.getEntry('small')).toMatchObject({ expiresAt: at.seconds + 10, userMeta: 3 })
    at.seconds += 9
    expect(await db.has('small')).toBe(true)
    at.seconds += 1
    for (const options of [undefined, { snapshot }]) {
      expect(await db.get('small', options)).toBeUndefined()
      expect(db.getSync('t00', options)).toBeUndefined()
      expect(await db.getMany(['t01', 'stays', 'small'], options)).toEqual([undefined, large(400, 99), undefined])
      expect(await db.has('t02', options)).toBe(false)
      expect(await db.getEntry('small', options)).toBeUndefined()
      expect((await db.keys(options).all()).map(text)).toEqual(['stays'])
      expect((await db.iterator({ ...options, reverse: true }).all()).map(([key]) => text(key))).toEqual(['stays'])
      expect(await db.values({ ...options, gte: 't' }).all()).toEqual([])
    }
    snapshot.close()
    await compacted(db)
    await db.gc({ maxSpaceAmp: 1.01 })
    expect((await db.verify()).entries).toBe(1)
    const bytes = db.valueLogFiles().reduce((sum, { size }) => sum + size, 0)
    expect(bytes).toBeLessThan(3000)
    expect(await db.get('stays')).toEqual(large(400, 99))
  })

  it('a ttl is rounded up to whole seconds and lives at least as long', async () => {
    const at = clock()
    const db = await memoryPlace().open({ runtime: at.runtime })
    for (const [now, ttl, expiresAt] of [[100, 1, 101], [100, 0.001, 101], [100, 1.2, 102], [100.5, 1, 102], [100.9, 0.05, 101]] as const) {
      at.seconds = now
      await db.put('k', 'v', { ttl })
      expect((await db.getEntry('k'))?.expiresAt, `${ttl} at ${now}`).toBe(expiresAt)
      await db.batch([{ type: 'put', key: 'b', value: 'v', ttl }])
      expect((await db.getEntry('b'))?.expiresAt).toBe(expiresAt)
    }
    at.seconds = 100
    await db.put('k', 'v', { ttl: 5 })
    await db.put('k', 'v')
    at.seconds = 1000
    expect((await db.getEntry('k'))?.expiresAt).toBe(0)
  })
})
