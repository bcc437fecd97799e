/** Keys in memory that another thread writes to during the call: whatever is stored is the same everywhere. */
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { keep, temporaryDirectory } from './harness.js'

const SCRIBBLE = "const { workerData: key } = require('node:worker_threads'); for (let n = 0; ; n++) for (let i = 0; i < key.length; i++) key[i] = n"

let key: Uint8Array
let worker: Worker

beforeEach(async () => {
  key = new Uint8Array(new SharedArrayBuffer(40))
  worker = new Worker(SCRIBBLE, { eval: true, workerData: key })
  while (key[39] === 0) await new Promise((resolve) => setTimeout(resolve, 5))
})

afterEach(async () => {
  await worker.terminate()
})

it.each(['put', 'batch'] as const)('%s and del', async (how) => {
  const dir = temporaryDirectory()
  const db = keep(await DB.open(dir, { gc: { auto: false } }))
  for (let n = 0; n < 3000; n++) {
    const value = Buffer.alloc(n % 2 === 0 ? 10 : 600, 1)
    if (how === 'put') await db.put(key, value)
    else await db.batch([{ type: 'put', key, value }, { type: 'del', key }, { type: 'put', key, value }])
    if (n % 50 === 0) await db.del(key)
  }
  await worker.terminate()
  let entries = 0
  for await (const [, value] of db.iterator()) if (value.length > 0) entries++
  expect(entries).toBeGreaterThan(10)
  expect(await db.verify()).toMatchObject({ ok: true, problems: [] })
  await db.close()
  const again = keep(await DB.open(dir))
  expect((await again.keys().all()).length).toBe(entries)
  expect((await again.verify()).ok).toBe(true)
})
