/** Databases that share their background threads, on real files. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { DB, WorkerPool } from '../src/index.js'
import type { DbOptions } from '../src/index.js'
import { expectCode, large } from './harness.js'

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wk-worker-pool-'))
})
afterEach(() => rm(dir, { recursive: true }))

const keyOf = (i: number): string => `key ${String(i).padStart(6, '0')}`
const SMALL = { memTableSize: 1 << 20, valueLogFileSize: 1 << 20, gc: { auto: false } } as const

/** Overwrites, collects, compacts and scans. Resolves with what each key should read as. */
async function work(db: DB, salt: number): Promise<Map<string, Uint8Array>> {
  const last = new Map<string, Uint8Array>()
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 250; i++) {
      if (round > 0 && (i * 7 + round) % 3 === 0) continue
      const bytes = large(8000 + ((i * 131 + round + salt) % 4000), i * 10 + round + salt)
      last.set(keyOf(i), bytes)
      await db.put(keyOf(i), bytes)
    }
  }
  const { bytesMoved } = await db.gc({ maxSpaceAmp: 1.02 })
  expect(bytesMoved).toBeGreaterThan(0)
  await db.compact()
  return last
}

async function expectAll(db: DB, last: ReadonlyMap<string, Uint8Array>): Promise<void> {
  let count = 0
  for await (const [key, value] of db.iterator()) {
    expect(value).toEqual(last.get(Buffer.from(key).toString()))
    count++
  }
  expect(count).toBe(last.size)
  expect((await db.verify()).problems).toEqual([])
}

it('collect beside each other, each with a key of its own or none, and read as if alone', async () => {
  await using workers = new WorkerPool()
  const kinds: [string, DbOptions][] = [['none', {}], ['one', { encryptionKey: new Uint8Array(32).fill(1) }], ['other', { encryptionKey: new Uint8Array(16).fill(2) }]]
  await Promise.all(
    kinds.map(async ([name, kind], salt) => {
      const options = { ...SMALL, ...kind, workers }
      const warnings: unknown[] = []
      let db = await DB.open(join(dir, name), options)
      db.on('warning', (warning) => warnings.push(warning))
      const last = await work(db, salt * 1000)
      await expectAll(db, last)
      await db.close()
      expect(workers.threads).toBe(1)
      db = await DB.open(join(dir, name), options)
      await expectAll(db, last)
      await db.close()
      expect(warnings).toEqual([])
    }),
  )
})

it('go on when their threads are gone', async () => {
  const workers = new WorkerPool()
  const db = await DB.open(join(dir, 'db'), { ...SMALL, workers })
  await db.put('first', large(500_000, 1))
  await db.flush()
  const busy = work(db, 0)
  await workers.close()
  const last = await busy
  last.set('first', large(500_000, 1))
  expect(workers.threads).toBe(0)
  await expectAll(db, last)
  await db.close()
})

it('take a pool or a number, nothing else', async () => {
  for (const workers of [{}, -1, 65, 'one', new Map()]) await expectCode(() => DB.open(join(dir, 'db'), { workers: workers as never }), 'WK_INVALID_ARGUMENT')
  for (const options of [null, 5, { threads: 0 }]) expect(() => new WorkerPool(options as never)).toThrow(expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }))
})
