import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MemoryFileSystem } from '@wk/fs'
import { HoldingFileSystem, createsTable } from '@wk/testkit'
import { expect, test } from 'vitest'
import { DB } from '../src/index.js'
import { keep, large, memoryPlace, nodePlace, temporaryDirectory } from './harness.js'

test('law 10: every stall ends, and memtables and level 0 stay bounded under a writer that never waits', async () => {
  const db = await memoryPlace().open({ l0CompactionTrigger: 2, l0SlowdownTrigger: 3, l0StopTrigger: 4, memTableSize: 64 * 1024 })
  for (let round = 0; round < 40; round++) {
    const puts: Promise<void>[] = []
    for (let i = 0; i < 400; i++) puts.push(db.put(`key ${(round * 7919 + i * 31) % 5000}`, large(200 + (i % 3) * 100, i)))
    await Promise.all(puts)
    const { memtableBytes, level0Tables } = db.stats()
    expect(memtableBytes).toBeLessThan(16 * 64 * 1024)
    expect(level0Tables).toBeLessThan(16)
  }
  expect(db.stats().flushes).toBeGreaterThan(5)
  await db.close()
})

test('law 10: a writer whose flushes stand still stalls, and goes on when they do', async () => {
  const fs = new HoldingFileSystem(new MemoryFileSystem())
  fs.hold = createsTable
  const db = keep(await DB.open('/db', { memTableSize: 64 * 1024, workers: 0, fs }))
  let waiting: Promise<unknown> | undefined
  for (let round = 0; round < 60 && waiting === undefined; round++) {
    const puts = Promise.all(Array.from({ length: 50 }, (_, i) => db.put(`key ${round} ${i}`, large(300, i))))
    let done = false
    void puts.then(() => (done = true))
    for (let turn = 0; turn < 100 && !done; turn++) await new Promise((resolve) => setImmediate(resolve))
    if (!done) waiting = puts
  }
  const { memtableBytes } = db.stats()
  fs.release()
  expect(waiting).toBeDefined()
  expect(memtableBytes).toBeLessThan(16 * 64 * 1024)
  await waiting
})

// Again where the machine stood still for a moment: a loop that is held is held each time.
test('law 10: timers go on under a caller that does nothing but await writes, reads and iterators', { retry: 2 }, async () => {
  const db = await nodePlace().open()
  let ticks = 0
  let longest = 0
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    ticks++
  }, 1)
  const until = performance.now() + 600
  for (let i = 0; performance.now() < until; i++) {
    await db.put(`key ${i % 1000}`, large(700, i))
    await db.get(`key ${i % 777}`)
    await db.has(`key ${i % 555}`)
    if (i % 100 === 0) for await (const key of db.keys({ limit: 50 })) expect(key.length).toBeGreaterThan(0)
  }
  clearInterval(timer)
  expect(ticks).toBeGreaterThan(20)
  expect(longest).toBeLessThan(250)
  await db.close()
})

const built = join(import.meta.dirname, '../dist/index.js')

test.skipIf(!existsSync(built))('law 10: memory does not grow with the values: 256 MiB of 4 KiB values in less than 200 MB', () => {
  const script = `
    import { DB } from ${JSON.stringify(built)}
    const db = await DB.open(process.argv[1])
    const value = Buffer.alloc(4096, 'x')
    for (let i = 0; i < 65536; i += 64) {
      await db.batch(Array.from({ length: 64 }, (_, j) => ({ type: 'put', key: 'key ' + ((i + j) * 2654435761 % 4294967296), value })))
    }
    await db.close()
    console.log(process.resourceUsage().maxRSS)`
  const kilobytes = Number(execFileSync(process.execPath, ['--input-type=module', '-e', script, temporaryDirectory()], { encoding: 'utf8' }))
  expect(kilobytes).toBeGreaterThan(10_000)
  expect(kilobytes).toBeLessThan(200_000)
})

test('a batch larger than a memtable is written whole, is read at once, and is there after a crash', async () => {
  const fs = new MemoryFileSystem()
  const options = { fs, memTableSize: 64 * 1024, valueThreshold: 4096 }
  const db = keep(await DB.open('/db', options))
  await db.put('before', 'x')
  const names = Array.from({ length: 300 }, (_, i) => `large:${String(i).padStart(3, '0')}`)
  await db.batch(names.map((key) => ({ type: 'put' as const, key, value: key.repeat(100) })), { sync: true })
  const found = async (of: DB): Promise<number> => {
    const values = await of.getMany(names)
    return values.filter((value, i) => value !== undefined && Buffer.from(value).toString() === names[i]!.repeat(100)).length
  }
  expect(await found(db)).toBe(names.length)
  const again = keep(await DB.open('/db', { ...options, fs: fs.crashClone('P1') }))
  expect(await found(again)).toBe(names.length)
  expect(await again.get('before')).toEqual(new Uint8Array([0x78]))
})
