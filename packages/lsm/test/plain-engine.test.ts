import { KIND_VALUE } from '@wk/codec'
import { FaultFileSystem, MemoryFileSystem, NodeFileSystem } from '@wk/fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LsmTree, NO_DEPENDENCY, PlainEngine } from '../src/index.js'
import type { LsmOptions, PlainWrite } from '../src/index.js'
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

  test('lets go of the view of a walk that could not begin', async () => {
    const fs = new FaultFileSystem(new MemoryFileSystem())
    let engine = await PlainEngine.open(DIR, smallOptions(fs))
    await engine.put(text('a'), text('x'))
    await engine.close()
    engine = await PlainEngine.open(DIR, smallOptions(fs))
    const { views } = engine.stats()
    fs.add({ operation: 'open', path: '.sst', errno: 'EMFILE', times: 2 })
    expect(() => engine.iterate()).toThrow(/EMFILE/)
    fs.clear()
    await engine.put(text('b'), text('y'))
    await engine.compact()
    expect(engine.stats().views).toBe(views)
    expect([...dump(engine).keys()]).toHaveLength(2)
    await engine.close()
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

  test('takes text as well as bytes, and ranges with a limit', async () => {
    const engine = await PlainEngine.open(DIR, smallOptions(new MemoryFileSystem()))
    await engine.batch(['a', 'b', 'ü'].map((key) => ({ type: 'put' as const, key, value: `${key}!` })))
    expect(engine.get('ü')).toEqual(text('ü!'))
    expect(engine.get(text('ü'))).toEqual(text('ü!'))
    await engine.put('b', text('bytes'))
    await engine.del('a')
    const keys = (options: Parameters<PlainEngine['iterate']>[0]): string[] => [...engine.iterate(options)].map(([key]) => Buffer.from(key).toString())
    expect(keys({})).toEqual(['b', 'ü'])
    expect(keys({ gt: 'b', gte: 'a', lte: 'ü', lt: 'c' })).toEqual(['b', 'ü'])
    for (const [limit, count] of [[0, 0], [1, 1], [2, 2], [3, 2], [-1, 2], [Infinity, 2]] as const) expect(keys({ limit, reverse: true })).toEqual(['ü', 'b'].slice(0, count))
    expect(engine.stats().views).toBe(1)
    await engine.close()
  })

  test('refuses what is of the wrong kind, and works on as if nothing had been called', async () => {
    const fs = new MemoryFileSystem()
    const engine = await PlainEngine.open(DIR, smallOptions(fs))
    const other = await PlainEngine.open('/other', smallOptions(fs))
    await engine.put('a', '1')
    const invalid = expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' })
    for (const wrong of [undefined, null, 5, true, {}, [], new Uint16Array(2)] as never[]) {
      const calls = [() => engine.put(wrong, 'v'), () => engine.put('a', wrong), () => engine.del(wrong), () => engine.batch([wrong]), () => engine.batch([{ type: wrong, key: 'a', value: 'v' }])]
      for (const call of calls) await expect(call()).rejects.toEqual(invalid)
      expect(() => engine.get(wrong)).toThrow(invalid)
      if (!Array.isArray(wrong)) await expect(engine.batch(wrong)).rejects.toEqual(invalid)
      if (wrong === undefined) continue
      for (const options of [{ gte: wrong }, { snapshot: wrong }, { snapshot: other.snapshot() }, { snapshot: Object.create(engine.snapshot()) as never }, { limit: 1.5 }]) expect(() => engine.iterate(options)).toThrow(invalid)
    }
    for (const wrong of [null, 5, 'text'] as never[]) {
      for (const call of [() => engine.put('a', 'v', wrong), () => engine.put('a', 'v', { sync: wrong }), () => engine.compact(wrong), () => engine.compact({ signal: wrong })]) await expect(call()).rejects.toEqual(invalid)
      expect(() => engine.get('a', wrong)).toThrow(invalid)
      expect(() => engine.iterate(wrong)).toThrow(invalid)
      await expect(PlainEngine.open('/x', wrong)).rejects.toEqual(invalid)
      await expect(PlainEngine.open('/x', { fs: wrong })).rejects.toEqual(invalid)
      await expect(PlainEngine.open('/x', { fs, readOnly: wrong === null ? (0 as never) : wrong })).rejects.toEqual(invalid)
    }
    for (const wrong of [undefined, null, 5, '', 'a\0b'] as never[]) await expect(PlainEngine.open(wrong, { fs })).rejects.toEqual(invalid)
    expect(engine.get('a')).toEqual(text('1'))
    await engine.put('a', '2', { sync: true })
    expect(dump(engine)).toEqual(new Map([['a', '2']]))
    await Promise.all([engine.close(), other.close()])
  })

  test('a batch with a hole is WK_INVALID_ARGUMENT, and nothing of it is written', async () => {
    const engine = await PlainEngine.open(DIR, smallOptions(new MemoryFileSystem()))
    const writes = [{ type: 'put', key: 'a', value: '1' }] as PlainWrite[]
    writes[2] = { type: 'put', key: 'b', value: '2' }
    await expect(engine.batch(writes)).rejects.toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    await engine.put('c', '3')
    expect(dump(engine)).toEqual(new Map([['c', '3']]))
    await engine.close()
  })

  test('an empty batch with sync covers every earlier call', async () => {
    const fs = new MemoryFileSystem()
    const engine = await PlainEngine.open(DIR, smallOptions(fs))
    await engine.put('a', '1')
    await engine.batch([], { sync: true })
    const again = await PlainEngine.open(DIR, smallOptions(fs.crashClone('P0')))
    expect(dump(again)).toEqual(new Map([['a', '1']]))
    await Promise.all([engine.close(), again.close()])
  })

  test('opened read-only, there is nothing to sync', async () => {
    const fs = new MemoryFileSystem()
    const engine = await PlainEngine.open(DIR, smallOptions(fs))
    await engine.put('a', '1')
    await engine.close()
    const reader = await PlainEngine.open(DIR, { ...smallOptions(fs), readOnly: true })
    const operations = fs.opCount
    await reader.sync()
    expect(fs.opCount).toBe(operations)
    await expect(reader.put('a', '2', { sync: true })).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
    await reader.close()
    await expect(reader.sync()).rejects.toMatchObject({ code: 'WK_CLOSED' })
  })

  test('a directory that is missing is WK_NOT_FOUND where none may be made', async () => {
    const fs = new MemoryFileSystem()
    for (const options of [{ readOnly: true }, { createIfMissing: false }]) await expect(PlainEngine.open(DIR, { fs, ...options })).rejects.toMatchObject({ code: 'WK_NOT_FOUND' })
    await expect(fs.list(DIR)).rejects.toMatchObject({ code: 'WK_IO' })
  })

  test('a snapshot that was released is WK_CLOSED', async () => {
    const engine = await PlainEngine.open(DIR, smallOptions(new MemoryFileSystem()))
    await engine.put('a', '1')
    const snapshot = engine.snapshot()
    await engine.put('a', '2')
    expect(engine.get('a', { snapshot })).toEqual(text('1'))
    snapshot.release()
    snapshot[Symbol.dispose]()
    const closed = expect.objectContaining({ code: 'WK_CLOSED' })
    expect(() => engine.get('a', { snapshot })).toThrow(closed)
    expect(() => engine.iterate({ snapshot })).toThrow(closed)
    expect(engine.stats()).toMatchObject({ snapshots: 0, views: 1 })
    await engine.close()
  })

  test('lets the event loop turn under whoever does nothing but await it', async () => {
    const engine = await PlainEngine.open(DIR, smallOptions(new MemoryFileSystem({ crashable: false })))
    let turned = false
    setImmediate(() => (turned = true))
    for (const start = performance.now(); !turned && performance.now() - start < 2000; ) await engine.put('k', 'v')
    expect(turned).toBe(true)
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

  test('holds the answer, not the write: what was called is seen at once', async () => {
    const engine = await PlainEngine.open(DIR, { ...smallOptions(new MemoryFileSystem({ crashable: false })), maxImmutableMemtables: 1 })
    const writes: Promise<void>[] = []
    for (let i = 0; engine.stats().stallStops === 0 && i < 20_000; i++) {
      writes.push(engine.put('k', `${i}`.padEnd(3000)))
      expect(Buffer.from(engine.get('k')!).toString().trim()).toBe(`${i}`)
      if (i % 40 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    const { stallStops } = engine.stats()
    expect(stallStops).toBeGreaterThan(0)
    const late = engine.put('k', 'late')
    expect(engine.get('k')).toEqual(text('late'))
    await Promise.all([...writes, late])
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
