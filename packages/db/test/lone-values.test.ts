/** Values of many MiB among short ones: they lie alone in their files, which go as a whole and uncopied. */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
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
})

it('laws 1, 3 and 6: one that is written at the call is there as a whole or not at all, wherever a crash comes', async () => {
  const fs = new MemoryFileSystem()
  const options = { workers: 0, compression: 'none', gc: { auto: false } } as const
  const db = keep(await DB.open('/db', { fs, ...options }))
  await db.put('first', 'value', { sync: true })
  const long = large(12_000_000, 1)
  const images: { image: MemoryFileSystem; where: string; acknowledged: number }[] = []
  let acknowledged = 0
  fs.onMutatingOperation = (index, { kind, path }) => {
    for (const policy of CRASH_POLICIES) images.push({ image: fs.crashClone(policy, index), where: `${policy} before ${index} (${kind} ${path})`, acknowledged })
  }
  const written = [db.put('long', long), db.put('behind', 'it')]
  expect(db.getSync('long')).toEqual(long)
  await Promise.all(written)
  await db.put('synced', 'value', { sync: true })
  acknowledged = 3
  await db.put('last', 'value')
  fs.onMutatingOperation = undefined
  expect(images.length).toBeGreaterThan(6 * CRASH_POLICIES.length)
  let whole = 0
  for (const { image, where, acknowledged: least } of images) {
    const again = await DB.open('/db', { fs: image, ...options })
    const found = await again.get('long')
    if (found !== undefined) whole++
    expect(found ?? long, where).toEqual(long)
    expect(Number(found !== undefined) + Number(await again.has('behind')) + Number(await again.has('synced')), where).toBeGreaterThanOrEqual(least)
    if (await again.has('behind')) expect(found, where).toBeDefined()
    expect((await again.verify()).ok, where).toBe(true)
    await again.close()
  }
  expect(whole).toBeGreaterThan(0)
  expect(whole).toBeLessThan(images.length)
})
