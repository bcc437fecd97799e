/** No table is published while a group in it is still being written (docs/adr/0028), also where that began on the calling thread and goes on aside. */
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { openParts } from '../src/open.js'
import { resolveOptions } from '../src/options.js'
import { keep, SMALL } from './harness.js'

const OPTIONS = { ...SMALL, valueThreshold: 1 << 16, workers: 0, gc: { auto: false } }

it('law 9: an unsynced group over two memtables, whose second log fails, hides nothing that was acknowledged before it', async () => {
  const fault = new FaultFileSystem(new MemoryFileSystem())
  const fs = new HoldingFileSystem(fault)
  const parts = await openParts('/db', resolveOptions({ ...OPTIONS, fs }))
  const db = keep(new DB(parts))
  await db.put('k', 'first')
  await db.put('fill', new Uint8Array(30_000))
  await turn()
  // The next log is on its way.
  fs.hold = ({ kind, path }) => kind === 'sync' && path.endsWith('.wal')
  const second = db.put('k', 'second').then(() => 'written', () => 'refused')
  const third = db.put('next', new Uint8Array(40_000)).then(() => 'written', () => 'refused')
  for (let i = 0; i < 1000; i++) await turn()
  expect(fs.held.length).toBeGreaterThan(0)
  const { tables } = db.stats()
  fault.add({ operation: ['sync'], path: /\.wal$/, errno: 'EIO', times: Infinity })
  fs.release()
  expect([await second, await third]).toEqual(['refused', 'refused'])
  const found = await db.get('k')
  expect(found === undefined ? 'nothing' : Buffer.from(found).toString(), `${tables} tables came to be while the group was on its way`).toBe('first')
})
