/**
 * Sizes, compaction of ranges, and what is left when handles are forgotten: what classic-level tests beyond
 * abstract-level's suite, anew.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { failureOf, fill, make, numbered } from './harness.js'

it('approximateSize tells where the bytes are, values in value logs included', async () => {
  const db = make({ compression: false })
  await fill(db, 4000, (i) => 'x'.repeat(i < 2000 ? 100 : 5000))
  expect(await db.approximateSize(numbered(0), numbered(4000))).toBe(0)
  await db.engine.flush()
  const within = (size: number, expected: number): void => {
    expect(size).toBeGreaterThan(expected * 0.8)
    expect(size).toBeLessThan(expected * 1.3)
  }
  within(await db.approximateSize('', '~'), 2000 * 5100)
  const small = await db.approximateSize(numbered(0), numbered(2000))
  const great = await db.approximateSize(numbered(2000), numbered(4000))
  expect(small).toBeGreaterThan(2000 * 100)
  expect(small + great).toBeLessThan(2000 * 5100 * 1.3)
  expect(await db.approximateSize('a', 'z')).toBe(0)
  expect(await db.approximateSize(numbered(3000), numbered(1000))).toBe(0)
  await db.clear()
  await db.compactRange('', '~')
  expect(await db.approximateSize('', '~')).toBe(0)
})

it('approximateSize of a part is about its share', async () => {
  const db = make()
  await fill(db, 20_000, () => 'x'.repeat(2000))
  await db.engine.flush()
  const whole = await db.approximateSize('', '~')
  for (const [from, to] of [[0, 10_000], [5000, 15_000], [18_000, 20_000], [0, 2000]] as const) {
    const share = (await db.approximateSize(numbered(from), numbered(to))) / whole
    expect(Math.abs(share - (to - from) / 20_000)).toBeLessThan(0.03)
  }
})

it('approximateSize and compactRange take the encoding of keys', async () => {
  const db = make({ keyEncoding: 'json' })
  await db.batch(Array.from({ length: 500 }, (_, i) => ({ type: 'put' as const, key: numbered(i), value: 'x'.repeat(3000) })))
  await db.engine.flush()
  expect(await db.approximateSize(numbered(0), numbered(499))).toBeGreaterThan(1_000_000)
  expect(await db.approximateSize(numbered(0), numbered(499), { keyEncoding: 'utf8' })).toBe(0)
  const hex = (text: string): string => Buffer.from(JSON.stringify(text)).toString('hex')
  const bytes = { keyEncoding: 'hex' }
  expect(await db.approximateSize(hex(numbered(0)), hex(numbered(499)), bytes)).toBeGreaterThan(1_000_000)
  await db.compactRange(hex(''), hex('~'), bytes)
  expect((await db.keys().all()).length).toBe(500)
})

it.each(['approximateSize', 'compactRange'] as const)('%s wants two keys and an open database, and waits for one that opens', async (method) => {
  const db = make()
  const early = db[method]('a', 'b')
  await early
  for (const bounds of [[], ['a'], [undefined, 'b'], ['a', null]] as unknown as [string, string][]) {
    expect(await failureOf(() => db[method](...bounds))).toBeInstanceOf(TypeError)
  }
  await db.close()
  expect((await failureOf(() => db[method]('a', 'b'))).code).toBe('LEVEL_DATABASE_NOT_OPEN')
})

it('compactRange drops what is dead within its range', async () => {
  const db = make({ valueThreshold: 1_000_000, compression: false, tableSize: 64 * 1024 })
  await fill(db, 2000, () => 'x'.repeat(500))
  await db.compactRange('', '~')
  const before = db.engine.stats().tableBytes
  await db.clear({ lt: numbered(1000) })
  await db.compactRange(numbered(0), numbered(999))
  expect(db.engine.stats().tableBytes).toBeLessThan(before * 0.6)
  expect(await db.keys({ limit: 1 }).all()).toEqual([numbered(1000)])
})

it('compactRange leaves tables outside of its range alone', async () => {
  const db = make({ valueThreshold: 1_000_000, compression: false, tableSize: 64 * 1024 })
  await fill(db, 4000, () => 'x'.repeat(500))
  await db.compactRange('', '~')
  await fill(db, 100, () => 'y')
  const before = db.engine.stats().compactionBytesWritten
  await db.compactRange(numbered(0), numbered(50))
  expect(db.engine.stats().compactionBytesWritten - before).toBeLessThan(400_000)
})

it('iterators, snapshots and batches that were forgotten are collected, and hold nothing back', { timeout: 60_000 }, async () => {
  const child = spawn(process.execPath, ['--expose-gc', fileURLToPath(new URL('forget-child.mjs', import.meta.url))], { stdio: ['ignore', 'pipe', 'pipe'] })
  let told = ''
  child.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (told += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  expect({ code, told }).toEqual({ code: 0, told: expect.stringMatching(/^\{.*\}\n$/) as string })
  const { started, collected, open } = JSON.parse(told) as { started: number; collected: number; open: number }
  // V8 keeps the last few of them until later.
  expect(collected).toBeGreaterThan(started * 0.95)
  expect(open).toBe(0)
})
