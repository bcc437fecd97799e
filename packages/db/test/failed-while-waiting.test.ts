/** A failure in the background while a write is written, or still being made durable, and a flush has passed it: law 9 says what is read then. */
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { openParts } from '../src/open.js'
import { resolveOptions } from '../src/options.js'
import { keep, large, SMALL } from './harness.js'

const OPTIONS = { ...SMALL, workers: 0, gc: { auto: false } }

const turns = async (count = 200): Promise<void> => {
  for (let i = 0; i < count; i++) await turn()
}

it.each([['short', 20], ['long', 20_000]] as const)('law 9: what is in a table already is acknowledged in the turn of a failure, for what it replaced is gone (%s)', async (_, length) => {
  const fs = new FaultFileSystem(new MemoryFileSystem())
  const parts = await openParts('/db', resolveOptions({ ...OPTIONS, fs }))
  const db = keep(new DB(parts))
  await db.put('k', large(length, 1))
  // Writers are slowed from here on.
  let release = (): void => {}
  const slow = new Promise<void>((resolve) => (release = resolve))
  parts.queue.gc = { slowdown: () => slow }
  const second = db.put('k', large(length, 2)).then(() => 2, () => 1)
  const third = db.put('j', large(length, 3)).then(() => true, () => false)
  await turns()
  await Promise.all([parts.tree.flush(), parts.queue.urgent(async () => {})])
  const fourth = db.put('k', large(length, 4)).then(() => 4, () => 0)
  fs.add({ operation: ['sync'], path: /MANIFEST/, errno: 'EIO' })
  await expect(parts.tree.compact({ flush: false })).rejects.toThrow()
  await expect(db.put('x', 'y')).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
  release()
  expect([await second, await third, await fourth]).toEqual([2, true, 0])
  expect(await db.get('k')).toEqual(large(length, 2))
  expect(db.getSync('j')).toEqual(large(length, 3))
})

it('law 9: a value that is being made durable comes into no table before, so the one that it replaced is there if its sync fails', async () => {
  const fault = new FaultFileSystem(new MemoryFileSystem())
  const fs = new HoldingFileSystem(fault)
  const parts = await openParts('/db', resolveOptions({ ...OPTIONS, fs }))
  const db = keep(new DB(parts))
  await db.put('k', 'first')
  fs.hold = ({ kind, path }) => kind === 'sync' && path.endsWith('.wal')
  const second = db.put('k', 'second', { sync: true })
  const flushed = Promise.allSettled([turns().then(() => parts.tree.flush())])
  await turns(1000)
  expect(fs.held.length).toBeGreaterThan(0)
  fault.add({ operation: ['sync'], path: /\.wal$/, errno: 'EIO' })
  fs.release()
  await expect(second).rejects.toMatchObject({ code: 'WK_IO' })
  await flushed
  expect(Buffer.from((await db.get('k'))!).toString()).toBe('first')
})
