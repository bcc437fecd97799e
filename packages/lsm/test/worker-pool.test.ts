/** Threads that several trees share: each is served as if they were its own, and none takes them from the others. */
import { execFile } from 'node:child_process'
import { readdirSync, readlinkSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { EncryptedFileSystem, NodeFileSystem, defaultRuntime } from '@wk/fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PlainEngine, WorkerPool } from '../src/index.js'
import type { LsmOptions, LsmWarning } from '../src/index.js'
import { History, dump, sameState, smallOptions, text } from './engine-support.js'

const fs = new NodeFileSystem()
let dir: string
let pool: WorkerPool
let warnings: LsmWarning[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wk-lsm-pool-'))
  pool = new WorkerPool()
  warnings = []
})
afterEach(async () => {
  await pool.close()
  await rm(dir, { recursive: true })
})

const open = (name: string, more: Partial<LsmOptions> = {}): Promise<PlainEngine> =>
  PlainEngine.open(join(dir, name), { ...smallOptions(fs), workers: pool, onWarning: (warning) => warnings.push(warning), ...more })

/** Batches that make flushes and compactions of more than what runs in-line. */
async function fill(engine: PlainEngine, history: History, rounds = 30): Promise<void> {
  for (let i = 0; i < rounds; i++) {
    const writes = Array.from({ length: 40 }, (_, k) => ({ type: 'put' as const, key: text(`k${(i * 17 + k * 29) % 700}`), value: text(`${history.called}`.padEnd(120, 'v')) }))
    history.call(writes)
    await engine.batch(writes)
  }
  await engine.compact()
}

test('trees at work at the same time, some of them encrypted, share one thread and keep apart', async () => {
  const key = (byte: number): EncryptedFileSystem => new EncryptedFileSystem(fs, new Uint8Array(32).fill(byte), /\.(wal|sst)$/)
  const kinds: [string, Partial<LsmOptions>][] = [['plain', {}], ['one', { fs: key(1) }], ['other', { fs: key(2) }]]
  await Promise.all(
    kinds.map(async ([name, more]) => {
      const history = new History()
      const engine = await open(name, more)
      await fill(engine, history)
      expect(pool.threads).toBe(1)
      expect(sameState(dump(engine), history.latest)).toBe(true)
      await engine.close()
      // What the shared thread wrote is what a tree without threads reads.
      const again = await open(name, { ...more, workers: 0 })
      expect(sameState(dump(again), history.latest)).toBe(true)
      await again.close()
    }),
  )
  expect(pool.threads).toBe(1)
  expect(warnings).toEqual([])
})

test('the thread stays when a tree is closed, and the next one finds it started', async () => {
  const first = await open('first')
  await fill(first, new History())
  const second = await open('second')
  await fill(second, new History(), 10)
  await first.close()
  expect(pool.threads).toBe(1)
  const thread = pool.idle(undefined)
  expect(thread).toBeDefined()
  await fill(second, new History(), 10)
  await second.close()
  const third = await open('third')
  expect(pool.idle(undefined)).toBe(thread)
  await fill(third, new History())
  expect(pool.idle(undefined)).toBe(thread)
  await third.close()
})

test('closing a tree ends its own job, not that of another', async () => {
  const [ended, other] = await Promise.all([open('ended', { memTableSize: 8 << 20 }), open('other', { memTableSize: 8 << 20 })])
  const history = new History()
  const writes = Array.from({ length: 20_000 }, (_, k) => ({ type: 'put' as const, key: text(`key${(k * 7919) % 20_000}`), value: text('v'.repeat(100)) }))
  history.call(writes)
  await Promise.all([ended.batch(writes), other.batch(writes)])
  const flushed = other.flush()
  const compacted = ended.compact().catch((error: unknown) => error)
  await ended.close()
  expect(await compacted).toMatchObject({ code: expect.stringMatching(/^WK_(ABORTED|CLOSED)$/) as string })
  await flushed
  expect(sameState(dump(other), history.latest)).toBe(true)
  await other.close()
  expect(pool.threads).toBe(1)
})

