/**
 * What a background pass does and does not do: files and generations, no index access, readers, slowdowns, failures, the end.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { FaultFileSystem, MemoryFileSystem, defaultRuntime, type Runtime } from '@wk/fs'
import { LsmTree } from '@wk/lsm'
import { describe, expect, it, vi } from 'vitest'
import { DB, GC_CHANNEL, type GcEvent } from '../src/index.js'
import { all, expectCode, keep, large, type Options } from './harness.js'

const OPTIONS: Options = { valueThreshold: 64, memTableSize: 128 * 1024, valueLogFileSize: 16 * 1024, tableSize: 32 * 1024, levelBaseSize: 64 * 1024, gc: { auto: true, minGarbage: 32 * 1024 } }

const keyOf = (i: number): string => `key ${String(i).padStart(6, '0')}`
const value = (i: number): Uint8Array => large(700, i)

async function open(options: Options = {}): Promise<{ db: DB; fs: MemoryFileSystem }> {
  const fs = new MemoryFileSystem({ crashable: false })
  return { db: keep(await DB.open('/db', { ...OPTIONS, fs, ...options })), fs }
}

/** Writes `rounds` versions of `keys` keys; returns the last version of each. */
async function overwrite(db: DB, keys: number, rounds: number): Promise<Map<string, Uint8Array>> {
  const last = new Map<string, Uint8Array>()
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < keys; i += 20) {
      await Promise.all(
        Array.from({ length: 20 }, (_, j) => {
          const n = (i + j * 37 + round * 11) % keys
          last.set(keyOf(n), value(round * keys + n))
          return db.put(keyOf(n), value(round * keys + n))
        }),
      )
    }
  }
  return last
}

/** Waits until nothing has changed for some turns. */
async function rest(db: DB): Promise<void> {
  let before = ''
  for (let same = 0, turns = 0; same < 200; turns++) {
    expect(turns).toBeLessThan(5000)
    await new Promise((resolve) => setTimeout(resolve, 2))
    const { gcBytesMoved, gcFilesCollected, compactions, flushes } = db.stats()
    const now = [gcBytesMoved, gcFilesCollected, compactions, flushes].join()
    same = now === before ? same + 1 : 0
    before = now
  }
}

async function expectAll(db: DB, expected: ReadonlyMap<string, Uint8Array>): Promise<void> {
  for (const [key, bytes] of expected) expect(await db.get(key), key).toEqual(bytes)
}

async function listen(run: () => Promise<void>): Promise<GcEvent[]> {
  const events: GcEvent[] = []
  const listener = (message: unknown): void => void events.push(message as GcEvent)
  subscribe(GC_CHANNEL, listener)
  await run().finally(() => unsubscribe(GC_CHANNEL, listener))
  return events
}

