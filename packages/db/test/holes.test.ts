/** Option `gc.punchHoles`: long dead values come back without a byte being copied, on disk and in memory, beside every other way to hold on to them. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { NotSupportedError } from '@wk/codec'
import { NodeFileSystem } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { DB, GC_CHANNEL, type GcEvent } from '../src/index.js'
import { openBounded, type BoundedOptions } from '../src/testing.js'
import { expectContents, keep, large, memoryPlace, nodePlace, SMALL, temporaryDirectory, type Place } from './harness.js'

const LENGTH = 20_000
const KEYS = 24

/** Some twelve values a file; nothing is collected but what a test asks for. */
const HOLES: BoundedOptions = { ...SMALL, valueLogFileSize: 256 * 1024, workers: 0, leastHole: 16_384, gc: { auto: false, punchHoles: true } }

const open = async (place: Place, options: BoundedOptions = {}): Promise<DB> => keep(await openBounded(place.dir, { ...HOLES, ...(place.fs === undefined ? {} : { fs: place.fs }), ...options }))
const keyOf = (i: number): string => `k${String(i).padStart(3, '0')}`

/** Every key has a first value, and every other one a second: each file is half dead. */
async function fill(db: DB): Promise<Map<string, Uint8Array>> {
  const model = new Map<string, Uint8Array>()
  const put = async (i: number, round: number): Promise<void> => {
    const value = large(LENGTH, 100 * round + i + 1)
    model.set(keyOf(i), value)
    await db.put(keyOf(i), value)
  }
  for (let i = 0; i < KEYS; i++) await put(i, 0)
  for (let i = 0; i < KEYS; i += 2) await put(i, 1)
  await db.flush()
  await db.compact()
  return model
}

const listsOf = async (place: Place, dir = place.dir): Promise<string[]> => (place.fs === undefined ? readdirSync(dir) : await place.fs.list(dir)).filter((name) => name.endsWith('.runs'))

async function usedBy(place: Place): Promise<number> {
  let bytes = 0
  for (const name of await place.names()) {
    if (!/\.(vlog|rlog)$/.test(name)) continue
    const path = join(place.dir, name)
    if (place.fs === undefined) bytes += statSync(path).blocks * 512
    else {
      const file = await place.fs.open(path, 'read')
      bytes += (await file.usage()).allocated
      await file.close()
    }
  }
  return bytes
}

/** Not without `fs-native-extensions`, nor on every file system. */
async function nodeHasHoles(): Promise<boolean> {
  const path = join(temporaryDirectory(), 'trial')
  const file = await new NodeFileSystem().open(path, 'create')
  try {
    await file.write(new Uint8Array(65_536).fill(1), 0, 65_536, 0)
    await file.sync()
    const { allocated } = await file.usage()
    await file.punch(0, 32_768)
    return (await file.usage()).allocated < allocated
  } catch (error) {
    if (error instanceof NotSupportedError) return false
    throw error
  } finally {
    await file.close()
  }
}

const onDisk = await nodeHasHoles()

