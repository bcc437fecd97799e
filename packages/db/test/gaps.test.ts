/** Option `gc.fillGaps`, as it comes: new values go where dead ones lie in older files, on disk and in memory, beside every other way to hold on to those files. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { readFully } from '@wk/fs'
import { Rng } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB, GC_CHANNEL, type GcEvent } from '../src/index.js'
import { openParts } from '../src/open.js'
import { resolveOptions } from '../src/options.js'
import { openBounded, type BoundedOptions } from '../src/testing.js'
import { contentsOf, expectContents, keep, large, memoryPlace, nodePlace, onBothFileSystems, SMALL, text, type Place } from './harness.js'

const LENGTH = 2000
const KEYS = 48

/** Some eight values a file; gaps are opened by `compact()`, and nothing is collected but what a test asks for. */
const GAPS: BoundedOptions = { ...SMALL, valueLogFileSize: 16 * 1024, workers: 0, leastGap: 1024, opensGaps: true, gc: { auto: false } }

const open = async (place: Place, options: BoundedOptions = {}, dir = place.dir): Promise<DB> => keep(await openBounded(dir, { ...GAPS, ...(place.fs === undefined ? {} : { fs: place.fs }), ...options }))
const keyOf = (i: number): string => `k${String(i).padStart(3, '0')}`
const filling = (db: DB): number[] => db.valueLogFiles().filter(({ state }) => state === 'filling').map(({ number }) => number)
const listsOf = async (place: Place): Promise<string[]> => (await place.names()).filter((name) => name.endsWith('.runs'))

/** A database with what it should hold. */
class Filled {
  readonly model = new Map<string, Uint8Array>()
  readonly db: DB
  #tag = 1

  constructor(db: DB) {
    this.db = db
  }