describe('a background pass', () => {
  it('puts several victims into one new file, keeps generations apart, and never mixes survivors with fresh writes', async () => {
    // Half of each file is garbage when it is opened again.
    const { db: first, fs } = await open({ gc: { auto: false } })
    await overwrite(first, 400, 1)
    for (let i = 0; i < 400; i += 2) await first.put(keyOf(i), value(i + 1000))
    await first.compact()
    await first.close()
    let db = first
    const fresh = new Set<number>()
    const events = await listen(async () => {
      db = keep(await DB.open('/db', { ...OPTIONS, fs }))
      await rest(db)
      await overwrite(db, 400, 6)
      await rest(db)
    })
    expect(Math.max(...events.map(({ type, files }) => (type === 'relocate' ? (files?.length ?? 0) : 0)))).toBeGreaterThan(1)
    const files = db.valueLogFiles()
    expect(db.stats().gcBytesMoved).toBeGreaterThan(0)
    for (const { relocated, generation, logical, number } of files) {
      if (!relocated) {
        expect(generation).toBe(0)
        expect(logical).toEqual([number])
        fresh.add(number)
      } else expect(generation).toBeGreaterThan(0)
    }
    for (const { relocated, logical } of files) if (relocated) expect(logical.some((fid) => fresh.has(fid))).toBe(false)
    expect((await db.verify()).problems).toEqual([])
  })

  it('runs beside others, of other files, while writers are slowed', async () => {
    const { db } = await open({ gc: { auto: true, minGarbage: 32 * 1024, maxSpaceAmp: 1.1 } })
    let last = new Map<string, Uint8Array>()
    const events = await listen(async () => {
      last = await overwrite(db, 400, 6)
      await rest(db)
    })
    /** Files of each pass under way. */
    let passes: Set<number>[] = []
    let most = 0
    for (const { type, files = [] } of events) {
      if (type === 'relocate') {
        for (const number of files) expect(passes.some((pass) => pass.has(number))).toBe(false)
        passes.push(new Set(files))
        most = Math.max(most, passes.length)
      }
      // Dead files go between passes, unread.
      if (type === 'collected' || type === 'kept') for (const pass of passes) for (const number of files) pass.delete(number)
      passes = passes.filter((pass) => pass.size > 0)
    }
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(4)
    await expectAll(db, last)
    expect((await db.verify()).problems).toEqual([])
  })

  it('asks no index and writes none', async () => {
    const { db } = await open()
    await overwrite(db, 400, 2)
    const get = vi.spyOn(LsmTree.prototype, 'get')
    const stage = vi.spyOn(LsmTree.prototype, 'stage')
    const cursor = vi.spyOn(LsmTree.prototype, 'cursor')
    const moved = db.stats().gcBytesMoved
    await overwrite(db, 400, 4)
    await rest(db)
    expect(db.stats().gcBytesMoved).toBeGreaterThan(moved)
    expect(get).toHaveBeenCalledTimes(0)
    expect(cursor).toHaveBeenCalledTimes(0)
    expect(stage).toHaveBeenCalledTimes(4 * 400)
    get.mockRestore()
    cursor.mockRestore()
    stage.mockRestore()
  })

  it('changes nothing that reads, snapshots and iterators opened before it see', async () => {
    const { db } = await open()
    const first = await overwrite(db, 300, 1)
    const snapshot = db.snapshot()
    const iterator = db.iterator()
    const early = await iterator.nextv(10)
    const last = await overwrite(db, 300, 6)
    await rest(db)
    expect(db.stats().gcFilesCollected).toBeGreaterThan(0)
    for (const [key, bytes] of first) {
      expect(await db.get(key, { snapshot })).toEqual(bytes)
      expect(db.getSync(key)).toEqual(last.get(key))
    }
    const seen = [...early, ...(await all(iterator))]
    expect(seen.length).toBe(300)
    for (const [key, bytes] of seen) expect(bytes).toEqual(first.get(Buffer.from(key).toString()))
    await iterator.close()
    snapshot.close()
    await rest(db)
    expect(db.stats().spaceAmp).toBeLessThan(1.5)
    await expectAll(db, last)
  })

  it('gives everything back after everything was deleted, without any call', async () => {
    const { db, fs } = await open()
    await overwrite(db, 400, 2)
    await Promise.all(Array.from({ length: 400 }, (_, i) => db.del(keyOf(i))))
    const files = async (): Promise<number> => (await fs.list('/db')).filter((name) => /\.(vlog|rlog)$/.test(name)).length
    await expect.poll(files, { timeout: 30_000, interval: 20 }).toBeLessThanOrEqual(4)
    await expect.poll(() => db.stats().valueLogBytes, { timeout: 30_000, interval: 20 }).toBeLessThanOrEqual(4 * 16 * 1024)
  })

  it('explicit calls wait for it, and do not disturb it', async () => {
    const { db } = await open()
    const writing = overwrite(db, 400, 5)
    for (let i = 0; i < 4; i++) {
      await db.gc({ maxSpaceAmp: 1.2 })
      await db.runValueLogGC(0.3).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
    }
    await expectAll(db, await writing)
    expect((await db.verify()).problems).toEqual([])
  })
})

