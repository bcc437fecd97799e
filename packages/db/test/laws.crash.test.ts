/**
 * Laws 1 to 8, and 11, at every mutating file-system operation of a 100-operation workload, under all policies. One
 * exploration serves all laws; directed tests stand beside it where a law says more than crash images show.
 * More than 2,000 images: the commit tier's count of A1.
 *
 * `WK_SEED` draws another workload, `WK_RUNS` several, `WK_CRASH_SEEDS` sets the damage seeds for each image,
 * `WK_CRASH_INDEX` looks at one operation only; a finding prints the command that replays it.
 */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { type CrashFinding, CrashOracle, crashProfile, type CrashReport, drawHistory, exploreCrashes, HistoryRunner, type Law, readAll, Rng, SMALLEST, THRESHOLD } from '@wk/testkit'
import { beforeAll, describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { all, expectCode, large, memoryPlace, text, type Options } from './harness.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? 1)
const SEEDS = Array.from({ length: Number(process.env.WK_CRASH_SEEDS ?? 1) }, (_, i) => i + 1)
const ONLY = process.env.WK_CRASH_INDEX === undefined ? undefined : Number(process.env.WK_CRASH_INDEX)

const open = (fs: MemoryFileSystem): Promise<DB> => DB.open('/db', { ...SMALLEST, fs })

interface Explored {
  readonly seed: number
  readonly report: CrashReport
}

async function explore(seed: number): Promise<Explored> {
  const history = drawHistory(new Rng(seed), crashProfile(100, THRESHOLD))
  const report = await exploreCrashes({
    dir: '/db',
    createFileSystem: () => new MemoryFileSystem(),
    open,
    createOracle: () => new CrashOracle(),
    run: (fs, oracle) => new HistoryRunner(() => open(fs), oracle).run(history),
    policies: CRASH_POLICIES,
    seeds: SEEDS,
    recoveryEvery: 40,
    maintainEvery: 8,
    ...(ONLY === undefined ? {} : { onlyIndex: ONLY }),
  })
  return { seed, report }
}

const said = (seed: number, finding: CrashFinding): string =>
  `${finding.policy} seed ${finding.seed} before operation ${finding.index} (${finding.operation}): ${finding.message}\n  replay: WK_SEED=${seed} WK_RUNS=1 WK_CRASH_SEEDS=${Math.max(1, finding.seed)} WK_CRASH_INDEX=${finding.index} npx vitest run test/laws.crash.test.ts`

describe('at every mutating operation of a 100-operation workload under all policies', () => {
  let explored: Explored[]
  beforeAll(async () => {
    explored = []
    for (let run = 0; run < RUNS; run++) explored.push(await explore(FIRST_SEED + run))
  }, 60_000 + RUNS * 60_000)

  const findings = (law: Law): string[] => explored.flatMap(({ seed, report }) => report.findings.filter((finding) => finding.law === law).map((finding) => said(seed, finding)))

  it('the exploration covers flush, compaction, rotation and GC, and reaches the end', () => {
    if (ONLY !== undefined) return
    for (const { report } of explored) {
      expect(report.operations).toBeGreaterThan(150)
      if (report.findings.length > 0) continue
      expect(report.images).toBe((report.operations + 1) * (2 + (CRASH_POLICIES.length - 2) * SEEDS.length))
      expect(report.images).toBeGreaterThanOrEqual(2000)
      for (const kind of ['create', 'write', 'sync', 'syncDir', 'rename', 'remove']) expect([...report.kinds.keys()]).toContain(kind)
      expect(report.recoveryImages).toBeGreaterThan(30)
    }
  })
  it('law 1: acknowledged writes survive, with sync also losing power; others survive as an ordered prefix', () => expect(findings(1)).toEqual([]))
  it('law 2: a batch is all there or not at all', () => expect(findings(2)).toEqual([]))
  it('law 3: no table points to value-log bytes that are not there', () => expect(findings(3)).toEqual([]))
  it('law 4: no deleted key comes back, no compaction or collection changes the map', () => expect(findings(4)).toEqual([]))
  it('law 5: a crash leaves at worst orphans, and the next opening removes them', () => expect(findings(5)).toEqual([]))
  it('law 6: a torn tail is cut and never taken for damage', () => expect(findings(6)).toEqual([]))
  it('law 7: everything visible verifies', () => expect(findings(7)).toEqual([]))
  it('law 8: recounted live bytes are the accounted ones', () => expect(findings(8)).toEqual([]))
  it('law 11: no file number comes back after a crash', () => expect(findings(11)).toEqual([]))
})

describe('law 2', () => {
  it('law 2: a batch that fits neither the frame nor the memtable under way is all there or not at all', async () => {
    const inline: Options = { ...SMALLEST, valueThreshold: 64 * 1024, tableSize: 64 * 1024 }
    const openInline = (fs: MemoryFileSystem): Promise<DB> => DB.open('/db', { ...inline, fs })
    const report = await exploreCrashes({
      dir: '/db',
      createFileSystem: () => new MemoryFileSystem(),
      open: openInline,
      createOracle: () => new CrashOracle(),
      run: async (fs, oracle) => {
        const db = await openInline(fs)
        for (let round = 0; round < 6; round++) {
          const changes = Array.from({ length: 11 }, (_, i) => ({ key: `k${i}`, value: large(3500, round * 20 + i) }))
          const step = oracle.record(changes)
          await db.batch(changes.map(({ key, value }) => ({ type: 'put', key, value })))
          oracle.acknowledge(step, false)
        }
        await db.close()
      },
      policies: CRASH_POLICIES,
      seeds: SEEDS,
      recoveryEvery: 0,
      maintainEvery: 0,
    })
    expect(report.findings).toEqual([])
    expect(report.images).toBeGreaterThan(100)
  })
})

/** All bytes of a file of an in-memory file system. */
async function contentOf(fs: MemoryFileSystem, path: string): Promise<Uint8Array> {
  const file = await fs.open(path, 'read')
  const content = new Uint8Array(await file.size())
  await file.read(content, 0, content.length, 0)
  await file.close()
  return content
}

async function overwrite(fs: MemoryFileSystem, path: string, position: number, bytes: Uint8Array): Promise<void> {
  const file = await fs.open(path, 'update')
  await file.write(bytes, 0, bytes.length, position)
  await file.sync()
  await file.close()
}

async function cut(fs: MemoryFileSystem, path: string, length: number): Promise<void> {
  const file = await fs.open(path, 'update')
  await file.truncate(length)
  await file.sync()
  await file.close()
}

const named = async (fs: MemoryFileSystem, pattern: RegExp): Promise<string[]> => (await fs.list('/db')).filter((name) => pattern.test(name))

describe('law 3', () => {
  it('law 3: value-log bytes are synced before the manifest edit that publishes a table', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    const events: string[] = []
    fs.onMutatingOperation = (_, { kind, path }) => events.push(`${kind} ${path.replace(/^\/db\//, '').replace(/\d+/, 'N')}`)
    for (let i = 0; i < 5; i++) await db.put(`k${i}`, large(300, i))
    await db.flush()
    fs.onMutatingOperation = undefined
    const published = events.indexOf('write MANIFEST-N')
    const lastValue = events.lastIndexOf('write N.vlog', published)
    expect(published).toBeGreaterThan(0)
    expect(events.slice(lastValue, published)).toContain('sync N.vlog')
    expect(events.slice(0, published)).toContain('sync N.sst')
    expect(events.slice(events.indexOf('sync N.sst'), published)).toContain('syncDir /db')
    await db.close()
  })
})

