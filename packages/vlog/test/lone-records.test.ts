/** Records that are to have files of their own: nothing else lies beside them, and they are found as others are. */
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
  for (const { key, version, value, pointer } of written) expect(log.readValueSync(pointer.fid, pointer.offset, pointer.len, key, version)).toEqual(value)
}

test('begin a file, and end it, wherever in a group they come', async () => {
  const memory = await newMemory()
  const log = await openLog(memory, OPTIONS)
  log.limitFiles(1 << 20, 0, ALONE)
  const groups = [
    await write(log, 1, [5000]),
    await write(log, 2, [10]),
    await write(log, 3, [10, 20]),
    await write(log, 4, [10, 5000, 10, 20, 5000, 5000, 10]),
    await write(log, 5, [200_000]),
    await write(log, 6, [10]),
  ]
  // The first file was empty.
  expect(groups.map(fidsOf)).toEqual([[1], [2], [2, 2], [2, 3, 4, 4, 5, 6, 7], [8], [9]])
  const all = groups.flat()
  expectReadable(log, all)
  await log.close()
  const again = await openLog(memory, { ...OPTIONS, durable: { fid: 9, offset: 0 } })
  expectReadable(again, all)
  await again.close()
})

test('what they are long beside is the host to say, and may be said anew', async () => {
  const log = await openLog(await newMemory(), OPTIONS)
  expect(fidsOf(await write(log, 1, [5000, 10, 200_000, 5000]))).toEqual([1, 1, 1, 1])
  log.limitFiles(1 << 20, 0, ALONE)
  expect(fidsOf(await write(log, 2, [10, 5000]))).toEqual([1, 2])
  log.limitFiles(1 << 20, 0, 300_000)
  expect(fidsOf(await write(log, 3, [10, 5000, 200_000]))).toEqual([3, 3, 3])
  log.limitFiles(1 << 20)
  expect(fidsOf(await write(log, 4, [10, 400_000, 10]))).toEqual([3, 3, 3])
  await log.close()
})

test('make no gap too short for the others', async () => {
  const log = await openLog(await newMemory(), OPTIONS)
  log.limitFiles(1 << 20, 0, ALONE)
  await write(log, 1, [10, 2000, 5000, 200_000])
  expect(log.appended.longest).toBeGreaterThan(2000)
  expect(log.appended.longest).toBeLessThan(ALONE)
  await log.close()
})
