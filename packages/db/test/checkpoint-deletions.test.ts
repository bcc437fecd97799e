/** A checkpoint, and deletions that come and go while it is made. */
import { MemoryFileSystem } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { afterEach, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, cleanUp, keep } from './harness.js'

afterEach(cleanUp)

it('a checkpoint knows nothing of deletions that were dropped after it was called', async () => {
  const fs = new HoldingFileSystem(new MemoryFileSystem())
  const db = keep(await DB.open('/db', { ...SMALL, fs }))
  for (let i = 0; i < 50; i++) await db.put(`k${i}`, 'v')
  fs.hold = ({ kind }) => kind === 'link'
  const made = db.checkpoint('/copy')
  while (fs.held.length === 0) await new Promise((resolve) => setImmediate(resolve))
  for (let i = 0; i < 50; i++) await db.del(`k${i}`)
  await db.compact()
  fs.release()
  await made
  const copy = keep(await DB.open('/copy', { ...SMALL, fs }))
  const read = async (since: number): Promise<number> => {
    const backup = copy.backup({ since })
    for (;;) {
      const part = await backup.next()
      if (part.done) return part.value
    }
  }
  const last = await read(0)
  await copy.put('k1', 'new')
  expect(await read(last)).toBe(last + 1)
})
