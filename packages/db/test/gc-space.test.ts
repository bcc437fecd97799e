/**
 * The space target is held by the background alone: bytes on disk against keys and values of a model, while writing and after.
 */
import { errnoOf } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { Rng } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { keep, large, type Options } from './harness.js'

const OPTIONS: Options = {
  valueThreshold: 64,
  memTableSize: 256 * 1024,
  valueLogFileSize: 32 * 1024,
  tableSize: 32 * 1024,
  levelBaseSize: 64 * 1024,
  gc: { auto: true, minGarbage: 64 * 1024, maxSpaceAmp: 1.3 },
}

interface Churn {
  keys: number
  length: number
  overwrites: number
  inFlight: number
  draw(rng: Rng): number
}

const keyOf = (i: number): string => `key ${String(i).padStart(8, '0')}`

/** Bytes of value logs, tables and WALs, read from the file system. */
async function diskBytes(fs: MemoryFileSystem): Promise<number> {
  let bytes = 0
  for (const name of await fs.list('/db')) {
    if (!/\.(vlog|rlog|sst|wal|tmp)$/.test(name)) continue
    const file = await fs.open(`/db/${name}`, 'read').catch((error: unknown) => {
      // Unlinked since the directory was read.
      if (errnoOf(error) === 'ENOENT') return undefined
      throw error
    })
    bytes += file?.sizeSync() ?? 0
    file?.closeSync()
  }
  return bytes
}

/** Waits until no more than so many bytes are on the disk; what the background still has to do it may do when nobody writes any more. */
async function expectDisk(fs: MemoryFileSystem, most: number): Promise<void> {
  await expect.poll(() => diskBytes(fs), { timeout: 30_000, interval: 20 }).toBeLessThan(most)
}

/** Waits until the background has nothing to do. */
async function rest(db: DB): Promise<void> {
  let before = ''
  for (let same = 0, turns = 0; same < 75; turns++) {
    if (turns > 5000) throw new Error('the background does not come to rest')
    await new Promise((resolve) => setTimeout(resolve, 2))
    const { gcBytesMoved, gcFilesCollected, compactions, flushes } = db.stats()
    const now = [gcBytesMoved, gcFilesCollected, compactions, flushes].join()
    same = now === before ? same + 1 : 0
    before = now
  }
}

/** Returns the most bytes on the disk over live bytes while overwriting, WAL included; afterwards they come down by themselves. */
async function churn(fs: MemoryFileSystem, db: DB, { keys, length, overwrites, inFlight, draw }: Churn): Promise<number> {
  const rng = new Rng(7)
  const live = keys * (keyOf(0).length + length)
  const value = large(length)
  for (let i = 0; i < keys; i += inFlight) {
    await Promise.all(Array.from({ length: Math.min(inFlight, keys - i) }, (_, j) => db.put(keyOf(i + j), value)))
  }
  let highest = 0
  for (let i = 0; i < overwrites; i += inFlight) {
    await Promise.all(Array.from({ length: inFlight }, () => db.put(keyOf(draw(rng)), value)))
    highest = Math.max(highest, (await diskBytes(fs)) / live)
  }
  await expectDisk(fs, 1.5 * live)
  return highest
}

/** Most draws go to few keys. */
const skewed = (keys: number) => (rng: Rng) => Math.floor(keys * (rng.next() / 2 ** 32) ** 6)
const uniform = (keys: number) => (rng: Rng) => rng.below(keys)

describe.each([false, true])('the background holds maxSpaceAmp, fillGaps %s', (fillGaps) => {
  const KEYS = 3000
  const options: Options = { ...OPTIONS, gc: { ...OPTIONS.gc, fillGaps } }

  it.each([
    ['uniform', 1000, uniform(KEYS)],
    ['skewed', 1000, skewed(KEYS)],
    ['uniform, large values', 8000, uniform(KEYS / 4)],
  ] as const)('%s overwrites of %i bytes', async (_, length, draw) => {
    const fs = new MemoryFileSystem({ crashable: false })
    const db = keep(await DB.open('/db', { ...options, fs }))
    const keys = length > 1000 ? KEYS / 4 : KEYS
    const highest = await churn(fs, db, { keys, length, overwrites: 5 * keys, inFlight: 32, draw })
    // Bounds that hold on any machine for three megabytes; the WAL, and what a pass copies before it gives it back, are on
    // the disk as well. Without collection it would be 6.
    expect(highest).toBeLessThan(2.5)
    const { spaceAmp, estimatedSpaceAmp, gcBytesMoved, gcBytesFilled, gcSlowdowns } = db.stats()
    expect(estimatedSpaceAmp).toBeLessThan(1.7)
    expect(spaceAmp).toBeLessThanOrEqual(estimatedSpaceAmp)
    if (fillGaps) expect(gcBytesFilled).toBeGreaterThan(0)
    else {
      expect(gcBytesFilled).toBe(0)
      expect(gcBytesMoved).toBeGreaterThan(0)
      expect(gcSlowdowns).toBeGreaterThan(0)
    }
    const verified = await db.verify()
    expect(verified.problems).toEqual([])
  })

  it('nothing is copied while nothing is overwritten', async () => {
    const db = keep(await DB.open('/db', { ...options, fs: new MemoryFileSystem({ crashable: false }) }))
    for (let i = 0; i < 3000; i += 50) await Promise.all(Array.from({ length: 50 }, (_, j) => db.put(keyOf(i + j), large(1000))))
    await rest(db)
    const { gcBytesMoved, gcSlowdowns, hiddenBytes } = db.stats()
    expect({ gcBytesMoved, gcSlowdowns, hiddenBytes }).toEqual({ gcBytesMoved: 0, gcSlowdowns: 0, hiddenBytes: 0 })
  })

  it('deletes alone bring the disk down as well', async () => {
    const fs = new MemoryFileSystem({ crashable: false })
    const db = keep(await DB.open('/db', { ...options, fs }))
    for (let i = 0; i < 3000; i += 50) await Promise.all(Array.from({ length: 50 }, (_, j) => db.put(keyOf(i + j), large(1000))))
    for (let i = 0; i < 3000; i += 50) await Promise.all(Array.from({ length: 50 }, (_, j) => ((i + j) % 3 === 0 ? undefined : db.del(keyOf(i + j)))))
    await expectDisk(fs, 1.4 * 1000 * 1012)
    expect(await db.get(keyOf(3))).toEqual(large(1000))
    expect(await db.get(keyOf(4))).toBeUndefined()
  })
})
