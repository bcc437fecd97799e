/**
 * Reads and views that are still held when the database is closed: `close()` waits for what was called before it, and nothing of the
 * directory is touched once it has been given up.
 */
import { MemoryFileSystem } from '@wk/fs'
import type { Operation } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { afterEach, describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, cleanUp, large } from './harness.js'

afterEach(cleanUp)

/** Read in several pieces through the pool. */
const LONG = 3_000_000

const isValueRead = ({ kind, path }: Operation): boolean => kind === 'read' && path.endsWith('.vlog')

const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate)
}

async function filled(): Promise<{ fs: HoldingFileSystem; db: DB }> {
  const fs = new HoldingFileSystem(new MemoryFileSystem({ crashable: false }))
  const db = await DB.open('/db', { ...SMALL, fs, workers: 0, valueLogFileSize: 1 << 20 })
  for (let i = 0; i < 4; i++) await db.put(`k${i}`, large(LONG, i))
  await db.flush()
  return { fs, db }
}

/** Closes while reads of values hang. Whether it had ended before they were released. */
async function closeBesideReads(fs: HoldingFileSystem, db: DB): Promise<boolean> {
  await turns()
  expect(fs.held.length).toBeGreaterThan(0)
  let isClosed = false
  const closing = db.close().then(() => (isClosed = true))
  await turns()
  const wasClosed = isClosed
  fs.release()
  await closing
  return wasClosed
}

describe('close() waits for', () => {
  const reads: Record<string, (db: DB) => Promise<unknown>> = {
    get: (db) => db.get('k1'),
    getEntry: async (db) => (await db.getEntry('k1'))?.value,
    getMany: async (db) => (await db.getMany(['k0', 'k1', 'k2', 'k3']))[1],
  }
  it.each(Object.entries(reads))('%s', async (_, read) => {
    const { fs, db } = await filled()
    fs.hold = isValueRead
    const value = read(db)
    expect(await closeBesideReads(fs, db)).toBe(false)
    expect(await value).toEqual(large(LONG, 1))
  })

  it('an iterator whose close nobody has awaited, and whose view pins tables that are gone', async () => {
    const { fs, db } = await filled()
    const iterator = db.iterator()
    const pinned = db.tables().map(({ number }) => number)
    for (const key of ['k0', 'k3']) await db.put(key, 'new')
    await db.compact()
    expect(db.tables().some(({ number }) => pinned.includes(number))).toBe(false)

    fs.hold = isValueRead
    const entry = iterator.next()
    await turns()
    let order = ''
    void iterator.close().then(() => (order += 'iterator '))
    void iterator.close().then(() => (order += 'again '))
    expect(await closeBesideReads(fs, db)).toBe(false)
    order += 'database'
    expect(order).toBe('iterator again database')
    expect((await entry)?.[1]).toEqual(large(LONG, 0))
    // What its view kept is removed by who has the directory, not by the next one.
    expect((await fs.list('/db')).filter((name) => name.endsWith('.sst'))).toHaveLength(1)
  })

  it.each([false, true])('the iterator of a transaction that was given up, readOnly %s', async (readOnly) => {
    const { fs, db } = await filled()
    let entry: Promise<unknown> | undefined
    let giveUp!: () => void
    const transaction = db
      .transaction(
        async (txn) => {
          const iterator = txn.iterator()
          await new Promise<void>((resolve) => (giveUp = resolve))
          entry = iterator.next()
          await turns()
          txn.discard()
          await new Promise(() => {})
        },
        { readOnly },
      )
      .catch(() => undefined)
    void transaction
    await turns()
    for (const key of ['k0', 'k3']) await db.put(key, 'new')
    await db.compact()
    fs.hold = isValueRead
    giveUp()
    await turns()
    const settled = Promise.allSettled([entry])
    await turns()
    expect(await closeBesideReads(fs, db)).toBe(false)
    await settled
    expect((await fs.list('/db')).filter((name) => name.endsWith('.sst'))).toHaveLength(1)
  })
})