describe('law 4', () => {
  it('law 4: GC with a delete, an overwrite, a snapshot, a flush or a compaction at every await point changes nothing', async () => {
    for (let place = 0; place < 12; place++) {
      const fs = new MemoryFileSystem()
      const db = await open(fs)
      for (let i = 0; i < 40; i++) await db.put(`k${i % 20}`, large(300, i))
      const snapshot = db.snapshot()
      const before = await readAll(db)
      await db.put('x', 'x')
      const pass = db.runValueLogGC(0.05).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
      for (let i = 0; i < place; i++) await Promise.resolve()
      const beside = [db.del('k3'), db.put('k4', large(333, 99)), place % 2 === 0 ? db.flush() : db.compact()]
      await Promise.all([pass, ...beside])
      for (let round = 0; round < 2; round++) {
        expect(await db.get('k3')).toBeUndefined()
        expect(await db.get('k4')).toEqual(large(333, 99))
        for (const [key, value] of before) {
          expect(await db.get(key, { snapshot })).toEqual(value)
          if (key !== 'k3' && key !== 'k4') expect(db.getSync(key)).toEqual(value)
        }
        await db.compact()
        await db.runValueLogGC(0.01).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
      }
      await db.close()
    }
  })
})

describe('law 5', () => {
  it('law 5: a pending deletion survives a restart at every point of the collection, and nothing leaks', async () => {
    const images: MemoryFileSystem[] = []
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    for (let i = 0; i < 60; i++) await db.put(`k${i}`, large(300, i))
    const iterator = db.iterator()
    await iterator.next()
    await db.clear()
    await db.sync()
    fs.onMutatingOperation = () => images.push(fs.crashClone('P1'), fs.crashClone('P0'))
    await db.compact()
    await db.runValueLogGC(0.01).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
    await iterator.close()
    await db.runValueLogGC(0.01).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
    await db.close()
    fs.onMutatingOperation = undefined
    expect(images.length).toBeGreaterThan(10)
    for (const image of [...images, fs]) {
      const again = await open(image)
      expect(await all(again.keys())).toEqual([])
      await again.compact()
      for (let pass = 0; pass < 40; pass++) {
        const ended = await again.runValueLogGC(0.01).then(
          () => false,
          () => true,
        )
        if (ended) break
      }
      expect((await named(image, /\.(vlog|rlog)$/)).length).toBeLessThanOrEqual(1)
      expect(await named(image, /\.(sst|tmp)$/)).toEqual([])
      await again.close()
    }
  })

  it('law 5: no file that an open iterator or snapshot needs is unlinked', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    const key = (i: number): string => `k${String(i).padStart(2, '0')}`
    for (let i = 0; i < 60; i++) await db.put(key(i), i % 3 === 0 ? `small ${i}` : large(300, i))
    await db.flush()
    const needed = await named(fs, /\.(sst|vlog)$/)
    expect(needed.some((name) => name.endsWith('.sst'))).toBe(true)
    const [iterator, snapshot] = [db.iterator(), db.snapshot()]
    await db.clear()
    await db.compact()
    for (let i = 0; i < 20; i++) await db.runValueLogGC(0.01).catch(() => undefined)
    // Values may have moved into relocated files, under the number of the old one.
    const there = await named(fs, /\.(sst|vlog|rlog)$/)
    expect(there.map((name) => name.replace('rlog', 'vlog'))).toEqual(expect.arrayContaining(needed))
    expect((await iterator.nextv(1000)).length + (await iterator.nextv(1000)).length).toBe(60)
    for (let i = 0; i < 60; i++) expect(db.getSync(key(i), { snapshot })).toEqual(i % 3 === 0 ? new Uint8Array(Buffer.from(`small ${i}`)) : large(300, i))
    await iterator.close()
    snapshot.close()
    await db.close()
    expect(await named(fs, /\.sst$/)).toEqual([])
  })
})