describe('slowdowns', () => {
  it('end, and come only where they help: a snapshot that keeps everything stops nobody', async () => {
    const { db } = await open({ gc: { auto: true, minGarbage: 32 * 1024, maxSpaceAmp: 1.05, minSpaceAmp: 1.01 } })
    await overwrite(db, 100, 1)
    const snapshots = []
    for (let round = 0; round < 4; round++) {
      snapshots.push(db.snapshot())
      await overwrite(db, 100, 1)
    }
    await rest(db)
    const before = db.stats().gcSlowedMs
    await db.put('one more', value(1))
    expect(db.stats().gcSlowedMs - before).toBeLessThan(1000)
    for (const snapshot of snapshots) snapshot.close()
  })

  it('end also when the pass may read one byte a second', async () => {
    const { db } = await open({ gc: { auto: true, minGarbage: 32 * 1024, bytesPerSecond: 1 } })
    await overwrite(db, 100, 4)
    expect(db.stats().valueLogFiles).toBeGreaterThan(0)
    await db.close()
  })

  it('happen beyond the hard bound, and are counted', async () => {
    const { db } = await open({ gc: { auto: true, minGarbage: 32 * 1024, maxSpaceAmp: 1.1 } })
    // On a busy machine the background may keep up with one round.
    const slowed = async (): Promise<number> => {
      await overwrite(db, 400, 5)
      return db.stats().gcSlowdowns
    }
    await expect.poll(slowed, { timeout: 30_000, interval: 1 }).toBeGreaterThan(0)
    expect(db.stats().gcSlowedMs).toBeGreaterThan(0)
  })
})

describe('figures and reasons', () => {
  it('valueLogFiles() adds up to what stats() say, and dryRun changes nothing', async () => {
    const { db, fs } = await open({ gc: { auto: false } })
    await overwrite(db, 300, 4)
    const files = db.valueLogFiles()
    const stats = db.stats()
    expect(files.reduce((sum, { size }) => sum + size, 0)).toBe(stats.valueLogBytes)
    expect(files.reduce((sum, { liveBytes }) => sum + liveBytes, 0)).toBe(stats.valueLogLiveBytes)
    const names = await fs.list('/db')
    const plan = await db.gc({ dryRun: true })
    expect(await fs.list('/db')).toEqual(names)
    expect(plan.compacts).toBe(true)
    expect(plan.hiddenBytes).toBeGreaterThan(100 * 700)
    expect(plan.spaceAmp).toBeGreaterThan(2)
    expect(plan.background).toContain('gc.auto is false')
    await db.compact()
    const after = await db.gc({ dryRun: true })
    expect(after.hiddenBytes).toBe(0)
    expect(after.removes.length + after.rewrites.length).toBeGreaterThan(0)
    const report = await db.gc()
    expect(report.filesCollected).toBeGreaterThan(0)
    expect((await db.gc({ dryRun: true })).removes).toEqual([])
  })

  it('the channel wk:gc says what runs, what came of it, and why nothing runs', async () => {
    const { db } = await open()
    const events = await listen(async () => {
      await overwrite(db, 400, 5)
      await rest(db)
    })
    const types = new Set(events.map(({ type }) => type))
    types.delete('kept')
    expect([...types].sort()).toEqual(['bring out', 'collected', 'relocate', 'rest'])
    const collected = events.filter(({ type }) => type === 'collected')
    expect(collected.reduce((sum, { bytesMoved = 0 }) => sum + bytesMoved, 0)).toBe(db.stats().gcBytesMoved)
    expect(collected.reduce((sum, { bytesReclaimed = 0 }) => sum + bytesReclaimed, 0)).toBe(db.stats().gcBytesReclaimed)
    expect(events.at(-1)).toMatchObject({ type: 'rest' })
    expect((await db.gc({ dryRun: true })).background).toMatch(/space amplification/)
  })
})

