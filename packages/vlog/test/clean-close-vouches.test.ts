/** What a clean close of a log that stands alone vouches for: damage there is told, and nothing is cut, whichever files came after it. */
import { FaultFileSystem, type MemoryFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import { failureOf, newMemory, openLog, placeFile, readFile } from './support/memory-log.js'

/** A file of a clean close, then a life that appends survivors alone and crashes. */
async function crashed(hasNewest: boolean): Promise<MemoryFileSystem> {
  const fs = await newMemory()
  const log = await openLog(fs)
  await log.append([{ key: 'a', value: 'first' }, { key: 'b', value: 'second' }])
  if (!hasNewest) await log.append([{ key: 'c', value: 'moved' }], { survivors: true })
  await log.close()
  const again = await openLog(fs)
  await again.append([{ key: 'c', value: 'moved' }], { survivors: true, sync: true })
  // Of the files of the clean close the newest was collected since.
  if (!hasNewest) await again.retire(2)
  const image = fs.crashClone('P0')
  await again.close()
  return image
}

async function flip(fs: MemoryFileSystem): Promise<Uint8Array> {
  const bytes = readFile(fs, '000001.vlog').slice()
  bytes[bytes.length - 5]! ^= 0x40
  await placeFile(fs, '000001.vlog', bytes)
  return bytes
}

test.each([
  [true, false],
  [true, true],
  [false, false],
])('law 6: a flipped bit in its last record is told, and stays (its newest file: %s, read-only: %s)', async (hasNewest, readOnly) => {
  const fs = await crashed(hasNewest)
  const bytes = await flip(fs)
  const log = await openLog(fs, { readOnly })
  expect(log.cutBytes).toBe(0)
  expect(readFile(fs, '000001.vlog')).toEqual(bytes)
  expect((await log.verify()).ok).toBe(false)
  await log.close()
})

test('law 6: a file that has become shorter is refused, and nothing is changed', async () => {
  const fs = await crashed(true)
  const bytes = readFile(fs, '000001.vlog').slice(0, -3)
  await placeFile(fs, '000001.vlog', bytes)
  for (let opening = 0; opening < 2; opening++) expect(await failureOf(openLog(fs))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog' })
  expect(readFile(fs, '000001.vlog')).toEqual(bytes)
})

test('a disk that is full amid the header of the first file after it: the log opens again', async () => {
  const fs = new FaultFileSystem(await newMemory())
  await (await openLog(fs)).close()
  const log = await openLog(fs)
  await log.append([{ key: 'a', value: 'v' }])
  await log.close()
  const again = await openLog(fs)
  fs.add({ operation: 'write', path: '000002.vlog', short: 7, errno: 'ENOSPC' })
  expect(await failureOf(again.append([{ key: 'a', value: 'v' }]))).toMatchObject({ code: 'WK_IO' })
  await again.close()
  const third = await openLog(fs)
  expect((await third.append([{ key: 'a', value: 'v' }]))[0]!.fid).toBe(3)
  await third.close()
})
