/** The estimate of hidden garbage against the truth, for keys of several shapes. */
import { MemoryFileSystem, defaultRuntime } from '@wk/fs'
import { Rng } from '@wk/testkit'
import { LsmTree } from '@wk/lsm'
import { expect, it, vi } from 'vitest'
import { DB } from '../src/index.js'
import { sampleHidden } from '../src/space-sample.js'
import { all, keep, large } from './harness.js'

const KEYS = 4000

const SHAPES: Record<string, (i: number) => string | Uint8Array> = {
  'decimal digits': (i) => `key ${String(i).padStart(8, '0')}`,
  'hexadecimal': (i) => ((i * 2654435761) >>> 0).toString(16).padStart(8, '0'),
  'raw bytes': (i) => new Uint8Array(new Uint32Array([Math.imul(i, 2654435761), i]).buffer),
  'digits of several lengths': (i) => `user:${i}`,
}

it.each(Object.entries(SHAPES))('%s: overwrites spread evenly, and deletes of one range', async (shape, keyOf) => {
  const acquire = vi.spyOn(LsmTree.prototype, 'acquireView')
  const fs = new MemoryFileSystem({ crashable: false })
  const db = keep(await DB.open('/db', { valueThreshold: 64, memTableSize: 512 * 1024, valueLogFileSize: 1 << 20, fs, gc: { auto: false } }))
  const value = large(100)
  for (let i = 0; i < KEYS; i++) void db.put(keyOf(i), value)
  await db.compact()
  db.stats()
  const tree = acquire.mock.instances[0] as unknown as LsmTree
  acquire.mockRestore()
  expect((await sampleHidden(tree, defaultRuntime)).share).toBe(0)
  const rng = new Rng(1)
  const overwritten = new Set<number>()
  while (overwritten.size < KEYS / 4) overwritten.add(rng.below(KEYS))
  for (const i of overwritten) void db.put(keyOf(i), value)
  await db.sync()
  // A quarter of the keys has two versions: one part in five.
  expect((await sampleHidden(tree, defaultRuntime)).share).toBeGreaterThan(0.13)
  expect((await sampleHidden(tree, defaultRuntime)).share).toBeLessThan(0.27)
  await db.compact()
  expect((await sampleHidden(tree, defaultRuntime)).share).toBe(0)
  const doomed = (await all(db.keys())).slice(KEYS / 2)
  for (const key of doomed) void db.del(key)
  await db.sync()
  const { share } = await sampleHidden(tree, defaultRuntime)
  // The sample is drawn at random.
  expect(share).toBeGreaterThan(0.2)
  // Keys of several lengths lie unevenly: there the estimate is rough.
  expect(share).toBeLessThan(shape.includes('lengths') ? 1 : 0.75)
})
