/** The log of the next memtable, which is made while the one before it fills (laws 1, 9 and 11; ADR 0031). */
import { CorruptionError } from '@wk/codec'
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import { PlainEngine } from '../src/index.js'
import { LOG_HEADER_LENGTH } from '../src/log/format.js'
import { PREPARED_FROM } from '../src/log/wal.js'
import { DIR, dump, sameState, smallOptions, text } from './engine-support.js'

const VALUE = 'v'.repeat(1000)

async function logsIn(fs: MemoryFileSystem): Promise<string[]> {
  return (await fs.list(DIR)).filter((name) => name.endsWith('.wal'))
}

async function sizeOf(fs: MemoryFileSystem, name = ''): Promise<number> {
  const file = await fs.open(`${DIR}/${name}`, 'read')
  const size = await file.size()
  await file.close()
  return size
}

/** Puts of about as many bytes. */
async function fill(engine: PlainEngine, bytes: number): Promise<void> {
  for (let written = 0; written < bytes; written += VALUE.length) await engine.put(text(`key ${written % 20_000}`), text(VALUE))
}

/** Rounds of the event loop in which what is made ahead is made. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function filled(bytes = PREPARED_FROM + 2 * VALUE.length): Promise<{ fs: MemoryFileSystem; engine: PlainEngine }> {
  const fs = new MemoryFileSystem()
  const engine = await PlainEngine.open(DIR, smallOptions(fs))
  await fill(engine, bytes)
  await settle()
  return { fs, engine }
}

test('is there, and holds nothing, once a log is no longer small; not before', async () => {
  const small = await filled(PREPARED_FROM / 2)
  expect(await logsIn(small.fs)).toHaveLength(1)
  await small.engine.close()
  const { fs, engine } = await filled()
  const [first, next, ...others] = await logsIn(fs)
  expect(others).toEqual([])
  expect(await sizeOf(fs, first)).toBeGreaterThan(PREPARED_FROM)
  expect(await sizeOf(fs, next)).toBe(LOG_HEADER_LENGTH)
  await engine.close()
})

test('takes what follows the memtable: no writer waits for a name', async () => {
  const { fs, engine } = await filled()
  const [first, next] = await logsIn(fs)
  await engine.flush()
  // The one before it stays as long as nothing else tells that it was there.
  expect(await logsIn(fs)).toEqual([first, next])
  const opened: string[] = []
  const { openSync } = fs
  fs.openSync = (path, ...mode) => {
    opened.push(path)
    return openSync.call(fs, path, ...mode)
  }
  await engine.put(text('after'), text('it'))
  expect(opened).toEqual([])
  await settle()
  expect(await logsIn(fs)).toEqual([next])
  expect(await sizeOf(fs, next)).toBeGreaterThan(LOG_HEADER_LENGTH)
  await engine.close()
})

test('goes when the tree is closed, whose end is then as clean as without; should its name come back, nothing comes of it', async () => {
  const { fs, engine } = await filled()
  const [, spare = ''] = await logsIn(fs)
  await engine.flush()
  const state = dump(engine)
  await engine.close()
  expect(await logsIn(fs)).toEqual([])
  const names = await fs.list(DIR)
  const again = await PlainEngine.open(DIR, smallOptions(fs))
  expect(sameState(dump(again), state)).toBe(true)
  await again.close()
  expect(await fs.list(DIR)).toEqual(names)
  for (const policy of ['P0', 'P1', 'P2', 'P3'] as const) {
    const crashed = fs.crashClone(policy, 7)
    const survivor = await PlainEngine.open(DIR, smallOptions(crashed))
    expect(sameState(dump(survivor), state), policy).toBe(true)
    await survivor.put(text('new'), text('write'), { sync: true })
    expect(await logsIn(crashed)).not.toContain(spare)
    await survivor.close()
  }
})

test('is found by whoever opens after a crash, and goes', async () => {
  const { fs, engine } = await filled()
  const logs = await logsIn(fs)
  expect(logs).toHaveLength(2)
  const state = dump(engine)
  const crashed = fs.crashClone('P1')
  const survivor = await PlainEngine.open(DIR, smallOptions(crashed))
  expect(sameState(dump(survivor), state)).toBe(true)
  await survivor.put(text('new'), text('write'), { sync: true })
  const [newest, ...others] = await logsIn(crashed)
  expect(others).toEqual([])
  expect(newest! > logs[1]!).toBe(true)
  await survivor.close()
  await engine.close()
})

test('beside it edits that a manifest lost are found out, or replayed, as without', async () => {
  const { fs, engine } = await filled()
  await engine.flush()
  await settle()
  const held = dump(engine)
  const name = (await fs.list(DIR)).find((each) => each.startsWith('MANIFEST')) ?? ''
  const bytes = new Uint8Array(await sizeOf(fs, name))
  const file = await fs.open(`${DIR}/${name}`, 'read')
  await file.read(bytes, 0, bytes.length, 0)
  await file.close()
  const seen = new Set<string>()
  for (let length = 0; length < bytes.length; length++) {
    const copy = fs.crashClone('P1')
    await copy.remove(`${DIR}/${name}`)
    const cut = await copy.open(`${DIR}/${name}`, 'create')
    await cut.write(bytes, 0, length, 0)
    await cut.close()
    try {
      const again = await PlainEngine.open(DIR, smallOptions(copy))
      expect(sameState(dump(again), held), `cut at ${length}`).toBe(true)
      await again.close()
      seen.add('open')
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      seen.add('corrupt')
    }
  }
  expect(seen).toEqual(new Set(['open', 'corrupt']))
  await engine.close()
})

test('is done without where there is no descriptor, or no room, for it: whoever needs it tries again', async () => {
  const memory = new MemoryFileSystem()
  const fs = new FaultFileSystem(memory)
  const engine = await PlainEngine.open(DIR, smallOptions(fs))
  await fill(engine, PREPARED_FROM - 2 * VALUE.length)
  fs.add({ operation: 'create', path: '.wal', errno: 'EMFILE' })
  await fill(engine, 8 * VALUE.length)
  await settle()
  expect(await logsIn(memory)).toHaveLength(1)
  await engine.flush()
  await engine.put(text('after'), text('it'))
  await fill(engine, PREPARED_FROM + 2 * VALUE.length)
  await settle()
  expect(await logsIn(memory)).toHaveLength(2)
  await engine.close()
})

test.each(['create', 'sync', 'syncDir'] as const)('ends writing in the turn in which a %s for it fails, and loses nothing', async (operation) => {
  const memory = new MemoryFileSystem()
  const fs = new FaultFileSystem(memory)
  const engine = await PlainEngine.open(DIR, smallOptions(fs))
  await fill(engine, PREPARED_FROM - 2 * VALUE.length)
  await settle()
  const [first = ''] = await logsIn(memory)
  const before = dump(engine)
  fs.add(operation === 'syncDir' ? { operation, errno: 'EIO' } : { operation, path: '.wal', errno: 'EIO' })
  const outcomes: unknown[] = []
  for (let i = 0; i < 8; i++) await engine.put(text(`late ${i}`), text(VALUE)).then(() => outcomes.push('written'), (error: unknown) => outcomes.push(error))
  await settle()
  expect(outcomes).toContain('written')
  await expect(engine.put(text('refused'), text('x'))).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
  await engine.close()
  expect(await sizeOf(memory, first)).toBeGreaterThan(PREPARED_FROM - 3 * VALUE.length)
  const again = await PlainEngine.open(DIR, smallOptions(memory))
  const after = dump(again)
  for (const [key, value] of before) expect(after.get(key)).toEqual(value)
  for (const [i, outcome] of outcomes.entries()) if (outcome === 'written') expect(after.has(`late ${i}`)).toBe(true)
  await again.close()
})
