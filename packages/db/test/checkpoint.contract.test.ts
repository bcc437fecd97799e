import { mkdirSync, statSync } from 'node:fs'
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { Rng } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, contentsOf, expectCode, keep, large, memoryPlace, nodePlace, onBothFileSystems, text, type Options, type Place } from './harness.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 15 : 1))

const openCopy = async (place: Place, dir: string, options: Options = {}): Promise<DB> =>
  keep(await DB.open(dir, { ...SMALL, createIfMissing: false, ...options, ...(place.fs === undefined ? {} : { fs: place.fs }) }))
const entries = async (db: DB): Promise<string[]> => (await db.iterator().all()).map(([key, value]) => `${text(key)}=${value.length}:${Buffer.from(value.subarray(0, 12)).toString('hex')}`)

async function fill(db: DB, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await db.put(`k${String(i % 40).padStart(2, '0')}`, i % 3 === 0 ? large(700, i) : `v${i}`, { userMeta: i % 256 })
}

onBothFileSystems('checkpoint', (place) => {
  it('is a copy that opens on its own and holds exactly the writes called before', async () => {
    const here = place()
    const db = await here.open()
    await fill(db, 0, 200)
    await db.del('k05')
    const pending = [db.put('called before', 'yes'), db.put('big before', large(2000, 1))]
    const expected = await entries(db)
    const made = db.checkpoint(`${here.dir}-copy`)
    const later = [db.put('called after', 'no'), db.del('k07'), db.put('k08', large(900, 9))]
    await made
    await Promise.all([...pending, ...later])
    const copy = await openCopy(here, `${here.dir}-copy`)
    expect(await entries(copy)).toEqual(expected)
    expect(await copy.has('called after')).toBe(false)
    expect((await copy.getEntry('k09'))?.userMeta).toBe((await db.getEntry('k09'))?.userMeta)
    expect((await copy.verify()).problems).toEqual([])
    expect(text(await db.get('called after'))).toBe('no')
  })

  it('and the database go their own ways: neither changes the other', async () => {
    const here = place()
    const db = await here.open()
    await fill(db, 0, 300)
    await db.compact()
    await db.gc({ maxSpaceAmp: 1.01 })
    await fill(db, 300, 320)
    await db.checkpoint(`${here.dir}-copy`)
    const expected = await entries(db)
    const copy = await openCopy(here, `${here.dir}-copy`)
    for (const one of [copy, db]) {
      const tag = one === copy ? 'c' : 'd'
      for (let i = 0; i < 200; i++) await one.put(`k${String(i % 35).padStart(2, '0')}`, large(600, i + tag.length), { userMeta: tag.charCodeAt(0) })
      await one.compact()
      await one.gc({ maxSpaceAmp: 1.01 })
      await one.put(tag, tag)
    }
    const second = `${here.dir}-second`
    await copy.checkpoint(second)
    for (const one of [copy, db, await openCopy(here, second)]) {
      expect((await one.verify()).problems).toEqual([])
      expect((await entries(one)).slice(-5)).not.toEqual(expected.slice(-4))
    }
    expect([await copy.has('c'), await copy.has('d'), await db.has('c'), await db.has('d')]).toEqual([true, false, false, true])
    await db.close()
    await here.destroy()
    const values = await copy.values().all()
    expect(values).toHaveLength(41)
  })

  it('of an empty database, and into an empty directory', async () => {
    const here = place()
    const db = await here.open()
    const dir = `${here.dir}-copy`
    if (here.fs === undefined) mkdirSync(dir)
    else await here.fs.mkdir(dir)
    await db.checkpoint(dir)
    const copy = await openCopy(here, dir)
    expect(await entries(copy)).toEqual([])
    await copy.put('k', 'v')
    await copy.close()
    expect(text(await (await openCopy(here, dir)).get('k'))).toBe('v')
  })

  it('a directory that is not empty is WK_EXISTS and stays as it is', async () => {
    const here = place()
    const db = await here.open()
    await fill(db, 0, 20)
    await expectCode(() => db.checkpoint(here.dir), 'WK_EXISTS')
    await db.checkpoint(`${here.dir}-copy`)
    await expectCode(() => db.checkpoint(`${here.dir}-copy`), 'WK_EXISTS')
    expect(await entries(await openCopy(here, `${here.dir}-copy`))).toEqual(await entries(db))
  })

  it('of two into one directory one is WK_EXISTS, and the other stays as it is, also of an empty database', async () => {
    const here = place()
    const db = await here.open()
    for (const round of ['empty', 'filled']) {
      const dir = `${here.dir}-${round}`
      const made = await Promise.allSettled([db.checkpoint(dir), db.checkpoint(dir)])
      const refused = made.filter((one) => one.status === 'rejected')
      expect(refused.map(({ reason }) => (reason as { code?: string }).code)).toEqual(['WK_EXISTS'])
      const copy = await openCopy(here, dir)
      expect(await entries(copy)).toEqual(await entries(db))
      await copy.close()
      await fill(db, 0, 100)
    }
  })

  it('an encrypted one is encrypted with the same key', async () => {
    const here = place()
    const encryptionKey = new Uint8Array(32).fill(7)
    const db = await here.open({ encryptionKey })
    await fill(db, 0, 100)
    const dir = `${here.dir}-copy`
    await db.checkpoint(dir)
    await expectCode(() => openCopy(here, dir), 'WK_WRONG_KEY')
    const copy = await openCopy(here, dir, { encryptionKey })
    expect(await entries(copy)).toEqual(await entries(db))
    expect((await copy.verify()).problems).toEqual([])
  })

  it('aborted, it leaves nothing, and the database works on', async () => {
    const here = place()
    const db = await here.open()
    await fill(db, 0, 300)
    const dir = `${here.dir}-copy`
    const controller = new AbortController()
    let told = 0
    const aborted = await expectCode(
      () =>
        db.checkpoint(dir, {
          signal: controller.signal,
          onProgress: ({ phase, done, total }) => {
            expect([phase, done <= total]).toEqual(['checkpoint', true])
            if (++told === 3) controller.abort()
          },
        }),
      'WK_ABORTED',
    )
    expect(aborted.name).toBe('AbortError')
    expect(told).toBe(3)
    await expectCode(() => openCopy(here, dir), 'WK_NOT_FOUND')
    await expectCode(() => db.checkpoint(dir, { signal: AbortSignal.abort() }), 'WK_ABORTED')
    await fill(db, 300, 310)
    await db.checkpoint(dir)
    expect(await entries(await openCopy(here, dir))).toEqual(await entries(db))
  })
})

