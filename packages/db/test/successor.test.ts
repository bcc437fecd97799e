/** Dead files are removed while groups are written. */
import { MemoryFileSystem } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { openParts } from '../src/open.js'
import { resolveOptions } from '../src/options.js'
import { keep, large, SMALL } from './harness.js'

it('law 11: removal of dead files beside writers fails nobody', async () => {
  const fs = new HoldingFileSystem(new MemoryFileSystem())
  const parts = await openParts('/db', resolveOptions({ ...SMALL, workers: 0, fs }))
  const db = keep(new DB(parts))
  await db.put('a', large(3000, 1))
  await parts.gc!.seal()
  await db.del('a')
  await db.flush()
  await db.compact()
  const isValue = (path: string): boolean => path.endsWith('.vlog')
  const untilHeld = async (count: number): Promise<void> => {
    for (let i = 0; i < 2000 && fs.held.length < count; i++) await turn()
    expect(fs.held.length).toBe(count)
  }
  fs.hold = ({ kind, path }) => (isValue(path) && (kind === 'create' || kind === 'write')) || (kind === 'sync' && path.endsWith('.wal'))
  // The next file is being made for a first group, and dead files are about to be removed.
  const writes = [db.batch([{ type: 'put', key: 'b', value: large(5000, 2) }])]
  await untilHeld(1)
  const removed = parts.gc!.removeDead().catch((error: unknown) => error)
  writes.push(db.put('c', large(3000, 3)))
  // The file, its header, the first group; its log is slow, and the removal writes the second group.
  for (let step = 0; step < 3; step++) {
    await untilHeld(1)
    fs.held.splice(0)[0]!()
  }
  await untilHeld(2)
  writes.push(db.put('d', large(3000, 4)))
  const [log, value] = fs.held.splice(0)
  fs.hold = ({ kind, path }) => isValue(path) && kind === 'write'
  // The log goes on: the second group is on its way and ends its file. What comes now goes to another one.
  log!()
  for (let i = 0; i < 50; i++) await turn()
  writes.push(db.put('e', large(3000, 5)))
  value!()
  for (let i = 0; i < 50; i++) await turn()
  fs.release()
  expect(await Promise.allSettled(writes).then((all) => all.map(({ status }) => status))).toEqual(writes.map(() => 'fulfilled'))
  expect(await removed).toBe(1)
})