describe.each(onDisk ? [['memory', memoryPlace], ['node', nodePlace]] as const : [['memory', memoryPlace]] as const)('holes (%s)', (_, place: () => Place) => {
  it('give the room of long dead values back and move nothing; figures, plan and channel say so', async () => {
    const here = place()
    const db = await open(here)
    const model = await fill(db)
    const before = await usedBy(here)
    const plan = await db.gc({ maxSpaceAmp: 1.05, dryRun: true })
    expect(plan.punches.length).toBeGreaterThan(0)
    expect(await listsOf(here), 'a dry run changes nothing').toEqual([])
    const events: GcEvent[] = []
    const note = (event: unknown): void => void events.push(event as GcEvent)
    subscribe(GC_CHANNEL, note)
    const report = await db.gc({ maxSpaceAmp: 1.05 })
    unsubscribe(GC_CHANNEL, note)
    const stats = db.stats()
    expect(stats.gcBytesPunched).toBeGreaterThan((KEYS / 2) * LENGTH * 0.6)
    expect(report).toMatchObject({ bytesMoved: 0, bytesReclaimed: stats.gcBytesReclaimed })
    // The maps of files with many holes take some blocks themselves.
    const back = before - (await usedBy(here))
    expect(back).toBeLessThanOrEqual(stats.gcBytesPunched)
    expect(back).toBeGreaterThanOrEqual(stats.gcBytesPunched - 4096 * plan.punches.length)
    expect(await listsOf(here)).toHaveLength(plan.punches.length)
    expect(events.filter(({ type }) => type === 'collected').reduce((sum, { bytesPunched = 0 }) => sum + bytesPunched, 0)).toBe(stats.gcBytesPunched)
    expect(stats.spaceAmp).toBeLessThan(1.4)
    await expectContents(db, model)
    await db.close()
    const again = await open(here)
    expect(again.stats().valueLogBytes).toBe(stats.valueLogBytes)
    await expectContents(again, model)
    for (const key of model.keys()) await again.del(key)
    await again.flush()
    await again.compact()
    await again.gc({ maxSpaceAmp: 1.05 })
    await again.close()
    await (await open(here)).close()
    expect(await listsOf(here), 'lists go with their files').toEqual([])
  })

  it('are not made without the option', async () => {
    const here = place()
    const db = await open(here, { gc: { auto: false } })
    const model = await fill(db)
    expect((await db.gc({ maxSpaceAmp: 1.05, dryRun: true })).punches).toEqual([])
    expect((await db.gc({ maxSpaceAmp: 1.05 })).bytesMoved).toBeGreaterThan(0)
    expect(db.stats().gcBytesPunched).toBe(0)
    expect(await listsOf(here)).toEqual([])
    await expectContents(db, model)
  })

  it('leave alone what a checkpoint of before holds, and a checkpoint of after has their lists', async () => {
    const here = place()
    const db = await open(here)
    const model = await fill(db)
    const old = new Map(model)
    await db.checkpoint(`${here.dir}-before`)
    await db.gc({ maxSpaceAmp: 1.05 })
    expect(db.stats().gcBytesPunched, 'shared files are copied').toBe(0)
    for (let i = 1; i < KEYS; i += 4) {
      model.set(keyOf(i), large(LENGTH, 500 + i))
      await db.put(keyOf(i), model.get(keyOf(i))!)
    }
    await db.flush()
    await db.compact()
    await db.gc({ maxSpaceAmp: 1.05 })
    expect(db.stats().gcBytesPunched).toBeGreaterThan(0)
    await db.checkpoint(`${here.dir}-after`)
    expect(await listsOf(here, `${here.dir}-after`)).toEqual(await listsOf(here))
    const middle = new Map(model)
    for (let i = 3; i < KEYS; i += 4) {
      model.set(keyOf(i), large(LENGTH, 900 + i))
      await db.put(keyOf(i), model.get(keyOf(i))!)
    }
    await db.compact()
    await db.gc({ maxSpaceAmp: 1.05 })
    await expectContents(db, model)
    await expectContents(await open({ ...here, dir: `${here.dir}-before` }), old)
    await expectContents(await open({ ...here, dir: `${here.dir}-after` }), middle)
  })

  it('snapshots, iterators and reads of before see their values, during and after', async () => {
    const here = place()
    const db = await open(here)
    const model = await fill(db)
    const old = new Map(model)
    const snapshot = db.snapshot()
    const iterator = db.iterator()
    await iterator.next()
    for (let i = 1; i < KEYS; i += 2) {
      model.set(keyOf(i), large(LENGTH, 700 + i))
      await db.put(keyOf(i), model.get(keyOf(i))!)
    }
    await db.compact()
    const reads = [...old.keys()].map((key) => db.get(key, { snapshot }))
    await db.gc({ maxSpaceAmp: 1.05 })
    const values = await Promise.all(reads)
    for (const [i, key] of [...old.keys()].entries()) {
      expect(values[i]).toEqual(old.get(key))
      expect(db.getSync(key, { snapshot })).toEqual(old.get(key))
    }
    expect((await iterator.all()).length).toBe(KEYS - 1)
    snapshot.close()
    await db.compact()
    await db.gc({ maxSpaceAmp: 1.05 })
    expect(db.stats().gcBytesPunched).toBeGreaterThan(0)
    await expectContents(db, model)
  })

  it('repair and backup read what is left', async () => {
    const here = place()
    const db = await open(here)
    const model = await fill(db)
    await db.gc({ maxSpaceAmp: 1.05 })
    expect(db.stats().gcBytesPunched).toBeGreaterThan(0)
    const chunks: Uint8Array[] = []
    for await (const chunk of db.backup()) chunks.push(chunk)
    await db.close()
    const fs = here.fs === undefined ? {} : { fs: here.fs }
    const report = await DB.repair(here.dir, { to: `${here.dir}-repaired`, ...fs })
    expect(report.losses).toEqual([])
    await expectContents(await open({ ...here, dir: `${here.dir}-repaired` }), model)
    const loaded = await open({ ...here, dir: `${here.dir}-loaded` })
    await loaded.load(chunks)
    await expectContents(loaded, model)
  })
})

describe('holes', () => {
  it('of an encrypted database', async () => {
    const here = memoryPlace()
    const encryptionKey = new Uint8Array(32).fill(7)
    const db = await open(here, { encryptionKey })
    const model = await fill(db)
    await db.gc({ maxSpaceAmp: 1.05 })
    expect(db.stats().gcBytesPunched).toBeGreaterThan(0)
    await db.close()
    await expectContents(await open(here, { encryptionKey }), model)
  })

  it.each([150_000, 700_000])('by the background, with values of %i bytes, as users get them', async (length) => {
    const here = nodePlace()
    const db = keep(await DB.open(here.dir, { gc: { punchHoles: true, minGarbage: 0, maxSpaceAmp: 1.2 }, valueLogFileSize: 12 * length }))
    const model = new Map<string, Uint8Array>()
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 16; i++) {
        const key = keyOf((i * 7 + round * 5) % 23)
        model.set(key, large(length, round * 31 + i))
        await db.put(key, model.get(key)!)
      }
    }
    await db.compact()
    await db.gc()
    if (onDisk) expect(db.stats().gcBytesPunched).toBeGreaterThan(7 * length)
    else expect(db.stats().gcBytesPunched).toBe(0)
    await expectContents(db, model)
    await db.close()
    await expectContents(keep(await DB.open(here.dir)), model)
  })
})
