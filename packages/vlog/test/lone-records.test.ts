/** Records that are to have files of their own: nothing else lies beside them, and they are found as others are. */
import { TraceFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import type { ValueLog, ValuePointer } from '../src/index.js'
import { mulberry, randomBytes } from './support/bytes.js'
import { newMemory, openLog } from './support/memory-log.js'

const OPTIONS = { fileSize: 1 << 20, durable: null, lock: false }
const ALONE = 3000

interface Written {
  key: Uint8Array
  version: number
  value: Uint8Array
  pointer: ValuePointer
}

/** Writes a group of values of these lengths. */
async function write(log: ValueLog, version: number, lengths: readonly number[]): Promise<Written[]> {
  const group = lengths.map((length, i) => {
    const random = mulberry(100 * version + i)
    const written = { key: randomBytes(random, 9), version, value: randomBytes(random, length), pointer: { fid: 0, offset: 0, len: 0 } }
    log.stage(written.key, version, 0, 0, 0, written.value, written.pointer)
    return written
  })
  log.endGroup()
  if (!log.writeStagedSync()) await log.writeStaged()
  return group
}

const fidsOf = (group: readonly Written[]): number[] => group.map(({ pointer }) => pointer.fid)

function expectReadable(log: ValueLog, written: readonly Written[]): void {
  for (const { key, version, value, pointer } of written) expect(Buffer.compare(log.readValueSync(pointer.fid, pointer.offset, pointer.len, key, version), value)).toBe(0)
}

test('begin a file, and end it, wherever in a group they come', async () => {
  const memory = await newMemory()
  const log = await openLog(memory, OPTIONS)
  log.limitFiles(1 << 20, 0, ALONE)
  const groups = [
    await write(log, 1, [5000]),
    await write(log, 2, [1000]),
    await write(log, 3, [1000, 20]),
    await write(log, 4, [10, 5000, 1000, 20, 5000, 5000, 1000]),
    await write(log, 5, [200_000]),
    await write(log, 6, [10]),
  ]
  // The first file was empty.
  expect(groups.map(fidsOf)).toEqual([[1], [2], [2, 2], [2, 3, 4, 4, 5, 6, 7], [7], [8]])
  const all = groups.flat()
  expectReadable(log, all)
  await log.close()
  const again = await openLog(memory, { ...OPTIONS, durable: { fid: 8, offset: 0 } })
  expectReadable(again, all)
  await again.close()
})

test('what they are long beside is the host to say, and may be said anew', async () => {
  const log = await openLog(await newMemory(), OPTIONS)
  expect(fidsOf(await write(log, 1, [5000, 10, 200_000, 5000]))).toEqual([1, 1, 1, 1])
  log.limitFiles(1 << 20, 0, ALONE)
  expect(fidsOf(await write(log, 2, [10, 5000]))).toEqual([1, 2])
  await write(log, 9, [1000])
  log.limitFiles(1 << 20, 0, 300_000)
  expect(fidsOf(await write(log, 3, [10, 5000, 200_000]))).toEqual([3, 3, 3])
  log.limitFiles(1 << 20)
  expect(fidsOf(await write(log, 4, [10, 400_000, 10]))).toEqual([3, 3, 3])
  await log.close()
})

test('lie behind a few short ones, which are not worth a file', async () => {
  const log = await openLog(await newMemory(), OPTIONS)
  log.limitFiles(1 << 20, 0, ALONE)
  expect(fidsOf(await write(log, 1, [10, 100, 5000, 10, 20, 5000, 400, 5000]))).toEqual([1, 1, 1, 2, 2, 2, 3, 4])
  await log.close()
})

test.each(['plain', 'encrypted', 'shared'] as const)('what is staged before their group has ended goes to another file: %s', async (how) => {
  const encryption = how === 'encrypted' ? { encryptionKey: new Uint8Array(32).fill(7) } : {}
  const log = await openLog(await newMemory(), { ...OPTIONS, ...encryption })
  log.limitFiles(1 << 20, 0, 200_000)
  const stage = (version: number, length: number): Written => {
    const random = mulberry(version)
    const bytes = randomBytes(random, length)
    const value = how === 'shared' ? new Uint8Array(new SharedArrayBuffer(length)) : bytes
    value.set(bytes)
    const written = { key: randomBytes(random, 9), version, value: bytes, pointer: { fid: 0, offset: 0, len: 0 } }
    log.stage(written.key, version, 0, 0, 0, value, written.pointer)
    return written
  }
  const first = stage(1, 210_000)
  await log.writeStaged()
  const second = stage(2, 150_000)
  const third = log.append([{ key: 'k', value: new Uint8Array(140_000).fill(3) }])
  log.endGroup()
  if (!log.writeStagedSync()) await log.writeStaged()
  const [pointer] = await third
  expect([first.pointer.fid, second.pointer.fid, pointer!.fid]).toEqual([1, 2, 2])
  expectReadable(log, [first, second])
  expect((await log.read(pointer!)).value.every((byte) => byte === 3)).toBe(true)
  await log.close()
})

test('small ones that wait for their sync keep nothing from being synced ahead', async () => {
  const log = await openLog(await newMemory(), { ...OPTIONS, fileSize: 1 << 28 })
  log.limitFiles(1 << 28, 300_000, ALONE)
  const [lone] = await write(log, 1, [5000])
  for (let version = 2; version < 6; version++) await write(log, version, [60_000])
  expect(log.syncedPosition().fid).toBeLessThanOrEqual(1)
  for (let version = 6; version < 10; version++) await write(log, version, [60_000])
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
  expect(log.files().find(({ fid }) => fid === lone!.pointer.fid)?.sealed).toBe(true)
  await log.close()
})

test('make no gap too short for the others', async () => {
  const log = await openLog(await newMemory(), OPTIONS)
  log.limitFiles(1 << 20, 0, ALONE)
  await write(log, 1, [10, 2000, 5000, 10, 200_000])
  expect(log.appended.longest).toBeGreaterThan(2000)
  expect(log.appended.longest).toBeLessThan(ALONE)
  await log.close()
})

test('long ones are written at the call, into files whose names were made durable together', async () => {
  const trace = new TraceFileSystem(await newMemory())
  const log = await openLog(trace, { ...OPTIONS, fileSize: 1 << 30 })
  log.limitFiles(1 << 30, 1 << 30, 200_000)
  const written = [...(await write(log, 1, [300_000])), ...(await write(log, 2, [30_000]))]
  const count = (kind: string): number => trace.entries.filter((entry) => entry.kind === kind).length
  const syncsBefore = count('syncDir')
  let staged = 0
  for (let version = 3; version < 20; version++) {
    const pointer = { fid: 0, offset: 0, len: 0 }
    const random = mulberry(version)
    const length = version % 2 === 0 ? 30_000 : 300_000
    const one = { key: randomBytes(random, 9), version, value: randomBytes(random, length), pointer }
    log.stage(one.key, version, 0, 0, 0, one.value, pointer)
    if (length > 200_000 && log.stagedBytes > 0) staged++
    log.endGroup()
    expectReadable(log, [one])
    if (!log.writeStagedSync()) await log.writeStaged()
    // Names are made in turns of the event loop.
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    written.push(one)
  }
  expect(staged).toBe(0)
  expect(fidsOf(written)).toEqual(written.map((_, i) => i + 1))
  expect(count('syncDir') - syncsBefore, 'eight names each').toBeLessThanOrEqual(Math.ceil(written.length / 8) + 1)
  expectReadable(log, written)
  await log.close()
})
