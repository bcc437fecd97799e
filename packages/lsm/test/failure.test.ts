/** Law 9, CR13 and CR14: what a failing file system does to the engine. */
import { WkError } from '@wk/codec'
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import type { FaultRule } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { PlainEngine } from '../src/index.js'
import { DIR, History, dump, sameState, smallOptions, text } from './engine-support.js'

async function opened(): Promise<{ memory: MemoryFileSystem; fs: FaultFileSystem; engine: PlainEngine }> {
  const memory = new MemoryFileSystem()
  const fs = new FaultFileSystem(memory)
  const engine = await PlainEngine.open(DIR, smallOptions(fs))
  await engine.put(text('before'), text('kept'), { sync: true })
  return { memory, fs, engine }
}

async function expectReadOnly(engine: PlainEngine): Promise<void> {
  await expect(engine.put(text('later'), text('x'))).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
  await expect(engine.flush()).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
  expect(Buffer.from(engine.get(text('before')) ?? []).toString()).toBe('kept')
  expect(engine.get(text('later'))).toBeUndefined()
  await engine.close()
}

describe('the first failure turns the engine read-only', () => {
  const cases: [string, FaultRule, boolean][] = [
    ['a failed write to the WAL', { operation: 'write', path: '.wal', errno: 'ENOSPC' }, false],
    ['a failed write to the WAL that moved some bytes', { operation: 'write', path: '.wal', errno: 'ENOSPC', short: 5 }, false],
    ['a failed sync of the WAL', { operation: 'sync', path: '.wal', errno: 'EIO', thenLie: true }, true],
  ]
  for (const [name, rule, sync] of cases) {
    test(name, async () => {
      const { memory, fs, engine } = await opened()
      fs.add(rule)
      const first = engine.put(text('failed'), text('x'), { sync })
      const second = engine.put(text('failed too'), text('x'))
      expect(engine.get(text('failed'))).toBeDefined()
      await expect(first).rejects.toMatchObject({ code: 'WK_IO' })
      await expect(second).rejects.toBeInstanceOf(WkError)
      expect(engine.get(text('failed'))).toBeUndefined()
      expect([...engine.iterate()]).toHaveLength(1)
      await expectReadOnly(engine)
      // Afterwards it is there whole or not at all, and then stays so.
      const again = await PlainEngine.open(DIR, smallOptions(memory))
      const state = dump(again)
      expect([1, 2, 3]).toContain(state.size)
      await again.close()
      const third = await PlainEngine.open(DIR, smallOptions(memory))
      expect(sameState(dump(third), state)).toBe(true)
      await third.close()
    })
  }

  for (const operation of ['write', 'sync'] as const) {
    test(`a failed ${operation} of the manifest`, async () => {
      const { memory, fs, engine } = await opened()
      fs.add({ operation, path: 'MANIFEST', errno: 'EIO' })
      await expect(engine.flush()).rejects.toBeInstanceOf(WkError)
      await expectReadOnly(engine)
      const again = await PlainEngine.open(DIR, smallOptions(memory))
      expect([...dump(again)]).toEqual([['before', 'kept']])
      await again.close()
    })
  }

  test('a failed sync of the directory before publishing', async () => {
    const { fs, engine } = await opened()
    fs.add({ operation: 'syncDir', errno: 'EIO' })
    await expect(engine.flush()).rejects.toBeInstanceOf(WkError)
    await expectReadOnly(engine)
  })
})

describe('a table that cannot be written', () => {
  test('is tried again in a new file', async () => {
    for (const operation of ['create', 'write', 'sync'] as const) {
      const { fs, engine } = await opened()
      fs.add({ operation, path: '.sst', errno: 'EIO', times: 1 })
      await engine.flush()
      expect(fs.injected).toHaveLength(1)
      expect(engine.stats()).toMatchObject({ tables: 1, flushes: 1 })
      await engine.close()
      expect((await fs.list(DIR)).filter((name) => name.endsWith('.sst'))).toHaveLength(1)
    }
  })

  test('at last turns the engine read-only', async () => {
    const { memory, fs, engine } = await opened()
    fs.add({ operation: 'sync', path: '.sst', errno: 'ENOSPC', times: Infinity })
    await expect(engine.flush()).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
    await expectReadOnly(engine)
    expect((await memory.list(DIR)).filter((name) => name.endsWith('.sst'))).toEqual([])
  })
})

test('an error at every operation is typed, and the engine opens again with what was acknowledged', async () => {
  const workload = async (engine: PlainEngine, history: History): Promise<void> => {
    for (let i = 0; i < 40; i++) {
      const writes = [{ type: 'put' as const, key: text(`k${i % 7}`), value: text(`${i}`.padEnd((i * 997) % 9000, 'v')) }]
      const batch = history.call(writes)
      await engine.batch(writes, { sync: i % 4 === 0 })
      history.acknowledge(batch, i % 4 === 0)
      if (i === 20) await engine.flush()
      if (i === 30) await engine.compact()
    }
    await engine.close()
  }
  for (let index = 0, hit = true; hit; index += 3) {
    const memory = new MemoryFileSystem()
    const fs = new FaultFileSystem(memory)
    fs.add({ index, errno: 'EIO' })
    const history = new History()
    let engine: PlainEngine | undefined
    try {
      engine = await PlainEngine.open(DIR, smallOptions(fs))
      await workload(engine, history)
    } catch (error) {
      expect(error, `operation ${index}`).toBeInstanceOf(WkError)
    }
    await engine?.close().catch((error: unknown) => expect(error).toBeInstanceOf(WkError))
    hit = fs.injected.length > 0
    fs.clear()
    const again = await PlainEngine.open(DIR, smallOptions(memory))
    expect(history.find(dump(again), history.acknowledged), `operation ${index}: ${JSON.stringify(fs.injected[0]?.path)}`).toBeGreaterThanOrEqual(0)
    await again.close()
  }
})

test('short reads and writes change nothing', async () => {
  const memory = new MemoryFileSystem()
  const fs = new FaultFileSystem(memory)
  fs.add({ operation: ['read', 'write'], short: 7, times: Infinity })
  const engine = await PlainEngine.open(DIR, smallOptions(fs))
  for (let i = 0; i < 30; i++) await engine.put(text(`k${i}`), text('v'.repeat(i)))
  await engine.flush()
  expect(dump(engine).size).toBe(30)
  await engine.put(text('more'), text('x'), { sync: true })
  await engine.tree.close({ clean: false })
  await engine.close()
  const again = await PlainEngine.open(DIR, smallOptions(fs))
  expect(dump(again).size).toBe(31)
  await again.close()
})
