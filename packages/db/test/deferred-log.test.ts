/**
 * Puts of large values that the WAL is told of later (docs/adr/0014): what is not written and not synced, and that nothing is
 * lost by it. The crash exploration at the end draws histories of nearly nothing else; `WK_SEED` draws others.
 */
import { CRASH_POLICIES, MemoryFileSystem, TraceFileSystem, type FileSystem } from '@wk/fs'
import { CrashOracle, crashProfile, createsTable, drawHistory, exploreCrashes, HistoryRunner, HoldingFileSystem, Rng } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { all, keep, large, SMALL } from './harness.js'

const SEED = Number(process.env.WK_SEED ?? 1)
const DIR = '/db'
const open = async (fs: FileSystem, options = {}): Promise<DB> => keep(await DB.open(DIR, { ...SMALL, valueLogFileSize: 1 << 20, ...options, fs }))
const value = (i: number): Uint8Array => large(300, i)

async function put(db: DB, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await db.put(`k${i}`, value(i))
}

async function expectPuts(db: DB, count: number): Promise<void> {
  for (let i = 0; i < count; i++) expect(await db.get(`k${i}`), `k${i}`).toEqual(value(i))
  expect((await all(db.keys())).length).toBe(count)
  expect((await db.verify()).ok).toBe(true)
}

/** Writes and syncs of WAL and value log. */
function traced(memory: MemoryFileSystem): { fs: TraceFileSystem; count: (kind: string, extension: string) => number } {
  const fs = new TraceFileSystem(memory)
  return { fs, count: (kind, extension) => fs.entries.filter((entry) => entry.kind === kind && entry.path.endsWith(extension)).length }
}

async function cutLog(fs: MemoryFileSystem, length: number): Promise<void> {
  for (const name of await fs.list(DIR)) {
    if (!name.endsWith('.wal')) continue
    const file = await fs.open(`${DIR}/${name}`, 'update')
    await file.truncate(length)
    await file.sync()
    await file.close()
  }
}

/** Bytes of a WAL without frames. */
const WAL_HEADER = 16

