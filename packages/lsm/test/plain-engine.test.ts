import { KIND_VALUE } from '@wk/codec'
import { MemoryFileSystem, NodeFileSystem } from '@wk/fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LsmTree, NO_DEPENDENCY, PlainEngine } from '../src/index.js'
import type { LsmOptions } from '../src/index.js'
import { DIR, dump, smallOptions, text } from './engine-support.js'

describe('the plain engine', () => {
  test('runs on real files', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'wk-lsm-'))
    try {
      const options = smallOptions(new NodeFileSystem())
      let engine = await PlainEngine.open(dir, options)
      await expect(PlainEngine.open(dir, options)).rejects.toMatchObject({ code: 'WK_LOCKED' })
      for (let i = 0; i < 400; i++) void engine.put(text(`k${i % 90}`), text(`${i}`.padEnd(1000, 'v')))
      await engine.put(text('synced'), text('x'), { sync: true })
      await engine.compact()
      await engine.put(text('k0'), text(''))
      await engine.del(text('k1'))
      await engine.close()
      engine = await PlainEngine.open(dir, options)
      expect(dump(engine).size).toBe(90)
      expect(engine.get(text('k0'))).toEqual(new Uint8Array(0))
      expect(engine.get(text('k1'))).toBeUndefined()
      await engine.close()
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  test('takes empty keys and values, and refuses what is not allowed', async () => {
    const engine = await PlainEngine.open(DIR, smallOptions(new MemoryFileSystem()))
    await engine.put(text(''), text(''))
    expect(engine.get(text(''))).toEqual(new Uint8Array(0))
    await engine.put(new Uint8Array(65_000), text('x'))
    await expect(engine.put(new Uint8Array(65_001), text('x'))).rejects.toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    await expect(engine.batch([{ type: 'put', key: text('a') }])).rejects.toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    await engine.batch([])
    await engine.close()
  })

  test('holds its iterators and snapshots to the moment of the call', async () => {
    const engine = await PlainEngine.open(DIR, smallOptions(new MemoryFileSystem()))
    await engine.batch(['a', 'b', 'c'].map((key) => ({ type: 'put' as const, key: text(key), value: text('1') })))
    const entries = engine.iterate({ gt: text('a') })
    const left = engine.iterate()
    void engine.put(text('bb'), text('2'))
    await engine.flush()
    await engine.compact()
    expect([...entries].map(([key]) => Buffer.from(key).toString())).toEqual(['b', 'c'])
    expect(engine.stats().views).toBe(2)
    left.return?.()
    expect(engine.stats().views).toBe(1)
    const open = engine.iterate()
    open.next()
    await engine.close()
    expect(() => open.next()).toThrow(expect.objectContaining({ code: 'WK_CLOSED' }))
    expect(open.next().done).toBe(true)
    expect(() => engine.get(text('a'))).toThrow(expect.objectContaining({ code: 'WK_CLOSED' }))
    await expect(engine.put(text('a'), text('b'))).rejects.toMatchObject({ code: 'WK_CLOSED' })
    await engine.close()
  })

  test('lets everything that was called end before it closes', async () => {
    const fs = new MemoryFileSystem()
    const engine = await PlainEngine.open(DIR, smallOptions(fs))
    const writes = Array.from({ length: 300 }, (_, i) => engine.put(text(`k${i}`), text('v'.repeat(2000))))
    await engine.close()
    await Promise.all(writes)
    const again = await PlainEngine.open(DIR, smallOptions(fs.crashClone('P0')))
    expect(dump(again).size).toBe(300)
    await again.close()
  })
})

describe('back-pressure', () => {
  async function load(more: Partial<LsmOptions>): Promise<PlainEngine> {
    const engine = await PlainEngine.open(DIR, { ...smallOptions(new MemoryFileSystem({ crashable: false })), ...more })
    const writes: Promise<void>[] = []
    let most = 0
    for (let i = 0; i < 1500; i++) {
      writes.push(engine.put(text(`k${(i * 7919) % 1000}`), text('v'.repeat(1500))))
      most = Math.max(most, engine.stats().immutableMemtables)
      if (i % 50 === 0) await writes.at(-1)
    }
    await Promise.all(writes)
    expect(most).toBeLessThanOrEqual((more.maxImmutableMemtables ?? 2) + 1)
    return engine
  }

  test('bounds the memtables that wait, and ends', async () => {
    const engine = await load({ maxImmutableMemtables: 1 })
    expect(engine.stats().stallStops).toBeGreaterThan(0)
    expect(dump(engine).size).toBe(1000)
    await engine.close()
  })

  test('never waits for groups that the host has not written', async () => {
    const fs = new MemoryFileSystem()
    await fs.mkdir(DIR)
    const tree = await LsmTree.open(DIR, { ...smallOptions(fs), maxImmutableMemtables: 1 })
    for (let i = 0; i < 400; i++) tree.stage(KIND_VALUE, text(`k${i}`), text('v'.repeat(2000)))
    expect(tree.stats().immutableMemtables).toBeGreaterThan(5)
    expect(tree.waitForRoom()).toBeUndefined()
    const group = tree.takeGroup()
    expect(group).toBeDefined()
    await tree.writeGroup(group!, NO_DEPENDENCY)
    await tree.waitForRoom()
    expect(tree.stats().immutableMemtables).toBeLessThanOrEqual(1)
    await tree.close({ clean: true })
  })

  test('bounds level 0: slows writers down before it stops them, and ends', async () => {
    const engine = await load({ l0CompactionTrigger: 2, l0SlowdownTrigger: 3, l0StopTrigger: 5 })
    const { stallSlowdowns, levelZeroTables } = engine.stats()
    expect(stallSlowdowns).toBeGreaterThan(0)
    expect(levelZeroTables).toBeLessThanOrEqual(6)
    await engine.close()
  })
})

test('a compaction is aborted by its signal and reports progress', async () => {
  const engine = await PlainEngine.open(DIR, smallOptions(new MemoryFileSystem()))
  for (let i = 0; i < 300; i++) await engine.put(text(`k${i}`), text('v'.repeat(1000)))
  const aborted = AbortSignal.abort()
  await expect(engine.compact({ signal: aborted })).rejects.toMatchObject({ code: 'WK_ABORTED', name: 'AbortError' })
  const progress: { done: number; total: number }[] = []
  await engine.compact({ onProgress: (p) => progress.push(p) })
  expect(progress.at(-1)?.done).toBe(progress.at(-1)?.total)
  const seen: string[] = []
  await engine.tree.verify(() => undefined, { onProgress: ({ phase }) => seen.push(phase) })
  expect(seen).toContain('verify')
  expect(dump(engine).size).toBe(300)
  await engine.close()
})
