/** The estimate of hidden garbage against the truth, for keys of several shapes. */
import { MemoryFileSystem, defaultRuntime } from '@wk/fs'
import type { Runtime } from '@wk/fs'
import { Rng } from '@wk/testkit'
import { LsmTree } from '@wk/lsm'
import { expect, it, onTestFinished, vi } from 'vitest'
import { DB } from '../src/index.js'
import { EntryTally } from '../src/entry-tally.js'
import { HiddenGarbage } from '../src/hidden-garbage.js'
import { all, keep, large } from './harness.js'

const KEYS = 4000

const SHAPES: Record<string, (i: number) => string | Uint8Array> = {
  'decimal digits': (i) => `key ${String(i).padStart(8, '0')}`,
  'hexadecimal': (i) => ((i * 2654435761) >>> 0).toString(16).padStart(8, '0'),
  'raw bytes': (i) => new Uint8Array(new Uint32Array([Math.imul(i, 2654435761), i]).buffer),
  'digits of several lengths': (i) => `user:${i}`,
}

const value = large(100)

/** A database with so many keys, compacted, and the estimate of its hidden garbage. */
async function openWith(keyOf: (i: number) => string | Uint8Array, runtime: Runtime = defaultRuntime, keys = KEYS): Promise<{ db: DB; garbage: HiddenGarbage }> {
  const acquire = vi.spyOn(LsmTree.prototype, 'acquireView')
  const fs = new MemoryFileSystem({ crashable: false })
  const db = keep(await DB.open('/db', { valueThreshold: 64, memTableSize: 512 * 1024, valueLogFileSize: 1 << 20, fs, runtime, gc: { auto: false } }))
  for (let i = 0; i < keys; i++) void db.put(keyOf(i), value)
  await db.compact()
  db.stats()
  const tree = acquire.mock.instances[0] as unknown as LsmTree
  acquire.mockRestore()
  return { db, garbage: new HiddenGarbage(tree, runtime) }
}

it.each(Object.entries(SHAPES))('%s: overwrites spread evenly, and deletes of one range', async (shape, keyOf) => {
  const { db, garbage } = await openWith(keyOf)
  expect(await garbage.share()).toBe(0)
  const rng = new Rng(1)
  const overwritten = new Set<number>()
  while (overwritten.size < KEYS / 4) overwritten.add(rng.below(KEYS))
  for (const i of overwritten) void db.put(keyOf(i), value)
  await db.sync()
  // A quarter of the keys has two versions: one part in five.
  expect(await garbage.share()).toBeGreaterThan(0.13)
  expect(await garbage.share()).toBeLessThan(0.27)
  await db.compact()
  expect(await garbage.share()).toBe(0)
  const doomed = (await all(db.keys())).slice(KEYS / 2)
  for (const key of doomed) void db.del(key)
  await db.sync()
  const share = await garbage.share()
  // The sample is drawn at random.
  expect(share).toBeGreaterThan(0.2)
  // Keys of several lengths lie unevenly: there the estimate is rough.
  expect(share).toBeLessThan(shape.includes('lengths') ? 1 : 0.75)
})

it('a few keys that are written again and again count as often', async () => {
  const keyOf = SHAPES['decimal digits']!
  const { db, garbage } = await openWith(keyOf)
  for (let round = 0; round < 50; round++) for (let i = 0; i < 20; i++) void db.put(keyOf(i), value)
  await db.sync()
  // 1,000 of 5,000 records, all of them in one stretch of keys.
  expect(await garbage.share()).toBeCloseTo(0.2, 2)
})

it('what no table holds yet is known without a walk, and to the byte', async () => {
  const { db, garbage } = await openWith(SHAPES['hexadecimal']!, defaultRuntime, 0)
  const walks = vi.spyOn(EntryTally.prototype, 'walkSteps')
  onTestFinished(() => walks.mockRestore())
  const rng = new Rng(7)
  for (let n = 0; n < 2000; n++) {
    const key = `key ${rng.below(500)}`
    if (rng.below(8) === 0) void db.del(key)
    else void db.put(key, large(1 + rng.below(400)))
  }
  await db.sync()
  const known = await garbage.share()
  expect(known).toBeGreaterThan(0.5)
  expect(walks).not.toHaveBeenCalled()
  // An entry that may expire: now every one is looked at.
  await db.put('key', new Uint8Array(0), { ttl: 1000 })
  const walked = await garbage.share()
  expect(walks).toHaveBeenCalledTimes(1)
  expect(Math.abs(walked - known)).toBeLessThan(0.0001)
})

it.each([1, 2, 3, 4, 5, 6])('a few long values among thousands of short ones count for what they are (seed %i)', async (seed) => {
  const rng = new Rng(seed)
  const keyOf = SHAPES['hexadecimal']!
  const { db, garbage } = await openWith(keyOf)
  // Two keys in a hundred hold two thirds of the bytes.
  const lengths = Array.from({ length: KEYS }, () => (rng.below(50) === 0 ? 5000 + rng.below(20_000) : 64 + rng.below(200)))
  for (const [i, length] of lengths.entries()) void db.put(keyOf(i), large(length))
  await db.compact()
  let written = lengths.reduce((sum, length) => sum + length, 0)
  let hidden = 0
  for (let i = 0; i < KEYS; i++) {
    const length = lengths[i]!
    const now = rng.below(4) === 0 ? rng.below(2 * length) : -1
    if (now < 0) continue
    void db.put(keyOf(i), large(now))
    written += now
    hidden += length
  }
  await db.sync()
  const share = await garbage.share()
  expect(share / (hidden / written), 'estimated over real').toBeGreaterThan(0.85)
  expect(share / (hidden / written), 'estimated over real').toBeLessThan(1.15)
})

it('what expired in tables counts without a change of them', async () => {
  let now = 1_700_000_000_000
  const keyOf = SHAPES['hexadecimal']!
  const { db, garbage } = await openWith(keyOf, { ...defaultRuntime, now: () => now, monotonic: () => now })
  for (let i = 0; i < KEYS; i++) void db.put(keyOf(KEYS + i), value, { ttl: 60 })
  await db.compact()
  expect(await garbage.share()).toBe(0)
  now += 61_000
  expect(await garbage.share()).toBeGreaterThan(0.3)
})
