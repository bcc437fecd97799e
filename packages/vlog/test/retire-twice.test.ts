/** One file is given up by two calls at once: the mark of one that succeeded stays, whatever the other meets. */
import { FaultFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import type { ValueLog } from '../src/index.js'
import { decodeState } from '../src/state-file.js'
import { failureOf, newMemory, openLog, readFile } from './support/memory-log.js'

async function prepare() {
  const memory = await newMemory()
  const fs = new FaultFileSystem(memory)
  const log = await openLog(fs)
  for (let i = 0; i < 3; i++) {
    await log.append([{ key: `k${i}`, value: new Uint8Array(5000) }])
    await log.seal()
  }
  return { memory, fs, log }
}

const fidsOf = (log: ValueLog): number[] => log.files().map(({ fid }) => fid)

test.each(['ENOSPC', 'EIO'])('pinned, with %s where a second mark would be written: a later state does not bring it back', async (errno) => {
  const { memory, fs, log } = await prepare()
  log.pin(1)
  fs.add({ operation: 'create', path: 'VLOGSTATE', errno, index: 1 })
  expect(await Promise.all([log.retire(1), log.retire(1)])).toEqual([0, 0])
  fs.clear()
  await log.retire(2)
  expect(decodeState(readFile(fs, 'VLOGSTATE')).retired).toEqual([1, 2])
  const again = await openLog(memory.crashClone('P1'))
  expect(fidsOf(again)).toEqual([3])
  await again.close()
  await log.close()
})

test('the bytes that go are told to one of them, and a failure to both', async () => {
  const { fs, log } = await prepare()
  const freed = await Promise.all([log.retire(1), log.retire(1)])
  expect(freed.filter((bytes) => bytes > 0)).toHaveLength(1)
  log.pin(2)
  fs.add({ operation: 'create', path: 'VLOGSTATE', errno: 'ENOSPC' })
  const failures = await Promise.all([failureOf(log.retire(2)), failureOf(log.retire(2))])
  for (const failure of failures) expect(failure).toMatchObject({ code: 'WK_IO' })
  expect(log.files()).toMatchObject([{ fid: 2, retired: false }, { fid: 3 }])
  log.unpin(2)
  await log.retire(2)
  expect(fidsOf(log)).toEqual([3])
  await log.close()
})