test('when the pool is closed its trees go on without, and nobody is warned', async () => {
  const history = new History()
  const engine = await open('tree')
  await fill(engine, history, 10)
  const busy = fill(engine, history, 10)
  await pool.close()
  await pool.close()
  await busy
  await fill(engine, history, 10)
  expect(pool.threads).toBe(0)
  expect(sameState(dump(engine), history.latest)).toBe(true)
  await engine.close()
  expect((await readdir(join(dir, 'tree'))).filter((name) => name.endsWith('.tmp'))).toEqual([])
  expect(warnings).toEqual([])
})

test.runIf(process.platform === 'linux')('a pool that is closed while its thread starts leaves no module open', async () => {
  const openModules = (): string[] =>
    readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).match(/.*\.[cm]?js$/) ?? []
      } catch {
        return []
      }
    })
  const before = openModules().length
  for (let i = 0; i < 40; i++) {
    const starting = new WorkerPool()
    starting.prepare(undefined)
    await defaultRuntime.sleep(20 + ((i * 7) % 120))
    await starting.close()
    expect(starting.threads).toBe(0)
  }
  expect(openModules().slice(before)).toEqual([])
})

test('a pool whose file is no worker is closed all the same', async () => {
  const file = join(dir, 'other.mjs')
  await writeFile(file, 'setInterval(() => {}, 1000)')
  const other = new WorkerPool()
  other.prepare(file)
  await other.close()
  expect(other.threads).toBe(0)
})

test('a thread that dies is lost to all, and each does its work again', async () => {
  await using mortal = new WorkerPool()
  process.env['WK_DYING'] = `marker=${encodeURIComponent(join(dir, 'deaths'))}&deaths=2&after=10`
  await Promise.all(
    ['a', 'b', 'c'].map(async (name) => {
      const history = new History()
      const engine = await open(name, { workers: mortal, workerUrl: new URL('workers/dying.mjs', import.meta.url) })
      await fill(engine, history)
      expect(sameState(dump(engine), history.latest)).toBe(true)
      await engine.close()
    }),
  )
  expect(warnings.filter(({ code }) => code !== 'WK_WORKER_LOST')).toEqual([])
  expect(mortal.threads).toBe(1)
})

test('every tree is told once when there are no threads to be had', async () => {
  for (const name of ['a', 'b']) {
    const engine = await open(name, { workerUrl: join(dir, 'nothing.mjs') })
    await fill(engine, new History())
    await engine.close()
  }
  expect(warnings.map(({ code }) => code)).toEqual(['WK_WORKER_UNAVAILABLE', 'WK_WORKER_UNAVAILABLE'])
  // One with another file has its own.
  const engine = await open('c')
  await fill(engine, new History())
  expect(pool.threads).toBe(1)
  await engine.close()
  expect(warnings).toHaveLength(2)
})

test('as many threads as were asked for, while there is work for them', async () => {
  await using two = new WorkerPool({ threads: 2 })
  const engines = await Promise.all(['a', 'b', 'c'].map((name) => open(name, { workers: two })))
  await Promise.all(engines.map((engine) => fill(engine, new History())))
  expect(two.threads).toBe(2)
  await Promise.all(engines.map((engine) => engine.close()))
})

test('what is no number of threads and no pool is refused', async () => {
  for (const threads of [0, 65, 1.5, '2']) expect(() => new WorkerPool({ threads: threads as never })).toThrow(expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }))
  expect(() => new WorkerPool(null as never)).toThrow(expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }))
  for (const workers of [-1, 65, {}]) await expect(open('none', { workers: workers as never })).rejects.toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
})

test('a pool that nobody closes keeps no process alive', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [new URL('workers/idle-pool.mjs', import.meta.url).pathname, join(dir, 'tree')], { timeout: 30_000 })
  expect(stdout).toBe('closed, threads 1\n')
})
