/** Scans and `getMany` beside a real worker that helps to read, on real files. */
import { closeSync, existsSync, openSync, readdirSync, rmSync, statSync, writeSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32c } from '@wk/codec'
import { Rng } from '@wk/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { expectCode, large } from './harness.js'

const COUNT = 12_000
const nameOf = (i: number): string => `key ${String(i).padStart(6, '0')}`
/** Some have an array of their own, some lie in the tree. */
const lengthOf = (i: number): number => (i % 10 === 0 ? 5000 + (i % 700) : i % 7 === 0 ? 20 : 1500 + (i % 900))
const sums = Array.from({ length: COUNT }, (_, i) => crc32c(large(lengthOf(i), i)))

let dir: string
let db: DB
let reads: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wk-shared-reads-'))
  const loading = await DB.open(dir, { workers: 0, valueLogFileSize: 4 << 20, gc: { auto: false } })
  const rng = new Rng(11)
  const order = Array.from({ length: COUNT }, (_, i) => ({ i, at: rng.next() })).sort((a, b) => a.at - b.at)
  for (let at = 0; at < COUNT; at += 200) await loading.batch(order.slice(at, at + 200).map(({ i }) => ({ type: 'put', key: nameOf(i), value: large(lengthOf(i), i) })))
  await loading.flush()
  await loading.close()
})
afterAll(() => rm(dir, { recursive: true }))

beforeEach(async () => {
  reads = join(tmpdir(), `wk-shared-reads-${process.pid}`)
  rmSync(reads, { force: true })
  process.env['WK_READS'] = reads
  await open()
})
afterEach(async () => {
  await db.close()
  rmSync(reads, { force: true })
  delete process.env['WK_READS_DEATH']
})

async function open(): Promise<void> {
  db = await DB.open(dir, { workerUrl: new URL('reading-worker.mjs', import.meta.url), valueLogFileSize: 4 << 20, gc: { auto: false } })
}

/** How often the worker was asked. */
const asked = (): number => (existsSync(reads) ? statSync(reads).size : 0)

/** The numbers of the entries, each checked. */
function check(entries: readonly [Uint8Array, Uint8Array][]): number[] {
  return entries.map(([key, value]) => {
    const i = Number(Buffer.from(key).toString().slice(4))
    // An expectation for each of them would take most of the time.
    if (crc32c(value) !== sums[i]) throw new Error(`the value of ${nameOf(i)} is another`)
    return i
  })
}

const upwards = Array.from({ length: COUNT }, (_, i) => i)

/** Reads until the worker was asked for help: it is started by whoever reads long enough. */
async function untilHelped(): Promise<void> {
  const before = asked()
  await expect
    .poll(
      async () => {
        expect(check(await db.iterator({ limit: 6000 }).all())).toEqual(upwards.slice(0, 6000))
        return asked()
      },
      { interval: 1, timeout: 20_000 },
    )
    .toBeGreaterThan(before)
}

it('scans give what is there, both ways, as far as they are to go', async () => {
  await untilHelped()
  for (let round = 0; round < 3; round++) {
    expect(check(await db.iterator().all())).toEqual(upwards)
    expect(check(await db.iterator({ reverse: true }).all())).toEqual([...upwards].reverse())
    expect(check(await db.iterator({ gte: nameOf(500), limit: 9000 }).all())).toEqual(upwards.slice(500, 9500))
  }
  const numbers = upwards.slice(0, 1200).map((i) => (i * 7919) % COUNT)
  const before = asked()
  // The worker may still have something to do.
  await expect
    .poll(async () => {
      const values = await db.getMany(numbers.map(nameOf))
      expect(values.map((value) => crc32c(value!))).toEqual(numbers.map((i) => sums[i]))
      return asked()
    })
    .toBeGreaterThan(before)
})

it('scans side by side, seeks between, and what was written meanwhile', async () => {
  await untilHelped()
  const rng = new Rng(5)
  const walks = Array.from({ length: 3 }, () => ({ iterator: db.iterator(), at: 0 }))
  for (let step = 0; step < 150; step++) {
    const walk = walks[rng.below(3)]!
    if (rng.below(12) === 0) {
      walk.at = rng.below(COUNT)
      walk.iterator.seek(nameOf(walk.at))
    }
    const size = [1, 100, 1500, 4000][rng.below(4)]!
    const part = check(await walk.iterator.nextv(size))
    expect(part).toEqual(upwards.slice(walk.at, walk.at + part.length))
    expect(part.length > 0 || walk.at === COUNT).toBe(true)
    walk.at += part.length
    if (walk.at === COUNT) walk.iterator.seek(nameOf((walk.at = 0)))
    await db.put('after', 'all')
    await db.del('after')
  }
  for (const { iterator } of walks) await iterator.close()
  const before = asked()
  await untilHelped()
  expect(asked()).toBeGreaterThan(before)
})

it('an iterator that is closed, and a database that is, in the middle of a window', async () => {
  for (let round = 0; round < 4; round++) {
    await untilHelped()
    const iterator = db.iterator()
    expect(check(await iterator.nextv(6000)).length).toBeGreaterThan(100)
    const rest = iterator.nextv(6000)
    const settled = Promise.allSettled([rest])
    if (round % 2 === 0) await iterator.close()
    await db.close()
    await settled
    await expectCode(() => iterator.next(), 'WK_CLOSED')
    await open()
  }
})

it('a worker that dies while it reads costs nothing but time', async () => {
  process.env['WK_READS_DEATH'] = '3'
  await untilHelped()
  await expect
    .poll(
      async () => {
        expect(check(await db.iterator().all())).toEqual(upwards)
        return asked()
      },
      { interval: 1, timeout: 20_000 },
    )
    .toBeGreaterThanOrEqual(5)
})

it('damage is told with its place, after everything before it', async () => {
  const name = readdirSync(dir).filter((one) => one.endsWith('.vlog')).sort()[1]!
  const flip = (): void => {
    const file = openSync(join(dir, name), 'r+')
    writeSync(file, damaged, 0, 3, 1_000_000)
    closeSync(file)
  }
  const damaged = new Uint8Array(3).fill(0xa5)
  await untilHelped()
  const whole = await db.iterator().all()
  flip()
  const iterator = db.iterator()
  const seen: number[] = []
  const failure = await (async (): Promise<unknown> => {
    try {
      for (;;) seen.push(...check(await iterator.nextv(1000)))
    } catch (error) {
      return error
    }
  })()
  expect(failure).toMatchObject({ code: 'WK_CORRUPTION', file: name })
  expect(seen).toEqual(upwards.slice(0, seen.length))
  await expectCode(() => db.get(nameOf(seen.length)), 'WK_CORRUPTION')
  await iterator.close()
  expect(whole).toHaveLength(COUNT)
})