describe('law 6', () => {
  /** An image of a killed process: values in value logs, the newest WAL and value log with an unsynced tail. */
  async function unclean(sync: boolean): Promise<MemoryFileSystem> {
    const at = memoryPlace()
    const db = await DB.open('/db', { ...SMALLEST, valueLogFileSize: 65_536, fs: at.fs })
    for (let i = 0; i < 12; i++) await db.put(`k${String(i).padStart(2, '0')}`, i % 2 === 0 ? large(100, i) : `small ${i}`)
    if (sync) await db.sync()
    const image = at.fs.crashClone('P1')
    await db.close()
    return image
  }

  it('law 6: the newest WAL cut at any length: an ordered prefix, no error', async () => {
    const [wal] = (await named(await unclean(false), /\.wal$/)).slice(-1)
    const length = (await contentOf(await unclean(false), `/db/${wal}`)).length
    let last = -1
    for (let at = 16; at <= length; at += 3) {
      const image = await unclean(false)
      await cut(image, `/db/${wal}`, at)
      const db = await open(image)
      const keys = (await all(db.keys())).map(text)
      expect(keys).toEqual(Array.from({ length: keys.length }, (_, i) => `k${String(i).padStart(2, '0')}`))
      expect(keys.length).toBeGreaterThanOrEqual(last)
      last = keys.length
      await db.close()
    }
    expect(last).toBeGreaterThanOrEqual(11)
  })

  it('law 6: the newest value log cut at any length: an ordered prefix, no error, no empty value', async () => {
    const [log] = (await named(await unclean(false), /\.vlog$/)).slice(-1)
    const length = (await contentOf(await unclean(false), `/db/${log}`)).length
    for (let at = 20; at <= length; at += 17) {
      const image = await unclean(false)
      await cut(image, `/db/${log}`, at)
      const db = await open(image)
      const found = await readAll(db)
      const keys = [...found.keys()]
      expect(keys).toEqual(Array.from({ length: keys.length }, (_, i) => `k${String(i).padStart(2, '0')}`))
      for (const [i, value] of [...found.values()].entries()) if (i % 2 === 0) expect(value).toEqual(large(100, i))
      await db.close()
    }
  })

  it('law 6: damage below what was promised durable is WK_CORRUPTION, and the file keeps its bytes', async () => {
    for (const pattern of [/\.vlog$/, /\.sst$/, /^MANIFEST/]) {
      const at = memoryPlace()
      const db = await open(at.fs)
      for (let i = 0; i < 40; i++) await db.put(`k${i}`, large(200, i))
      await db.flush()
      await db.put('last', 'x', { sync: true })
      const image = at.fs.crashClone('P0')
      await db.close()
      const [name] = await named(image, pattern)
      const content = await contentOf(image, `/db/${name}`)
      await overwrite(image, `/db/${name}`, 40, new Uint8Array([(content[40] ?? 0) ^ 0xff]))
      const damaged = await contentOf(image, `/db/${name}`)
      const err = await expectCode(async () => {
        const again = await open(image)
        try {
          await readAll(again)
        } finally {
          await again.close()
        }
      }, 'WK_CORRUPTION')
      expect(err.file).toBe(name)
      expect(await contentOf(image, `/db/${name}`)).toEqual(damaged)
    }
  })

  it('law 6: a flipped byte in the WAL before a synced write is WK_CORRUPTION, not a shorter history', async () => {
    const image = await unclean(true)
    const clean = await open(image)
    await clean.close()
    const at = memoryPlace()
    const db = await open(at.fs)
    for (let i = 0; i < 10; i++) await db.put(`k${i}`, `small ${i}`, { sync: true })
    await db.put('after', 'x')
    const crashed = at.fs.crashClone('P1')
    await db.close()
    const [wal] = (await named(crashed, /\.wal$/)).slice(-1)
    const content = await contentOf(crashed, `/db/${wal}`)
    await overwrite(crashed, `/db/${wal}`, 60, new Uint8Array([(content[60] ?? 0) ^ 1]))
    const err = await expectCode(async () => (await open(crashed)).close(), 'WK_CORRUPTION')
    expect(err.file).toBe(wal)
  })

  it('law 6: a clean shutdown tolerates no shorter file: opening refuses, and the file keeps its bytes', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    for (let i = 0; i < 10; i++) await db.put(`k${i}`, large(200, i))
    // The last record is of no use to anybody: no read would miss it.
    await db.put('gone', large(200, 99))
    await db.del('gone')
    await db.compact()
    await db.close()
    const names = await named(fs, /\.(vlog|wal)$/)
    const newest = names.filter((name) => name.endsWith('.vlog')).at(-1)
    let refused = 0
    for (const name of names) {
      const { length } = await contentOf(fs, `/db/${name}`)
      if (length <= 20) continue
      const image = fs.crashClone('P0')
      await cut(image, `/db/${name}`, length - 1)
      const shorter = await contentOf(image, `/db/${name}`)
      const err = await expectCode(async () => {
        const again = await open(image)
        try {
          // Of an older log it may be the read that says so.
          if (name !== newest) await readAll(again)
        } finally {
          await again.close()
        }
      }, 'WK_CORRUPTION')
      expect(err.file).toBe(name)
      expect(await contentOf(image, `/db/${name}`)).toEqual(shorter)
      refused++
    }
    expect(refused).toBeGreaterThan(0)
    expect((await contentOf(fs, `/db/${newest}`)).length).toBeGreaterThan(20)
  })
})

