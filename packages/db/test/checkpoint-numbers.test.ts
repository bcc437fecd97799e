/**
 * File numbers after a checkpoint: what the database and its copy write from then on bears different ones (CR8), for a block that one of them gave
 * up may come back, after a crash, in a log of the other.
 */
import { MemoryFileSystem } from '@wk/fs'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, keep, large, text } from './harness.js'

/** Numbers of the files of the tree. */
const numbersOf = async (fs: MemoryFileSystem, dir: string): Promise<number[]> =>
  (await fs.list(dir)).filter((name) => /^MANIFEST-|\.(sst|wal)$/.test(name)).map((name) => Number(/\d+/.exec(name)?.[0]))

it('are those of one of them only', async () => {
  const fs = new MemoryFileSystem()
  const db = keep(await DB.open('/db', { ...SMALL, fs }))
  for (let i = 0; i < 20; i++) await db.put(`k${i}`, large(300, i))
  await db.flush()
  const shared = new Set(await numbersOf(fs, '/db'))
  await db.checkpoint('/copy')
  const seen = { '/db': new Set<number>(), '/copy': new Set<number>() }
  const look = async (dir: keyof typeof seen): Promise<void> => {
    for (const number of await numbersOf(fs, dir)) if (!shared.has(number)) seen[dir].add(number)
  }
  await look('/copy')
  const copy = keep(await DB.open('/copy', { ...SMALL, fs }))
  for (const [one, dir] of [[db, '/db'], [copy, '/copy']] as const) {
    for (let i = 0; i < 5; i++) {
      await one.put(`after ${i}`, 'x')
      await look(dir)
      await one.flush()
      await look(dir)
    }
  }
  expect(seen['/db'].size).toBeGreaterThan(5)
  expect(seen['/copy'].size).toBeGreaterThan(5)
  expect([...seen['/db']].filter((number) => seen['/copy'].has(number))).toEqual([])
})

it('the manifest of a copy is never taken for a frame of the log that is written next', async () => {
  const fs = new MemoryFileSystem()
  const db = await DB.open('/db', { ...SMALL, fs })
  await db.put('before', 'x')
  await db.checkpoint('/copy')
  const images: { fs: MemoryFileSystem; where: string }[] = []
  // Of the first frame after it a crash leaves, among other things, whatever the block held before.
  fs.onMutatingOperation = (index, { kind, path }) => {
    if (kind !== 'sync' || !path.endsWith('.wal')) return
    for (let seed = 0; seed < 200; seed++) images.push({ fs: fs.crashClone('P4', seed), where: `P4, seed ${seed}, before ${index}` })
  }
  // Longer than the manifest of the copy.
  await db.put('after'.padEnd(400), 'y', { sync: true })
  fs.onMutatingOperation = undefined
  await db.close()
  expect(images.length).toBeGreaterThanOrEqual(200)
  for (const image of images) {
    const again = await DB.open('/db', { ...SMALL, fs: image.fs }).catch((cause: unknown) => {
      throw new Error(`${image.where}: ${String(cause)}`, { cause })
    })
    expect(text(await again.get('before')), image.where).toBe('x')
    await again.close()
  }
})
