/**
 * Bounded run tables: with hardly any entries allowed, endless overwriting goes on giving space back, because pointers are rewritten to where
 * values lie. Nobody who reads sees it.
 */
import { MemoryFileSystem } from '@wk/fs'
import { HoldingFileSystem, Rng, createsTable } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import type { DbIterator, Snapshot } from '../src/index.js'
import { resolveOptions } from '../src/options.js'
import { openParts } from '../src/open.js'
import { BOUNDED, openWith } from './bounded-runs.js'
import { expectContents, temporaryDirectory } from './harness.js'

const KEYS = 400
const keyOf = (i: number): string => `key ${String(i).padStart(4, '0')}`
const valueOf = (i: number, round: number): Uint8Array => Buffer.from(`${keyOf(i)} in round ${round} ${'v'.repeat(100 + (i % 50))}`)

type Model = Map<string, Uint8Array>

/** Overwrites, now and then deletes, drawn keys. */
async function overwrite(db: DB, model: Model, rng: Rng, round: number, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const key = rng.below(KEYS)
    const isDeletion = rng.chance(0.05)
    if (isDeletion) model.delete(keyOf(key))
    else model.set(keyOf(key), valueOf(key, round))
    await (isDeletion ? db.del(keyOf(key)) : db.put(keyOf(key), valueOf(key, round)))
  }
}

/** Who began to read before, and what has to be seen. */
interface Reader {
  readonly iterator: DbIterator<[Uint8Array, Uint8Array]>
  readonly snapshot: Snapshot
  readonly model: Model
}

async function expectReads(db: DB, { iterator, snapshot, model }: Reader): Promise<void> {
  const found: [string, string][] = []
  for await (const [key, value] of iterator) found.push([Buffer.from(key).toString(), Buffer.from(value).toString()])
  expect(found).toEqual([...model].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => [key, Buffer.from(value).toString()]))
  for (const [key, value] of model) expect(Buffer.compare(db.getSync(key, { snapshot })!, value)).toBe(0)
  snapshot.close()
}

/** A place for a database, whose jobs run here or in a worker. */
function place(where: 'in-line' | 'worker'): { dir: string; options: typeof BOUNDED } {
  if (where === 'worker') return { dir: temporaryDirectory(), options: { ...BOUNDED, workers: 1 } }
  return { dir: '/db', options: { ...BOUNDED, fs: new MemoryFileSystem({ crashable: false }), workers: 0 } }
}

describe.each(['in-line', 'worker'] as const)('run tables under endless overwriting, %s', (where) => {
  it('stay within their bound with explicit calls, and everything is read right, by old readers and after a restart', async () => {
    const mostRuns = 300
    const { dir, options } = place(where)
    let db = await openWith(dir, options, mostRuns)
    const model: Model = new Map()
    const rng = new Rng(7)
    let highest = 0
    let readdressed = 0
    const readers: Reader[] = []
    for (let round = 0; round < 40; round++) {
      await overwrite(db, model, rng, round, 150)
      await db.gc()
      highest = Math.max(highest, db.stats().valueLogRuns)
      if (round % 4 === 0) readers.push({ iterator: db.iterator(), snapshot: db.snapshot(), model: new Map(model) })
      if (round % 4 === 3) await expectReads(db, readers.shift()!)
      if (round % 4 === 3) await expectContents(db, model)
      if (round % 16 !== 15) continue
      readdressed += db.stats().gcReaddressed
      await db.close()
      db = await openWith(dir, options, mostRuns)
      await expectContents(db, model)
    }
    await db.gc()
    expect(db.stats().spaceAmp).toBeLessThan(1.5)
    expect(highest).toBeGreaterThan(100)
    expect(highest).toBeLessThanOrEqual(mostRuns)
    expect(readdressed + db.stats().gcReaddressed).toBeGreaterThan(200)
    expect(db.valueLogFiles().some(({ number, relocated, logical, runs }) => relocated && logical.includes(number) && runs === 0)).toBe(true)
    await db.close()
  })

  it('stay within their bound in the background, which goes on collecting', async () => {
    const mostRuns = 150
    const { dir, options } = place(where)
    const db = await openWith(dir, { ...options, gc: { auto: true, minGarbage: 8192, maxSpaceAmp: 1.2 } }, mostRuns)
    const model: Model = new Map()
    const rng = new Rng(8)
    let highest = 0
    for (let round = 0; round < 60; round++) {
      await overwrite(db, model, rng, round, 100)
      highest = Math.max(highest, db.stats().valueLogRuns)
      if (round % 20 === 0) await expectContents(db, model)
    }
    await expectContents(db, model)
    const { gcReaddressed, gcFilesCollected } = db.stats()
    expect(gcReaddressed).toBeGreaterThan(10)
    expect(gcFilesCollected).toBeGreaterThan(100)
    expect(highest).toBeLessThanOrEqual(mostRuns)
    await db.close()
  })
})

