/**
 * Laws 4, 5, 6 and 8 inside a pass: before each of its operations on the file system something else happens, one thing a run, and then
 * the power may fail. Whoever began to read before the pass goes on reading during it and after it. Also where hardly any entries of run
 * tables are allowed, so that a pass rewrites pointers.
 */
import { InterceptedFileSystem, MemoryFileSystem } from '@wk/fs'
import type { CrashPolicy, Operation } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import type { DB, DbIterator, Snapshot } from '../src/index.js'
import { openWith } from './bounded-runs.js'
import { SMALL, all, large } from './harness.js'

const DIR = '/db'
const KEYS = 40
const POLICIES: readonly CrashPolicy[] = ['P0', 'P1', 'P2', 'P3']
const keyOf = (i: number): string => `key ${String(i).padStart(3, '0')}`
/** Turns that what happens may take: it may be waiting for the very operation that waits for it. */
const MOST_TURNS = 50

type Model = Map<string, Uint8Array>
type Entry = [Uint8Array, Uint8Array]

/** Has something happen before the asynchronous operation number `at`. */
class SteppedFileSystem extends InterceptedFileSystem {
  steps = 0
  readonly #at: number
  readonly #happen: () => Promise<void>
  #isOn = false

  #happening: Promise<void> = Promise.resolve()

  constructor(inner: MemoryFileSystem, at: number, happen: () => Promise<void>) {
    super(inner, 'stepped')
    this.#at = at
    this.#happen = happen
  }

  async during(pass: () => Promise<unknown>): Promise<void> {
    this.#isOn = true
    await pass().catch((error: unknown) => expect(error).toMatchObject({ code: 'WK_NO_REWRITE' }))
    // It may have begun before an operation that the pass does not wait for.
    await this.#happening
    this.#isOn = false
  }

  async around<T>(_operation: Operation, run: () => Promise<T>): Promise<T> {
    if (this.#isOn && this.steps++ === this.#at) {
      this.#isOn = false
      this.#happening = this.#happen()
      await this.#happening
      this.#isOn = true
    }
    return run()
  }

  aroundSync<T>(_operation: Operation, run: () => T): T {
    return run()
  }
}

interface Run {
  readonly db: DB
  readonly now: Model
}

/** What may happen in the middle of a pass. Says what the database holds from then on. */
const EVENTS: Readonly<Record<string, (run: Run) => Promise<unknown>>> = {
  nothing: () => Promise.resolve(),
  put: async ({ db, now }) => {
    now.set(keyOf(1), large(600, 999))
    await db.put(keyOf(1), large(600, 999), { sync: true })
  },
  delete: async ({ db, now }) => {
    now.delete(keyOf(5))
    await db.del(keyOf(5), { sync: true })
  },
  snapshot: async ({ db, now }) => {
    const snapshot = db.snapshot()
    for (const [key, value] of now) expect(db.getSync(key, { snapshot })).toEqual(value)
    now.set(keyOf(2), large(600, 998))
    await db.put(keyOf(2), large(600, 998), { sync: true })
    expect(db.getSync(keyOf(2), { snapshot })).not.toEqual(now.get(keyOf(2)))
    snapshot.close()
  },
  'delete, flush and compaction': async ({ db, now }) => {
    now.delete(keyOf(9))
    await db.del(keyOf(9), { sync: true })
    await db.compact()
  },
}

async function turnsUntil(done: Promise<unknown>): Promise<boolean> {
  let isOver = false
  void done.then(() => (isOver = true))
  for (let turn = 0; turn < MOST_TURNS && !isOver; turn++) await new Promise((resolve) => setImmediate(resolve))
  return isOver
}

function expectModel(db: DB, model: Model, where: string, options: { snapshot?: Snapshot } = {}): void {
  for (let i = 0; i < KEYS; i++) expect(db.getSync(keyOf(i), options), `${where}, ${keyOf(i)}`).toEqual(model.get(keyOf(i)))
}

