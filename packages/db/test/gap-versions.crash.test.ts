/** Versions of records that lie in gaps and whose operations a crash took: nobody finds them, and they are not given again (CR12). */
import { MemoryFileSystem, type FileSystem } from '@wk/fs'
import { HoldingFileSystem, SMALLEST, withGaps } from '@wk/testkit'
import { expect, it } from 'vitest'
import type { DB } from '../src/index.js'
import { openBounded } from '../src/testing.js'
import { keep, large } from './harness.js'
import { placeOf } from './value-place.js'

const open = (fs: FileSystem): Promise<DB> => openBounded('/db', { ...withGaps(SMALLEST), fs, workers: 0, gc: { auto: false, fillGaps: true } })
const turns = async (count = 30): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

const LENGTH = 450

/** A crash that takes the log of writes whose records in gaps are durable, with a mark of the manifest behind all gap files. */
async function lose(): Promise<{ image: MemoryFileSystem; lost: Map<string, number> }> {
  const memory = new MemoryFileSystem()
  const fs = new HoldingFileSystem(memory)
  const db = keep(await open(fs))
  for (let i = 10; i < 38; i++) await db.put(`k${i}`, large(LENGTH, i))
  for (let i = 10; i < 38; i += 2) await db.put(`k${i}`, large(LENGTH, 50 + i))
  for (let i = 11; i < 24; i += 4) await db.del(`k${i}`)
  await db.compact()
  const gapsLeft = (): boolean => db.valueLogFiles().some(({ state }) => state === 'filling')
  expect(gapsLeft()).toBe(true)
  for (let i = 10; db.stats().gcBytesFilled === 0; i++) await db.put(`x${i}`, large(LENGTH, 100 + i))
  await db.sync()
  await db.put('w', large(LENGTH, 199))
  // The flush begins, and with it a sync of the value log, which takes its time ...
  fs.hold = ({ kind, path }) => kind === 'sync' && path.endsWith('.vlog')
  const flushed = db.flush()
  await turns()
  expect(fs.held.length).toBeGreaterThan(0)
  // ... while others write, to the end of all gaps and into a new file; their log is never synced.
  const lost = new Map<string, number>()
  for (let i = 0; i < 17; i++) {
    const key = `y${i}`
    void db.put(key, large(LENGTH, 200 + i)).catch(() => undefined)
    await turns(3)
    lost.set(key, (await db.getEntry(key))!.version)
  }
  fs.release()
  await flushed
  return { image: memory.crashClone('P0', 1), lost }
}

it('CR12: versions of records that lie in gaps below the mark are not given again', async () => {
  const { image, lost } = await lose()
  const next = keep(await open(image.crashClone('P1')))
  await next.put('z', large(LENGTH, 1))
  const { version } = (await next.getEntry('z'))!
  let durable = 0
  for (const [key, used] of lost) {
    if ((await next.has(key)) || (await placeOf(image, large(LENGTH, 200 + Number(key.slice(1))))) === undefined) continue
    durable++
    expect(version, `above that of ${key}`).toBeGreaterThan(used)
  }
  expect(durable, 'records that are there, of operations that are not').toBeGreaterThan(0)
})

it('laws 1 and 4: a lost record in a gap is not taken for the write of a next life in its place', async () => {
  const { image, lost } = await lose()
  const [key = ''] = lost.keys()
  const next = keep(await open(image))
  expect(await next.has(key)).toBe(false)
  const old = (await placeOf(image, large(LENGTH, 200)))!
  await next.compact()
  await next.put(key, large(LENGTH, 7))
  const now = await placeOf(image, large(LENGTH, 7))
  expect({ path: now?.path, at: now?.at }).toEqual({ path: old.path, at: old.at })
  // The log of this write got to the disk, its record did not.
  const again = image.crashClone('P1')
  const file = await again.open(old.path, 'update')
  const from = old.at - 40
  await file.write(old.file, from, LENGTH + 60, from)
  await file.close()
  const last = keep(await open(again))
  expect(await last.get(key)).not.toEqual(large(LENGTH, 200))
})