describe('a database whose pointers name relocated files', () => {
  /** Closed, or left by a crash with writes that no table knows. */
  async function prepare(isClean: boolean): Promise<{ fs: MemoryFileSystem; model: Model; options: typeof BOUNDED }> {
    const fs = new MemoryFileSystem()
    const options = { ...BOUNDED, fs, workers: 0 }
    const db = await openWith('/db', options, 100)
    const model: Model = new Map()
    const rng = new Rng(12)
    for (let round = 0; round < 8; round++) {
      await overwrite(db, model, rng, round, 150)
      await db.gc()
    }
    await overwrite(db, model, rng, 9, 50)
    expect(db.stats().gcReaddressed).toBeGreaterThan(10)
    await db.sync()
    const image = isClean ? fs : fs.crashClone('P0', 1)
    await db.close()
    return { fs: image, model, options: { ...options, fs: image } }
  }

  it.each([true, false])('is read without being changed, backed up, and copied; clean: %s', async (isClean) => {
    const { model, options } = await prepare(isClean)
    const reading = await openWith('/db', { ...options, readOnly: true }, 100)
    await expectContents(reading, model)
    await reading.close()
    const db = await openWith('/db', options, 100)
    await db.checkpoint('/copy')
    const copy = await openWith('/copy', options, 100)
    await expectContents(copy, model)
    const loaded = await openWith('/loaded', options, 100)
    await loaded.load(db.backup())
    await expectContents(loaded, model)
    for (const opened of [db, copy, loaded]) await opened.close()
  })

  it.each(['whole', 'without CURRENT', 'without a manifest'])('is repaired %s', async (damage) => {
    const { fs, model, options } = await prepare(true)
    for (const name of await fs.list('/db')) {
      if ((name === 'CURRENT' && damage !== 'whole') || (name.startsWith('MANIFEST') && damage === 'without a manifest')) await fs.remove(`/db/${name}`)
    }
    const report = await DB.repair('/db', { fs, to: '/repaired', target: { valueThreshold: 1, workers: 0 } })
    expect(report.losses).toEqual([])
    const db = await openWith('/repaired', options, 100)
    await expectContents(db, model)
    await db.close()
  })
})

describe('what is encrypted', () => {
  it('keeps its run tables, and says so when there are too many entries', async () => {
    const db = await openWith('/db', { ...BOUNDED, fs: new MemoryFileSystem({ crashable: false }), workers: 0, encryptionKey: new Uint8Array(16) }, 150)
    const model: Model = new Map()
    const rng = new Rng(9)
    for (let round = 0; round < 10; round++) {
      await overwrite(db, model, rng, round, 150)
      await db.gc()
    }
    await overwrite(db, model, rng, 10, 150)
    await db.compact()
    await expectContents(db, model)
    expect(db.stats()).toMatchObject({ gcReaddressed: 0 })
    expect(db.stats().valueLogRuns).toBeGreaterThan(75)
    expect(new Set(db.valueLogFiles().map(({ state }) => state))).toContain('run tables full')
    await db.close()
  })
})

describe('while pointers are rewritten', () => {
  it('no pass takes the files that they will lead to, and nobody gives them up', async () => {
    const fs = new HoldingFileSystem(new MemoryFileSystem({ crashable: false }))
    const parts = await openParts('/db', { ...resolveOptions({ ...BOUNDED, fs, workers: 0 }), mostRuns: 200 })
    const gc = parts.gc!
    const db = new DB(parts)
    const model: Model = new Map()
    const put = (i: number, round: number): Promise<void> => {
      model.set(keyOf(i), valueOf(i, round))
      return db.put(keyOf(i), valueOf(i, round))
    }
    for (let i = 0; i < KEYS; i++) await put(i, 0)
    for (let i = 0; i < KEYS; i += 2) await put(i, 1)
    await db.compact()
    await gc.relocate(gc.files().filter(({ state }) => state === 'collectable'), {})
    for (let i = 1; i < KEYS; i += 6) await put(i, 2)
    await db.compact()
    expect(gc.isReaddressingDue).toBe(true)
    const victims = gc.files().filter(({ relocated, state }) => relocated && state === 'collectable')
    expect(victims.length).toBeGreaterThan(0)

    fs.hold = createsTable
    const controller = new AbortController()
    const rewriting = gc.readdress(controller.signal)
    while (fs.held.length === 0) await new Promise((resolve) => setImmediate(resolve))
    expect(gc.isReaddressingDue).toBe(false)
    const states = new Map(gc.files().map(({ number, state }) => [number, state]))
    for (const { number } of victims) expect(states.get(number)).toBe('readdressing')
    // The table is written, and its edit is not there yet.
    expect(await gc.relocate(victims, {})).toBe(0)
    await gc.removeDead()
    for (let i = 0; i < KEYS; i++) expect(db.getSync(keyOf(i))).toEqual(model.get(keyOf(i)))
    fs.release()
    await rewriting
    await gc.removeDead()
    expect(db.stats().valueLogRuns).toBe(0)
    await expectContents(db, model)

    // The same files, with the addresses that they have now.
    const now = gc.files().filter(({ relocated, state }) => relocated && state === 'collectable')
    expect(now.length).toBe(victims.length)
    expect(await gc.relocate(now, {})).toBe(now.length)
    await expectContents(db, model)
    await db.close()
  })

  it('ends early where somebody waits for the collector', async () => {
    const fs = new MemoryFileSystem({ crashable: false })
    const db = await openWith('/db', { ...BOUNDED, fs, workers: 0, tableSize: 4096, gc: { auto: true, minGarbage: 8192, maxSpaceAmp: 1.2 } }, 150)
    const model: Model = new Map()
    const rng = new Rng(11)
    for (let round = 0; round < 10; round++) {
      await overwrite(db, model, rng, round, 100)
      await db.verify()
      await db.checkpoint(`/copy ${round}`)
    }
    await expectContents(db, model)
    await db.close()
    const copy = await openWith('/copy 9', { ...BOUNDED, fs, workers: 0 }, 150)
    await expectContents(copy, model)
    await copy.close()
  })
})