describe('law 7', () => {
  it('law 7: every flipped byte of a value log is noticed by the read, or is no part of a record that is read', async () => {
    const fs = new MemoryFileSystem()
    const db = await DB.open('/db', { ...SMALLEST, valueLogFileSize: 65_536, fs })
    for (let i = 0; i < 6; i++) await db.put(`k${i}`, large(70, i))
    await db.flush()
    await db.close()
    const [log] = await named(fs, /\.vlog$/)
    const content = await contentOf(fs, `/db/${log}`)
    let noticed = 0
    for (let at = 0; at < content.length; at++) {
      const image = fs.crashClone('P0')
      await overwrite(image, `/db/${log}`, at, new Uint8Array([(content[at] ?? 0) ^ 0x81]))
      const again = await open(image).catch((err: unknown) => {
        expect(err).toMatchObject({ code: 'WK_CORRUPTION', file: log })
        noticed++
        return undefined
      })
      if (again === undefined) continue
      for (let i = 0; i < 6; i++) {
        try {
          expect(again.getSync(`k${i}`)).toEqual(large(70, i))
        } catch (err) {
          expect(err).toMatchObject({ code: 'WK_CORRUPTION', file: log, offset: expect.any(Number) as number })
          noticed++
        }
      }
      await again.close()
    }
    expect(noticed).toBeGreaterThan(content.length * 0.9)
  })

  it('law 7: two whole, valid records that changed places are noticed by their keys', async () => {
    const fs = new MemoryFileSystem()
    const db = await DB.open('/db', { ...SMALLEST, valueLogFileSize: 65_536, fs })
    await db.put('ka', large(200, 1))
    await db.put('kb', large(200, 2))
    await db.flush()
    await db.close()
    const [log] = await named(fs, /\.vlog$/)
    const content = await contentOf(fs, `/db/${log}`)
    const half = (content.length - 20) / 2
    const swapped = new Uint8Array(content.length)
    swapped.set(content.subarray(0, 20))
    swapped.set(content.subarray(20 + half), 20)
    swapped.set(content.subarray(20, 20 + half), 20 + half)
    await overwrite(fs, `/db/${log}`, 0, swapped)
    const again = await open(fs)
    for (const key of ['ka', 'kb']) await expectCode(() => again.get(key), 'WK_CORRUPTION')
    await again.close()
  })
})

