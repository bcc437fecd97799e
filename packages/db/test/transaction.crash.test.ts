/**
 * Law 2 for transactions: a crash before any file-system operation leaves each transaction whole or not at all, an
 * acknowledged one whole (with `sync` after loss of power, too), and what survives is a prefix of the commits.
 */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import type { CrashPolicy } from '@wk/fs'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, large, text, type Options } from './harness.js'

const OPTIONS: Options = { ...SMALL, l0CompactionTrigger: 2 }
const KEYS = ['a', 'b', 'c', 'd']

interface Image {
  fs: MemoryFileSystem
  where: string
  started: number
  acknowledged: number
  durable: number
  policy: CrashPolicy
}

it('law 2: a transaction is all there or not at all, whenever a crash comes', async () => {
  const fs = new MemoryFileSystem()
  const db = await DB.open('/db', { ...OPTIONS, fs })
  const images: Image[] = []
  let started = 0
  let acknowledged = 0
  let durable = 0
  fs.onMutatingOperation = (index, { kind, path }) => {
    const policy = CRASH_POLICIES[index % 4] as CrashPolicy
    images.push({ fs: fs.crashClone(policy, index), where: `${policy} before ${index} (${kind} ${path})`, started, acknowledged, durable, policy })
  }
  for (let i = 1; i <= 60; i++) {
    const sync = i % 5 === 0
    await db.transaction(
      async (txn) => {
        expect(Number(text(await txn.get('n')) ?? 0)).toBe(i - 1)
        txn.put('n', String(i))
        for (const [at, key] of KEYS.entries()) {
          if ((i + at) % 4 === 0) txn.del(key)
          else txn.put(key, large(40 + at * 300, i))
        }
        started = i
      },
      { sync },
    )
    acknowledged = i
    if (sync) durable = i
    if (i % 13 === 0) await db.flush()
    if (i % 29 === 0) await db.compact()
  }
  fs.onMutatingOperation = undefined
  await db.close()
  expect(images.length).toBeGreaterThan(100)
  for (const image of images) {
    const after = await DB.open('/db', { ...OPTIONS, fs: image.fs })
    const n = Number(text(await after.get('n')) ?? 0)
    expect(n, image.where).toBeGreaterThanOrEqual(image.policy === 'P1' ? image.acknowledged : image.durable)
    expect(n, image.where).toBeLessThanOrEqual(image.started)
    const expected = KEYS.map((_, at) => (n === 0 || (n + at) % 4 === 0 ? undefined : large(40 + at * 300, n)))
    expect(await after.getMany(KEYS), image.where).toEqual(expected)
    await after.close()
  }
})
