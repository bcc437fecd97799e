/** Torn tails of the WAL whose values hold numbers of which many might begin a frame: the search behind the damage does not give up on them. */
import { MemoryFileSystem } from '@wk/fs'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'

/** 1,000 bytes: 250 times the number 66,949. */
const numbers = new Uint8Array(new Uint32Array(250).fill(66_949).buffer)

it.each(['P2', 'P3', 'P4'] as const)('law 6: a batch of short values that hold numbers is torn by a loss of power (%s)', async (policy) => {
  const fs = new MemoryFileSystem()
  const images: MemoryFileSystem[] = []
  const db = await DB.open('/db', { fs, valueThreshold: 2048, gc: { auto: false } })
  await db.put('k', 'v', { sync: true })
  await db.batch(Array.from({ length: 300 }, (_, i) => ({ type: 'put', key: `k${i}`, value: numbers })))
  for (let seed = 1; seed <= 12; seed++) images.push(fs.crashClone(policy, seed))
  await db.close()
  const refused: string[] = []
  for (const [i, image] of images.entries()) {
    await DB.open('/db', { fs: image }).then(
      async (again) => {
        expect(await again.get('k')).toEqual(new Uint8Array(Buffer.from('v')))
        await again.close()
      },
      (error: unknown) => refused.push(`seed ${i + 1}: ${String(error)}`),
    )
  }
  expect(refused).toEqual([])
})