async function expectEntries(iterator: DbIterator<Entry>, first: readonly Entry[], model: Model, where: string): Promise<void> {
  const all = [...first]
  for (let part = await iterator.nextv(7); part.length > 0; part = await iterator.nextv(7)) all.push(...part)
  const found = all.map(([key, value]) => [Buffer.from(key).toString(), value])
  expect(found, where).toEqual([...model].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** What a crash left, and what it may show: as before what happened, or as after it, which is durable if it was over. */
interface Image {
  readonly fs: MemoryFileSystem
  readonly policy: CrashPolicy
  readonly after: Model
  readonly before: Model
}

function liveRecords(db: DB): number {
  return db.valueLogFiles().reduce((sum, file) => sum + file.liveRecords, 0)
}

function expectImage(db: DB, { after, before, policy }: Image, where: string): void {
  for (let i = 0; i < KEYS; i++) {
    const found = db.getSync(keyOf(i))
    const allowed = [after.get(keyOf(i)), before.get(keyOf(i))]
    expect(allowed, `${where}, after the crash, ${policy}, ${keyOf(i)}`).toContainEqual(found)
  }
}

/** One pass with an event before operation `at`. Returns how many operations the pass took. */
async function runWith(event: string, at: number, mostRuns: number): Promise<number> {
  const where = `${event} before operation ${at}`
  const inner = new MemoryFileSystem()
  const now: Model = new Map()
  const images: Image[] = []
  const fs = new SteppedFileSystem(inner, at, async () => {
    expectModel(db, now, where)
    const earlier = new Map(now)
    const happened = EVENTS[event]!({ db, now })
    const isOver = await turnsUntil(happened)
    expectModel(db, now, where)
    expectModel(db, before, where, { snapshot })
    during.push(...(await iterator.nextv(3)))
    const after = new Map(now)
    for (const policy of POLICIES) images.push({ fs: inner.crashClone(policy, at), policy, after, before: isOver ? after : earlier })
    if (!isOver) later = happened
  })
  let later: Promise<unknown> = Promise.resolve()
  const db = await openWith(DIR, { ...SMALL, fs, workers: 0 }, mostRuns)
  const put = (i: number, tag: number): Promise<void> => {
    now.set(keyOf(i), large(500, tag))
    return db.put(keyOf(i), large(500, tag))
  }
  for (let i = 0; i < KEYS; i++) await put(i, i)
  for (let i = 0; i < KEYS; i += 2) await put(i, 500 + i)
  // What a reader's memtable refers to is not collected.
  await db.compact()
  const before = new Map(now)
  const snapshot = db.snapshot()
  const iterator = db.iterator()
  /** What the iterator gave before the pass and in the middle of it. */
  const during = [(await iterator.next())!]
  for (let i = 0; i < KEYS; i += 3) await put(i, 1000 + i)
  await db.sync()
  await fs.during(() => db.gc({ maxSpaceAmp: 1.01 }))
  expect(db.stats().gcReaddressed > 0, where).toBe(mostRuns < 1000)
  await later
  expectModel(db, now, where)
  await expectEntries(iterator, during, before, where)
  await iterator.close()
  snapshot.close()
  expect((await db.verify()).problems, where).toEqual([])
  await db.compact()
  // Law 8: what is accounted as alive is what can be read, and nothing else.
  expect(liveRecords(db), where).toBe(now.size)
  await db.close()
  for (const image of images) {
    const again = await openWith(DIR, { ...SMALL, fs: image.fs, workers: 0 }, mostRuns)
    expectImage(again, image, where)
    expect((await again.verify()).problems, where).toEqual([])
    expect((await image.fs.list(DIR)).filter((name) => name.endsWith('.tmp')), where).toEqual([])
    if (image.policy === 'P0') {
      await again.compact()
      expect(liveRecords(again), where).toBe((await all(again.keys())).length)
    }
    await again.close()
  }
  return fs.steps
}

describe.each([1_000_000, 6])('laws 4, 5, 6, 8: inside a pass of collection, at most %d entries of run tables', (mostRuns) => {
  for (const event of Object.keys(EVENTS)) {
    it(`${event}, before every operation of it`, async () => {
      const steps = await runWith(event, -1, mostRuns)
      expect(steps).toBeGreaterThan(20)
      for (let at = 0; at < steps; at++) await runWith(event, at, mostRuns)
    })
  }
})
