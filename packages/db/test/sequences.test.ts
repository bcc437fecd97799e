/** CR12: what a torn place in the log takes away keeps its numbers. No write gets the version of one that was lost. */
import { MemoryFileSystem } from '@wk/fs'
import { captureImage, mountImage } from '@wk/testkit'
import { expect, test } from 'vitest'
import { DB } from '../src/index.js'
import { all, keep, SMALL } from './harness.js'

const WRITES = 10

test.each([true, false])('a torn frame amid others, then new writes (background GC %s)', async (auto) => {
  const fs = new MemoryFileSystem()
  const options = { ...SMALL, gc: { auto }, workers: 0 }
  const before = keep(await DB.open('/db', { ...options, fs }))
  const starts: number[] = []
  const walOf = async (): Promise<[string, Uint8Array]> => [...(await captureImage(fs, '/db'))].filter(([name]) => name.endsWith('.wal')).at(-1) ?? ['', new Uint8Array(0)]
  for (let i = 0; i < WRITES; i++) {
    await before.put(`key ${i}`, `value ${i}`)
    starts.push((await walOf())[1].length)
  }
  const highest = (await before.getEntry(`key ${WRITES - 1}`))?.version ?? 0
  const image = new Map(await captureImage(fs.crashClone('P1'), '/db'))
  const [name, bytes] = await walOf()
  const torn = bytes.slice()
  // The last byte of the fourth write: three are left, and six lie behind it whole.
  const at = (starts[3] ?? 0) - 1
  torn[at] = (torn[at] ?? 0) ^ 0xff
  const disk = await mountImage(image.set(name, torn), '/db', true)

  const db = keep(await DB.open('/db', { ...options, fs: disk }))
  expect(await all(db.keys())).toHaveLength(3)
  await db.put('new', 'one')
  expect((await db.getEntry('new'))?.version).toBeGreaterThan(highest)
  await db.close()
  const again = keep(await DB.open('/db', { ...options, fs: disk }))
  expect((await again.getEntry('new'))?.version).toBeGreaterThan(highest)
})