/** Bytes of a record of the value log (docs/format.md): flags, lengths as varints, no expiry, key with version, value, checksum. */
const recordLength = (key: number, value: number): number => 2 + 1 + (value < 128 ? 1 : 2) + 1 + key + 8 + value + 4

describe('law 8', () => {
  it('law 8: accounted live bytes equal recounted ones after every step', async () => {
    const fs = new MemoryFileSystem()
    const db = await open(fs)
    const rng = new Rng(FIRST_SEED)
    for (let step = 0; step < 120; step++) {
      const key = `k${rng.below(20)}`
      const kind = rng.weighted({ put: 70, del: 15, flush: 6, compact: 5, gc: 4 })
      if (kind === 'put') await db.put(key, large(rng.pick([10, 64, 300, 900]), step))
      else if (kind === 'del') await db.del(key)
      else if (kind === 'flush') await db.flush()
      else if (kind === 'compact') await db.compact()
      else await db.runValueLogGC(0.1).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_NO_REWRITE' }))
      expect(await db.verify(), `step ${step}`).toMatchObject({ ok: true, problems: [] })
      const stats = db.stats()
      expect(stats.valueLogLiveBytes).toBeLessThanOrEqual(stats.valueLogBytes)
    }
    await db.flush()
    await db.compact()
    // After a full compaction only the newest versions are left: live bytes are exactly those of the records of what is visible.
    let visible = 0
    for (const [key, value] of await all(db.iterator())) if (value.length >= THRESHOLD) visible += recordLength(key.length, value.length)
    expect(visible).toBeGreaterThan(1000)
    expect(db.stats().valueLogLiveBytes).toBe(visible)
    await db.close()
  })
})