describe('failures and the end', () => {
  it('damage is reported through health, the file stays, reads go on', async () => {
    const { db, fs } = await open({ gc: { auto: false } })
    await overwrite(db, 100, 1)
    await db.put('fine', value(1))
    await db.flush()
    const [victim] = db.valueLogFiles()
    await db.close()
    const name = `${String(victim?.number).padStart(6, '0')}.vlog`
    const file = await fs.open(`/db/${name}`, 'update')
    for (let at = 300; at < 16_000; at += 700) await file.write(Uint8Array.of(0x5a, 0x5a, 0x5a), 0, 3, at)
    await file.close()
    const again = keep(await DB.open('/db', { ...OPTIONS, fs, gc: { auto: true, minGarbage: 32 * 1024, maxSpaceAmp: 1.1 } }))
    const told = new Promise<{ state: string; cause: { code: string; file?: string } }>((resolve) => again.once('health', resolve))
    for (let round = 0; round < 10; round++) await overwrite(again, 60, 1).catch(() => undefined)
    expect(await told).toMatchObject({ state: 'read-only', cause: { code: 'WK_CORRUPTION', file: name } })
    expect(await fs.list('/db')).toContain(name)
    expect(await again.get('fine')).toEqual(value(1))
    await expectCode(() => again.put('k', 'v'), 'WK_READ_ONLY')
  })

  it('a full disk below a pass is tried again', async () => {
    const inner = new MemoryFileSystem({ crashable: false })
    const fs = new FaultFileSystem(inner, [{ operation: ['write'], path: /\.rlog/, errno: 'ENOSPC', times: 2 }])
    const db = keep(await DB.open('/db', { ...OPTIONS, fs }))
    const last = await overwrite(db, 400, 6)
    await rest(db)
    expect(fs.injected.length).toBe(2)
    expect(db.stats().gcBytesMoved).toBeGreaterThan(0)
    await expectAll(db, last)
    expect((await inner.list('/db')).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  it('any other failure turns the database read-only, with its cause', async () => {
    const fs = new FaultFileSystem(new MemoryFileSystem({ crashable: false }), [{ operation: ['sync'], path: /\.rlog/, errno: 'EIO' }])
    const db = keep(await DB.open('/db', { ...OPTIONS, fs }))
    const health = new Promise<{ cause: { code: string } }>((resolve) => db.once('health', resolve))
    await overwrite(db, 400, 8).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_READ_ONLY' }))
    expect((await health).cause.code).toBe('WK_IO')
    await expectCode(() => db.put('k', 'v'), 'WK_READ_ONLY')
    expect(await db.has(keyOf(1))).toBe(true)
  })

  it('close() ends a pass and writers that wait, and leaves no temporary file', async () => {
    const { db, fs } = await open({ gc: { auto: true, minGarbage: 32 * 1024, maxSpaceAmp: 1.05, bytesPerSecond: 100_000 } })
    await overwrite(db, 200, 3)
    const puts = Array.from({ length: 50 }, (_, i) => db.put(keyOf(i), value(i)))
    const start = performance.now()
    await db.close()
    expect(performance.now() - start).toBeLessThan(2000)
    await Promise.all(puts)
    expect((await fs.list('/db')).filter((name) => name.endsWith('.tmp'))).toEqual([])
    const again = keep(await DB.open('/db', { ...OPTIONS, fs }))
    expect((await again.verify()).problems).toEqual([])
  })

  it('a database at rest has no timer', async () => {
    let sleeping = 0
    const runtime: Runtime = {
      now: () => defaultRuntime.now(),
      monotonic: () => defaultRuntime.monotonic(),
      random: () => defaultRuntime.random(),
      yield: () => defaultRuntime.yield(),
      microtask: (fn) => defaultRuntime.microtask(fn),
      sleep: (ms, signal) => {
        sleeping++
        return defaultRuntime.sleep(ms, signal).finally(() => sleeping--)
      },
    }
    const { db } = await open({ runtime })
    await overwrite(db, 300, 5)
    await rest(db)
    // A look that was put off comes within some tenths of a second.
    await vi.waitFor(() => expect(sleeping).toBe(0), 5000)
  })
})
