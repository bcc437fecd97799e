import { expect, test } from 'vitest'
import { MemoryFileSystem, ScheduledFileSystem, TraceFileSystem } from '../src/index.js'

async function run(root: string, fill: number, seed?: number): Promise<TraceFileSystem> {
  const memory = new MemoryFileSystem()
  await memory.mkdir(root)
  const trace = new TraceFileSystem(memory, { root })
  const fs = seed === undefined ? trace : new ScheduledFileSystem(trace, seed)
  const file = await fs.open(`${root}/f`, 'create')
  await Promise.all([0, 1, 2, 3].map((part) => file.write(new Uint8Array(8).fill(fill), 0, 8, part * 8)))
  await file.sync()
  file.readSync(new Uint8Array(4), 0, 4, 30)
  await fs.rename(`${root}/f`, `${root}/g`)
  await fs.open(`${root}/f`, 'read').catch(() => {})
  await file.close()
  return trace
}

test('writes down calls and results, in order', async () => {
  const { entries, count } = await run('/x', 1)
  expect(entries.map((entry) => `${entry.kind} ${entry.path} ${entry.result}`)).toEqual([
    'create /f ok', 'write /f 8', 'write /f 8', 'write /f 8', 'write /f 8', 'sync /f ok', 'read /f 2', 'rename /f ok', 'open /f ENOENT', 'close /f ok',
  ])
  expect(entries[2]).toMatchObject({ index: 2, position: 8, length: 8 })
  expect(entries[7]).toMatchObject({ to: '/g' })
  expect(count).toBe(10)
})

test('equal runs have equal hashes wherever they happen, other bytes give another hash', async () => {
  const { hash } = await run('/x', 1)
  expect(hash).toMatch(/^[0-9a-f]{16}$/)
  expect((await run('/other/place', 1)).hash).toBe(hash)
  expect((await run('/x', 2)).hash).not.toBe(hash)
})

test('a schedule is repeatable from its seed, and differs between seeds', async () => {
  const hashes = new Set<string>()
  for (let seed = 0; seed < 10; seed++) {
    const { hash } = await run('/x', 1, seed)
    expect((await run('/x', 1, seed)).hash).toBe(hash)
    hashes.add(hash)
  }
  expect(hashes.size).toBeGreaterThan(3)
})

test('a schedule finds a sync that does not wait for its write', async () => {
  let lost = 0
  for (let seed = 0; seed < 20; seed++) {
    const memory = new MemoryFileSystem()
    const fs = new ScheduledFileSystem(memory, seed)
    const file = await fs.open('/f', 'create')
    await fs.syncDir('/')
    await Promise.all([file.write(new Uint8Array(8), 0, 8, 0), file.sync()])
    if (memory.crashClone('P0').openSync('/f', 'read').sizeSync() === 0) lost++
  }
  expect(lost).toBeGreaterThan(0)
})

test('keeps no entries if told so', async () => {
  const trace = new TraceFileSystem(new MemoryFileSystem(), { keep: false })
  const before = trace.hash
  await trace.mkdir('/d')
  expect(trace.entries).toEqual([])
  expect(trace.hash).not.toBe(before)
})
