/** Values of many MiB among short ones: they lie alone in their files, which go as a whole and uncopied. */
import { MemoryFileSystem } from '@wk/fs'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { expectContents, keep, large } from './harness.js'

const LONG = 9_000_000
const SHORT = 2000

it('values of many MiB among short ones lie alone, and go uncopied', async () => {
  const fs = new MemoryFileSystem({ crashable: false })
  const db = keep(await DB.open('/db', { fs, workers: 0, compression: 'none', gc: { minGarbage: 1 << 20 } }))
  const model = new Map<string, Uint8Array>()
  let tag = 0
  const put = async (key: string, length: number): Promise<void> => {
    const value = large(length, tag++)
    model.set(key, value)
    await db.put(key, value)
  }
  const lone = (): number => db.valueLogFiles().filter(({ liveRecords, liveBytes }) => liveRecords === 1 && liveBytes > LONG).length
  const shared = (): number => db.valueLogFiles().filter(({ liveRecords, liveBytes }) => liveRecords > 1 && liveBytes > LONG).length
  for (let i = 0; i < 300; i++) await put(`short ${i}`, SHORT)
  // The first one may come before anything is known of the others.
  for (let round = 0; round < 5; round++) {
    await put(`long ${round}`, LONG)
    for (let i = 0; i < 400; i++) await put(`short ${400 * round + i}`, SHORT)
  }
  expect(lone()).toBeGreaterThanOrEqual(4)
  expect(shared()).toBeLessThanOrEqual(1)
  for (let round = 1; round < 5; round++) await put(`long ${round}`, LONG)
  for (let wait = 0; wait < 500 && db.stats().gcFilesCollected < 4; wait++) await new Promise((resolve) => setTimeout(resolve, 10))
  const { gcFilesCollected, gcBytesMoved, gcBytesReclaimed } = db.stats()
  expect(gcFilesCollected).toBeGreaterThanOrEqual(4)
  expect(gcBytesReclaimed).toBeGreaterThan(4 * LONG)
  expect(gcBytesMoved).toBeLessThan(LONG)
  await expectContents(db, model)
  expect((await db.verify()).ok).toBe(true)
}, 60_000)
