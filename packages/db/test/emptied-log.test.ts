/** A value log that lost all its records to damage, of which only the WAL tells: found by C3 of the durability campaign at release size. */
import { MemoryFileSystem } from '@wk/fs'
import { SMALLEST } from '@wk/testkit'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'

const OPTIONS = { ...SMALLEST, workers: 0 }

/** Values in the first of several value logs that no table refers to, promised by later frames of the WAL; killed. */
async function killed(): Promise<MemoryFileSystem> {
  const fs = new MemoryFileSystem()
  const db = await DB.open('/db', { ...OPTIONS, fs })
  for (let i = 0; i < 12; i++) {
    const put = (key: string): { type: 'put'; key: string; value: Uint8Array } => ({ type: 'put', key: `${key}${i}`, value: new Uint8Array(600).fill(i) })
    await db.batch([put('a'), put('b')], { sync: true })
  }
  const image = fs.crashClone('P1', 1)
  await db.close()
  return image
}

async function logsOf(fs: MemoryFileSystem): Promise<string[]> {
  return (await fs.list('/db')).filter((name) => name.endsWith('.vlog')).sort()
}

it.each([0, 20])('law 6: a value log with promised records that was cut to %i bytes is damage, and stays as it was found', async (length) => {
  const fs = await killed()
  const before = await logsOf(fs)
  expect(before.length).toBeGreaterThan(2)
  const path = `/db/${before[0]!}`
  const file = await fs.open(path, 'update')
  await file.truncate(length)
  await file.close()
  for (let attempt = 0; attempt < 2; attempt++) {
    await expect(DB.open('/db', { ...OPTIONS, fs })).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
    expect(await logsOf(fs)).toEqual(before)
  }
  const found = await fs.open(path, 'read')
  expect(await found.size()).toBe(length)
  await found.close()
})