  async put(i: number, length = LENGTH): Promise<void> {
    const value = large(length, this.#tag++)
    this.model.set(keyOf(i), value)
    await this.db.put(keyOf(i), value)
  }

  /** Every key has a first value, and every other one a second: each file is half dead, and its gaps are open. */
  async prepare(): Promise<void> {
    for (let i = 0; i < KEYS; i++) await this.put(i)
    for (let i = 0; i < KEYS; i += 2) await this.put(i)
    await this.db.compact()
    expect(filling(this.db).length).toBeGreaterThan(2)
  }
}

async function prepared(place: Place, options: BoundedOptions = {}): Promise<Filled> {
  const filled = new Filled(await open(place, options))
  await filled.prepare()
  return filled
}

/** Bytes of each file in a directory. */
async function filesIn(place: Place, dir: string): Promise<Map<string, string>> {
  if (place.fs === undefined) return contentsOf(dir)
  const files = new Map<string, string>()
  for (const name of await place.fs.list(dir)) files.set(name, Buffer.from(await bytesOf(place, join(dir, name))).toString('base64'))
  return files
}

async function bytesOf({ fs }: Place, path: string): Promise<Uint8Array> {
  if (fs === undefined) return readFileSync(path)
  const file = await fs.open(path, 'read')
  const bytes = new Uint8Array(await file.size())
  await readFully(file, bytes, 0, bytes.length, 0)
  await file.close()
  return bytes
}

onBothFileSystems('gaps', (place) => {
  it('take new values, so that the disk holds no more; figures, states and channel say so', async () => {
    const here = place()
    const events: GcEvent[] = []
    const note = (event: unknown): void => void events.push(event as GcEvent)
    subscribe(GC_CHANNEL, note)
    const filled = await prepared(here)
    unsubscribe(GC_CHANNEL, note)
    const { db, model } = filled
    const [fill] = events.filter(({ type }) => type === 'fill')
    expect([...fill!.files!].sort((a, b) => a - b)).toEqual(filling(db))
    expect(fill?.gapBytes).toBeGreaterThan(12 * LENGTH)
    expect(await listsOf(here)).toHaveLength(fill!.files!.length)
    const before = db.stats()
    // The active file is filled first.
    for (let i = 1; i < KEYS; i += 2) await filled.put(i)
    const after = db.stats()
    expect(after.gcBytesFilled).toBeGreaterThan(10 * LENGTH)
    expect(after.valueLogBytes - before.valueLogBytes).toBeLessThan((KEYS / 2) * LENGTH + 3000 - after.gcBytesFilled)
    await expectContents(db, model)
    for (const number of filling(db)) expect(fill?.files).toContain(number)
    await db.close()
    const again = await open(here)
    expect(filling(again), 'what is closed is filled no more').toEqual([])
    await expectContents(again, model)
    await again.close()
    const readOnly = await open(here, { readOnly: true, opensGaps: false })
    expect(readOnly.valueLogFiles().filter(({ state }) => state === 'filling')).toEqual([])
    await expectContents(readOnly, model)
  })

  it('are not opened where the option says so', async () => {
    const here = place()
    const filled = new Filled(await open(here, { gc: { auto: false, fillGaps: false } }))
    await expect(filled.prepare()).rejects.toThrow()
    await filled.put(1)
    expect(filled.db.stats().gcBytesFilled).toBe(0)
    expect(await listsOf(here)).toEqual([])
  })

  it.each(['gc', 'runValueLogGC'] as const)('are given up by %s, which collects what they lie in', async (call) => {
    const here = place()
    const filled = await prepared(here)
    const { db, model } = filled
    for (let i = 1; i < KEYS / 2; i += 2) await filled.put(i)
    const { gcBytesFilled } = db.stats()
    expect(gcBytesFilled).toBeGreaterThan(0)
    const report = await (call === 'gc' ? db.gc({ maxSpaceAmp: 1.05 }) : db.runValueLogGC(0.05))
    expect(report.filesCollected).toBeGreaterThan(0)
    expect(filling(db)).toEqual([])
    for (let i = 0; i < KEYS; i += 3) await filled.put(i)
    expect(db.stats().gcBytesFilled).toBe(gcBytesFilled)
    await expectContents(db, model)
    await db.close()
    await expectContents(await open(here), model)
  })

  it('law 5: what a checkpoint shares never changes, whether it was made before they are opened or while they are filled', async () => {
    const here = place()
    const filled = await prepared(here)
    const { db, model } = filled
    for (let i = 1; i < KEYS / 3; i += 2) await filled.put(i)
    const writing = [filled.put(2), filled.put(4), filled.put(6)]
    const old = new Map(model)
    const copies = [`${here.dir}-during`, `${here.dir}-after`] as const
    const made = db.checkpoint(copies[0])
    for (let i = 1; i < KEYS; i += 4) writing.push(filled.put(i))
    await made
    await Promise.all(writing)
    const during = await filesIn(here, copies[0])
    for (let i = 0; i < KEYS; i += 4) await filled.put(i)
    await db.compact()
    const middle = new Map(model)
    const shared = new Set([...during.keys()].filter((name) => /log$/.test(name)).map((name) => Number.parseInt(name, 10)))
    for (const number of filling(db)) expect(shared).not.toContain(number)
    await db.checkpoint(copies[1])
    const after = await filesIn(here, copies[1])
    for (let round = 0; round < 3; round++) {
      for (let i = round; i < KEYS; i += 2) await filled.put(i)
      await db.compact()
    }
    expect(db.stats().gcBytesFilled).toBeGreaterThan(0)
    expect(await filesIn(here, copies[0])).toEqual(during)
    expect(await filesIn(here, copies[1])).toEqual(after)
    await expectContents(db, model)
    for (const [copy, expected] of [[copies[0], old], [copies[1], middle]] as const) {
      const opened = new Filled(await open(here, {}, copy))
      await expectContents(opened.db, expected)
      for (const [key, value] of expected) opened.model.set(key, value)
      for (let i = 0; i < KEYS; i += 2) await opened.put(i)
      await opened.db.compact()
      for (let i = 1; i < KEYS; i += 2) await opened.put(i)
      await expectContents(opened.db, opened.model)
    }
    await expectContents(db, model)
  })

  it('law 4: snapshots, iterators and reads of before, during and after see their values', async () => {
    const here = place()
    const filled = await prepared(here)
    const { db, model } = filled
    const held: { snapshot: ReturnType<DB['snapshot']>; expected: Map<string, Uint8Array>; iterator: ReturnType<DB['iterator']> }[] = []
    const hold = async (): Promise<void> => {
      const snapshot = db.snapshot()
      const iterator = db.iterator()
      await iterator.next()
      held.push({ snapshot, expected: new Map(model), iterator })
    }
    await hold()
    for (let round = 0; round < 4; round++) {
      const expected = new Map(model)
      const snapshot = db.snapshot()
      const reads = [...expected.keys()].map((key) => db.get(key, { snapshot }))
      for (let i = round; i < KEYS; i += 3) await filled.put(i)
      await hold()
      await db.compact()
      expect(await Promise.all(reads)).toEqual([...expected.values()])
      snapshot.close()
      for (const one of held) for (const [key, value] of one.expected) expect(db.getSync(key, { snapshot: one.snapshot })).toEqual(value)
    }
    for (const one of held.splice(0, 3)) {
      const rest = await one.iterator.all()
      expect(rest.map(([key]) => text(key))).toEqual([...one.expected.keys()].sort().slice(1))
      for (const [key, value] of rest) expect(value).toEqual(one.expected.get(text(key)!))
      one.snapshot.close()
      await db.compact()
      for (let i = 0; i < KEYS; i += 5) await filled.put(i)
    }
    for (const one of held) {
      for (const [key, value] of one.expected) expect(await db.get(key, { snapshot: one.snapshot })).toEqual(value)
      await one.iterator.close()
      one.snapshot.close()
    }
    expect(db.stats().gcBytesFilled).toBeGreaterThan(0)
    await expectContents(db, model)
  })

  it('backup and repair read what lies in them', async () => {
    const here = place()
    const filled = await prepared(here)
    const { db, model } = filled
    for (let i = 1; i < KEYS; i += 2) await filled.put(i)
    for (const gone of [0, 5, 6]) {
      model.delete(keyOf(gone))
      await db.del(keyOf(gone))
    }
    expect(db.stats().gcBytesFilled).toBeGreaterThan(0)
    const chunks: Uint8Array[] = []
    for await (const chunk of db.backup()) chunks.push(chunk)
    await db.close()
    const report = await DB.repair(here.dir, { to: `${here.dir}-repaired`, ...(here.fs === undefined ? {} : { fs: here.fs }) })
    expect(report.losses).toEqual([])
    await expectContents(await open(here, {}, `${here.dir}-repaired`), model)
    const loaded = await open(here, {}, `${here.dir}-loaded`)
    await loaded.load(chunks)
    await expectContents(loaded, model)
  })
})

describe('gaps', () => {
  it('of an encrypted database are not filled', async () => {
    const here = memoryPlace()
    const filled = new Filled(await open(here, { encryptionKey: new Uint8Array(32).fill(7) }))
    await expect(filled.prepare()).rejects.toThrow()
    for (let i = 1; i < KEYS; i += 2) await filled.put(i)
    expect(filled.db.stats().gcBytesFilled).toBe(0)
    await expectContents(filled.db, filled.model)
  })

  it('are passed over by a value that is longer than all of them', async () => {
    const here = memoryPlace()
    const filled = await prepared(here)
    for (let i = 1; i < KEYS; i += 4) await filled.put(i, i % 8 === 1 ? 300 : 900)
    await filled.put(100, 40_000)
    for (let i = 3; i < KEYS; i += 4) await filled.put(i, 700)
    expect(filled.db.stats().gcBytesFilled).toBeGreaterThan(0)
    await expectContents(filled.db, filled.model)
    await filled.db.close()
    await expectContents(await open(here), filled.model)
  })

  it('that are opened in files which a pass was about to copy are left to it', async () => {
    const here = memoryPlace()
    const parts = await openParts(here.dir, { ...resolveOptions({ ...SMALL, valueLogFileSize: 16 * 1024, workers: 0, fs: here.fs, gc: { auto: false } }), leastGap: 1024 })
    const filled = new Filled(keep(new DB(parts)))
    for (let i = 0; i < KEYS; i++) await filled.put(i)
    for (let i = 0; i < KEYS; i += 2) await filled.put(i)
    await filled.db.compact()
    const gc = parts.gc!
    const chosen = gc.files().filter(({ state }) => state === 'collectable')
    const { signal } = new AbortController()
    const opening = gc.gaps.open(gc.files(), [], signal)
    expect(await gc.relocate(chosen, { signal })).toBe(0)
    await opening
    expect(filling(filled.db).length).toBeGreaterThan(2)
    expect(await gc.relocate(chosen, { signal })).toBe(0)
    for (let i = 1; i < KEYS; i += 2) await filled.put(i)
    expect(filled.db.stats().gcBytesFilled).toBeGreaterThan(0)
    await expectContents(filled.db, filled.model)
  })

  it('law 8 after every step of batches, transactions, values that expire, deletions and snapshots', async () => {
    const seed = Number(process.env.WK_SEED ?? 1)
    const rng = new Rng(seed)
    const here = memoryPlace()
    const filled = await prepared(here)
    const { db, model } = filled
    const clock = Date.now()
    for (let step = 0; step < 120; step++) {
      const key = keyOf(rng.below(KEYS))
      const value = large(rng.pick([30, 900, LENGTH, LENGTH]), 5000 + step)
      switch (rng.below(7)) {
        case 0: {
          const other = keyOf(rng.below(KEYS))
          const shared = large(LENGTH, 9000 + step)
          await db.batch([{ type: 'put', key, value }, { type: 'del', key: other }, { type: 'put', key: `b${step % 5}`, value: shared }])
          model.set(key, value)
          model.delete(other)
          model.set(`b${step % 5}`, shared)
          break
        }
        case 1:
          await db.transaction(async (txn) => {
            const before = await txn.get(key)
            expect(before).toEqual(model.get(key))
            await txn.put(key, value)
            await txn.put(`t${step % 5}`, value)
          })
          model.set(key, value).set(`t${step % 5}`, value)
          break
        case 2:
          await db.put(key, value, { ttl: 3_600_000 })
          expect((await db.getEntry(key))?.expiresAt).toBeGreaterThan(clock / 1000)
          model.set(key, value)
          break
        case 3:
          await db.del(key)
          model.delete(key)
          break
        default:
          await db.put(key, value)
          model.set(key, value)
      }
      if (rng.chance(0.08)) await db.compact()
      expect((await db.verify()).problems, `step ${step}; replay: WK_SEED=${seed} npx vitest run packages/db/test/gaps.test.ts`).toEqual([])
    }
    expect(db.stats().gcBytesFilled).toBeGreaterThan(10 * LENGTH)
    await expectContents(db, model)
  })

  it.each([
    { length: 16_000, keys: 400 },
    { length: 1200, keys: 6000 },
  ])('of $length bytes are filled by the background as users get it, and space is back within its bound when nobody writes any more', async ({ length, keys }) => {
    const seed = Number(process.env.WK_SEED ?? 1)
    const rng = new Rng(seed)
    const db = keep(await DB.open(nodePlace().dir, { gc: { minGarbage: 0, maxSpaceAmp: 1.3 }, valueLogFileSize: 1 << 20 }))
    const model = new Map<string, Uint8Array>()
    const atOnce = keys / 100
    for (let step = 0; step < 4 * keys; step += atOnce) {
      const writes: Promise<void>[] = []
      for (let i = 0; i < atOnce; i++) {
        const key = keyOf(step < keys ? step + i : rng.below(keys))
        model.set(key, large(length, step + i))
        writes.push(db.put(key, model.get(key)!))
      }
      await Promise.all(writes)
    }
    expect(db.stats().gcBytesFilled, `replay: WK_SEED=${seed} npx vitest run packages/db/test/gaps.test.ts`).toBeGreaterThan(20 * length)
    const isBack = (): boolean => filling(db).length === 0 && db.stats().spaceAmp <= 1.3
    for (let waited = 0; !isBack() && waited < 20_000; waited += 50) await new Promise((resolve) => setTimeout(resolve, 50))
    expect(filling(db)).toEqual([])
    expect(db.stats().spaceAmp).toBeLessThanOrEqual(1.3)
    await expectContents(db, model)
  })

  it('are left alone by a database that nobody writes to, which collects what is above its bound', async () => {
    const { dir } = nodePlace()
    const first = keep(await DB.open(dir, { gc: { auto: false }, valueLogFileSize: 1 << 20 }))
    for (let i = 0; i < 320; i++) await first.put(keyOf(i), large(16_000, i))
    for (let i = 0; i < 320; i += 3) await first.put(keyOf(i), large(16_000, i + 1))
    await first.compact()
    await first.close()
    const events: GcEvent[] = []
    const note = (event: unknown): void => void events.push(event as GcEvent)
    subscribe(GC_CHANNEL, note)
    const db = keep(await DB.open(dir, { gc: { minGarbage: 0 }, valueLogFileSize: 1 << 20 }))
    for (let waited = 0; db.stats().spaceAmp > 1.3 && waited < 10_000; waited += 50) await new Promise((resolve) => setTimeout(resolve, 50))
    unsubscribe(GC_CHANNEL, note)
    expect(db.stats().spaceAmp).toBeLessThanOrEqual(1.3)
    expect(events.filter(({ type }) => type === 'fill')).toEqual([])
    expect(events.some(({ type }) => type === 'relocate')).toBe(true)
  })
})