describe('checkpoint', () => {
  it('links what it can: the tables and value logs take no space of their own', async () => {
    const here = nodePlace()
    const db = await here.open()
    await fill(db, 0, 200)
    await db.checkpoint(`${here.dir}-copy`)
    const linked = [...contentsOf(`${here.dir}-copy`).keys()].filter((name) => /\.(sst|vlog|rlog)$/.test(name))
    expect(linked.length).toBeGreaterThan(2)
    for (const name of linked) expect(statSync(`${here.dir}-copy/${name}`).nlink, name).toBe(2)
  })

  it('copies where there are no links', async () => {
    const inner = new MemoryFileSystem()
    const fs = new FaultFileSystem(inner)
    fs.add({ operation: 'link', errno: 'EMLINK', times: Infinity })
    const db = keep(await DB.open('/db', { ...SMALL, fs }))
    await fill(db, 0, 300)
    let bytes = 0
    await db.checkpoint('/copy', { onProgress: (progress) => (bytes = progress.bytes) })
    expect(bytes).toBeGreaterThan(10_000)
    const copy = keep(await DB.open('/copy', { ...SMALL, fs: inner }))
    expect(await entries(copy)).toEqual(await entries(db))
    for (const name of await inner.list('/copy')) expect((await inner.list('/db')).includes(name) || !/\.(sst|vlog|rlog)$/.test(name)).toBe(true)
  })

  it('is refused read-only, in memory, after close and for what is no path', async () => {
    const place = memoryPlace()
    const db = await place.open()
    for (const dir of ['', 5, undefined, 'a\0b']) await expectCode(() => db.checkpoint(dir as never), 'WK_INVALID_ARGUMENT')
    await expectCode(() => db.checkpoint('/copy', { signal: 'no' as never }), 'WK_INVALID_ARGUMENT')
    await db.close()
    await expectCode(() => db.checkpoint('/copy'), 'WK_CLOSED')
    await expectCode(async () => (await place.open({ readOnly: true })).checkpoint('/copy'), 'WK_READ_ONLY')
    await expectCode(async () => keep(await DB.open('', { inMemory: true })).checkpoint('/copy'), 'WK_NOT_SUPPORTED')
  })

  it('close() ends one under way, and nothing of it is left or it is whole', async () => {
    for (let turns = 0; turns < 60; turns += 3) {
      const fs = new MemoryFileSystem()
      const db = await DB.open('/db', { ...SMALL, fs })
      await fill(db, 0, 60)
      const outcome = db.checkpoint('/copy').then(() => 'made', (err: { code: string }) => err.code)
      for (let i = 0; i < turns; i++) await undefined
      await db.close()
      const code = await outcome
      expect(['made', 'WK_ABORTED', 'WK_CLOSED']).toContain(code)
      const opened = await DB.open('/copy', { ...SMALL, fs, createIfMissing: false }).then(async (copy) => (await copy.close(), 'made'), (err: { code: string }) => err.code)
      expect(opened).toBe(code === 'made' ? 'made' : 'WK_NOT_FOUND')
      const again = await DB.open('/db', { ...SMALL, fs })
      expect((await again.verify()).problems).toEqual([])
      await again.close()
    }
  })

  it('an error of the file system comes through, leaves nothing, and harms nothing', async () => {
    for (const kind of ['link', 'create', 'write', 'sync', 'rename', 'syncDir', 'mkdir'] as const) {
      const inner = new MemoryFileSystem()
      const fs = new FaultFileSystem(inner)
      const db = keep(await DB.open('/db', { ...SMALL, fs }))
      await fill(db, 0, 50)
      if (kind === 'link') fs.add({ operation: 'create', path: /^\/copy/, errno: 'ENOSPC', times: Infinity })
      fs.add({ operation: kind, path: /^\/copy/, errno: 'ENOSPC', times: Infinity })
      if (kind === 'link') fs.add({ operation: kind, errno: 'ENOSPC', times: Infinity })
      await expectCode(() => db.checkpoint('/copy'), 'WK_IO')
      fs.clear()
      expect(await inner.list('/copy').catch(() => [])).toEqual([])
      await db.put('k', 'works')
      await db.checkpoint('/copy')
      expect(text(await keep(await DB.open('/copy', { ...SMALL, fs: inner })).get('k'))).toBe('works')
    }
  })

  it('a file that somebody else puts into its directory is WK_EXISTS, stays, and the database works on', async () => {
    const memory = new MemoryFileSystem()
    const fs = new FaultFileSystem(memory)
    const db = await DB.open('/db', { ...SMALL, fs })
    await fill(db, 0, 100)
    await db.flush()
    const name = (await memory.list('/db')).find((one) => one.endsWith('.sst'))!
    const mkdir = fs.mkdir.bind(fs)
    fs.mkdir = async (dir, options) => {
      const made = await mkdir(dir, options)
      const file = memory.openSync(`${dir}/${name}`, 'create')
      file.writeSync(Buffer.from('mine'), 0, 4, 0)
      file.closeSync()
      return made
    }
    await expectCode(() => db.checkpoint('/copy'), 'WK_EXISTS')
    fs.mkdir = mkdir
    expect(await memory.list('/copy')).toEqual([name])
    const file = memory.openSync(`/copy/${name}`, 'read')
    expect(file.sizeSync()).toBe(4)
    file.closeSync()
    await expectCode(() => DB.open('/copy', { ...SMALL, fs: memory }), 'WK_CORRUPTION')
    await fill(db, 100, 120)
    expect((await db.verify()).problems).toEqual([])
    await db.checkpoint('/other')
    await db.close()
  })

  it('of two empty databases into one directory one is WK_EXISTS, and the other stays as it is', async () => {
    const fs = new MemoryFileSystem()
    const dbs = [await DB.open('/one', { ...SMALL, fs }), await DB.open('/two', { ...SMALL, fs })]
    const made = await Promise.allSettled(dbs.map((db) => db.checkpoint('/copy')))
    const refused = made.filter((one) => one.status === 'rejected')
    expect(refused.map(({ reason }) => (reason as { code?: string }).code)).toEqual(['WK_EXISTS'])
    const copy = await DB.open('/copy', { ...SMALL, fs, createIfMissing: false })
    expect(await copy.iterator().all()).toEqual([])
    await Promise.all([copy, ...dbs].map((db) => db.close()))
  })

  it(`holds the map of its call, beside writers, compaction and collection, seeds ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}`, async () => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const rng = new Rng(seed)
      const fs = new MemoryFileSystem({ crashable: false })
      const options: Options = { ...SMALL, fs, l0CompactionTrigger: 2, gc: { auto: rng.chance(0.5), minGarbage: 4096, maxSpaceAmp: 1.1 } }
      const db = await DB.open('/db', options)
      const model = new Map<string, Uint8Array>()
      const copies: [string, Map<string, Uint8Array>, Promise<void>][] = []
      const beside: Promise<unknown>[] = []
      for (let i = 0; i < 250; i++) {
        const key = `k${rng.below(30)}`
        const choice = rng.weighted({ put: 10, del: 2, checkpoint: 0.3, compact: 0.2, gc: 0.3, flush: 0.3, wait: 2 })
        if (choice === 'put') {
          const value = large(rng.pick([3, 80, 900]), i)
          model.set(key, value)
          beside.push(db.put(key, value))
        } else if (choice === 'del') {
          model.delete(key)
          beside.push(db.del(key))
        } else if (choice === 'checkpoint') copies.push([`/copy${i}`, new Map(model), db.checkpoint(`/copy${i}`)])
        else if (choice === 'compact') beside.push(db.compact())
        else if (choice === 'flush') beside.push(db.flush())
        else if (choice === 'gc') beside.push(db.gc({ maxSpaceAmp: 1.05 }).catch((err: unknown) => expect(err).toMatchObject({ code: 'WK_GC_RUNNING' })))
        else await new Promise((resolve) => setImmediate(resolve))
      }
      await Promise.all(beside)
      const replay = `replay: WK_SEED=${seed} WK_RUNS=1 npx vitest run test/checkpoint.contract.test.ts`
      for (const [dir, expected, made] of copies) {
        await made
        const copy = await DB.open(dir, options)
        const found = (await copy.iterator().all()).map(([key, value]) => [text(key), value] as const)
        expect(found, `${dir} of seed ${seed}, ${replay}`).toEqual([...expected].sort(([a], [b]) => (a < b ? -1 : 1)))
        expect((await copy.verify()).problems, replay).toEqual([])
        await copy.close()
      }
      expect((await db.verify()).problems).toEqual([])
      await db.close()
    }
  })
})