describe('a put of a large value', () => {
  it('law 1: is acknowledged before the WAL says it, and survives the process', async () => {
    const memory = new MemoryFileSystem()
    const { fs, count } = traced(memory)
    const db = await open(fs)
    await put(db, 0, 30)
    expect([count('create', '.wal'), count('write', '.wal')]).toEqual([0, 0])
    for (const readOnly of [true, false]) await expectPuts(await open(memory.crashClone('P1'), { readOnly }), 30)
  })

  it('is in the WAL before long', async () => {
    const memory = new MemoryFileSystem()
    const { fs, count } = traced(memory)
    const db = await open(fs)
    await put(db, 0, 1)
    const key = 'x'.repeat(1000)
    for (let i = 0; i < 130; i++) await db.put(`${key}${i}`, value(i))
    const writes = count('write', '.wal')
    expect(writes).toBeGreaterThan(1)
    expect(writes).toBeLessThan(20)
  })

  it('law 1: with sync survives loss of power, without a sync of the WAL', async () => {
    const memory = new MemoryFileSystem()
    const { fs, count } = traced(memory)
    const db = await open(fs)
    await db.put('k0', value(0), { sync: true })
    const before = count('sync', '.wal')
    for (let i = 1; i < 20; i++) await db.put(`k${i}`, value(i), { sync: true })
    expect(count('sync', '.wal')).toBe(before)
    expect(count('sync', '.vlog')).toBeGreaterThan(18)
    for (const policy of CRASH_POLICIES) await expectPuts(await open(memory.crashClone(policy, SEED)), 20)
  })

  it('law 1: with sync makes durable what the WAL alone says of earlier writes', async () => {
    const memory = new MemoryFileSystem()
    const db = await open(memory)
    await put(db, 0, 3)
    await db.del('k2')
    await db.put('small', 'x')
    await db.put('k3', value(3), { sync: true })
    const again = await open(memory.crashClone('P0'))
    expect(await Promise.all(['k1', 'k2', 'small', 'k3'].map((key) => again.has(key)))).toEqual([true, false, true, true])
  })

  it('is in the WAL with the next operation that only the WAL can say', async () => {
    const memory = new MemoryFileSystem()
    const db = await open(memory)
    await put(db, 0, 5)
    await db.del('k4')
    const image = memory.crashClone('P1')
    const again = await open(image)
    await expectPuts(again, 4)
    expect(await again.has('k4')).toBe(false)
  })

  it('law 2: recovery goes on in the value log up to a batch, never into it, and no version comes back', async () => {
    const memory = new MemoryFileSystem()
    const db = await open(memory)
    await put(db, 0, 3)
    await db.batch([{ type: 'put', key: 'b1', value: value(1) }, { type: 'put', key: 'b2', value: value(2) }])
    await db.put('late', value(9))
    const image = memory.crashClone('P1')
    await cutLog(image, WAL_HEADER)
    const again = await open(image)
    await expectPuts(again, 3)
    await again.put('new', value(7))
    const [version] = await again.versions('new')
    expect(version?.version).toBeGreaterThan(6)
    const third = await open(image.crashClone('P1'))
    expect(await all(third.keys())).toEqual(['k0', 'k1', 'k2', 'new'].map((key) => new Uint8Array(Buffer.from(key))))
  })

  it('law 4: stays deleted when the deletion is flushed and the log is gone', async () => {
    const memory = new MemoryFileSystem()
    const db = await open(memory)
    await put(db, 0, 5)
    for (let i = 0; i < 5; i++) await db.del(`k${i}`)
    await db.flush()
    await db.compact()
    expect(await all((await open(memory.crashClone('P1'))).keys())).toEqual([])
    await db.close()
    expect(await all((await open(memory)).keys())).toEqual([])
  })

  it('flush, checkpoint, compaction, collection and close do not wait for a log that nobody writes', async () => {
    const memory = new MemoryFileSystem()
    const db = await open(memory)
    const steps = [() => db.flush(), () => db.compact(), () => db.checkpoint('/copy'), () => db.runValueLogGC(0.5).catch(() => undefined), () => db.sync()]
    for (const [i, step] of steps.entries()) {
      await put(db, 10 * i, 10 * i + 10)
      await step()
    }
    await put(db, 50, 60)
    await db.close()
    await expectPuts(await open(memory), 60)
    const copy = await DB.open('/copy', { ...SMALL, fs: memory })
    await expectPuts(copy, 30)
    await copy.close()
  })

  it('law 1: survives although it came while a memtable before it was flushed', async () => {
    const memory = new MemoryFileSystem()
    const { fs, count } = traced(memory)
    const held = new HoldingFileSystem(fs)
    const db = await open(held)
    await put(db, 0, 10)
    held.hold = createsTable
    const flush = db.flush()
    while (held.held.length === 0) await new Promise((resolve) => setImmediate(resolve))
    await put(db, 10, 20)
    held.release()
    await flush
    expect(count('create', '.wal')).toBe(1)
    await expectPuts(await open(memory.crashClone('P1')), 20)
  })

  it('is saved by repair', async () => {
    const memory = new MemoryFileSystem()
    const db = await open(memory)
    await put(db, 0, 10)
    await db.del('k9')
    await put(db, 9, 20)
    const image = memory.crashClone('P1')
    const report = await DB.repair(DIR, { fs: image, to: '/new', target: SMALL })
    expect(report).toMatchObject({ entries: 20, lossCount: 0 })
    const saved = keep(await DB.open('/new', { ...SMALL, fs: image }))
    await expectPuts(saved, 20)
  })

  it('law 1: a recovery that crashes at any operation begins anew and loses nothing', async () => {
    const memory = new MemoryFileSystem()
    const db = await open(memory)
    await put(db, 0, 25)
    const image = memory.crashClone('P1')
    const images: MemoryFileSystem[] = []
    image.onMutatingOperation = (index) => images.push(image.crashClone('P1'), image.crashClone('P3', index))
    await expectPuts(await open(image), 25)
    image.onMutatingOperation = undefined
    expect(images.length).toBeGreaterThan(20)
    for (const [i, one] of images.entries()) {
      const again = await open(one)
      // Power that is lost in the first recovery may take what was never synced, as a suffix.
      const there = (await all(again.keys())).length
      if (i % 2 === 0) expect(there, `image ${i}`).toBe(25)
      for (let k = 0; k < 25; k++) if (await again.has(`k${k}`)) expect(await again.get(`k${k}`)).toEqual(value(k))
    }
  })
})

describe('crash before every mutating operation of histories of mostly large puts', () => {
  const sizes = [3, 64, 65, 70, 120, 200, 300, 600, 900, 1400]
  it.each([0, 1, 2])('laws 1 to 8 and 11, history %i', async (run) => {
    const seed = 3 * SEED + run
    const profile = { ...crashProfile(60, 64), sizes, syncOdds: [0.05, 0.3, 0.6][run]!, overlapOdds: 0.2, maintenance: [[], [0.5], [0.3, 0.7]][run]! }
    const history = drawHistory(new Rng(seed), profile)
    const options = { valueThreshold: 64, memTableSize: 64 * 1024, valueLogFileSize: [1 << 20, 4096, 8192][run]!, tableSize: 4096, l0CompactionTrigger: 2 }
    const report = await exploreCrashes({
      dir: DIR,
      createFileSystem: () => new MemoryFileSystem(),
      open: (fs) => DB.open(DIR, { ...options, fs }),
      createOracle: () => new CrashOracle(),
      run: (fs, oracle) => new HistoryRunner(() => DB.open(DIR, { ...options, fs }), oracle).run(history),
      policies: CRASH_POLICIES,
      seeds: [1],
      recoveryEvery: 40,
      maintainEvery: 16,
    })
    expect(report.images).toBeGreaterThan(200)
    expect(report.findings.map(({ law, message, policy, index, operation }) => `law ${law}: ${message}, ${policy} before ${index} (${operation}); replay: WK_SEED=${SEED}`)).toEqual([])
  })
})
