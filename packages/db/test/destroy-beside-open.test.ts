/**
 * `DB.destroy` beside others that open and close the same directory: it looks at what is there once it has the lock, and leaves what
 * came after it.
 */
import { MemoryFileSystem } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, keep, large } from './harness.js'

const DIR = '/data/db'

it('removes what was written until the lock was given up', async () => {
  const inner = new MemoryFileSystem()
  const fs = new HoldingFileSystem(inner)
  const db = await DB.open(DIR, { ...SMALL, fs: inner })
  fs.hold = ({ kind }) => kind === 'lock'
  const destroyed = DB.destroy(DIR, { fs })
  await expect.poll(() => fs.held.length).toBe(1)
  await db.put('k', large(5000))
  await db.close()
  fs.release()
  await destroyed
  await expect(inner.list(DIR)).rejects.toMatchObject({ code: 'WK_IO' })
  const again = keep(await DB.open(DIR, { ...SMALL, fs: inner }))
  expect(await again.has('k')).toBe(false)
})

it('leaves the database that somebody makes in the place of the one that is gone', async () => {
  const inner = new MemoryFileSystem()
  const fs = new HoldingFileSystem(inner)
  await (await DB.open(DIR, { ...SMALL, fs: inner })).close()
  fs.hold = ({ kind }) => kind === 'rmdir'
  const destroyed = DB.destroy(DIR, { fs })
  await expect.poll(() => fs.held.length).toBe(1)
  const next = keep(await DB.open(DIR, { ...SMALL, fs: inner }))
  await next.put('k', 'v')
  fs.release()
  await destroyed
  expect(await next.has('k')).toBe(true)
  await next.close()
  expect(await (await keep(await DB.open(DIR, { ...SMALL, fs: inner }))).has('k')).toBe(true)
})

it('has nothing to do where somebody else removes the directory first', async () => {
  const inner = new MemoryFileSystem()
  const fs = new HoldingFileSystem(inner)
  for (const step of ['lock', 'rmdir'] as const) {
    await (await DB.open(DIR, { ...SMALL, fs: inner })).close()
    fs.hold = ({ kind }) => kind === step
    const destroyed = DB.destroy(DIR, { fs })
    await expect.poll(() => fs.held.length).toBe(1)
    // One that holds the lock still has removed all, the lock as well.
    if (step === 'rmdir') await inner.rmdir(DIR)
    else await DB.destroy(DIR, { fs: inner })
    fs.release()
    await destroyed
    expect(await inner.list('/data')).toEqual([])
  }
})

it('a directory that goes while it is opened is made again, or is not there', async () => {
  const inner = new MemoryFileSystem()
  const fs = new HoldingFileSystem(inner)
  for (const options of [{}, { createIfMissing: false }, { readOnly: true }]) {
    await (await DB.open(DIR, { ...SMALL, fs: inner })).close()
    fs.hold = ({ kind }) => kind === 'lock'
    const opened = DB.open(DIR, { ...SMALL, fs, ...options }).then(
      async (db) => {
        await db.close()
        return 'opened'
      },
      (error: { code?: string }) => error.code,
    )
    await expect.poll(() => fs.held.length).toBe(1)
    await DB.destroy(DIR, { fs: inner })
    fs.release()
    expect(await opened).toBe(Object.keys(options).length === 0 ? 'opened' : 'WK_NOT_FOUND')
  }
})
