/** Iterators whose tables cannot be read: what lies before is delivered, the failure is told, and nobody takes it for the end. */
import { errnoOf } from '@wk/codec'
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, cleanUp, keep } from './harness.js'

const COUNT = 20_000
const OPTIONS = { ...SMALL, compression: 'none' } as const
const name = (i: number): string => `k${String(i).padStart(6, '0')}`

afterEach(cleanUp)

async function filled(tableSize: number): Promise<MemoryFileSystem> {
  const fs = new MemoryFileSystem()
  const db = await DB.open('/db', { ...OPTIONS, fs, tableSize, memTableSize: 1 << 20, levelBaseSize: 16 << 20 })
  for (let from = 0; from < COUNT; from += 1000) await db.batch(Array.from({ length: 1000 }, (_, i) => ({ type: 'put', key: name(from + i), value: 'v'.repeat(20) })))
  await db.compact()
  await db.close()
  return fs
}

/** Reads to the end in one way. Returns how many entries came. */
const WAYS: Record<string, (db: DB, reverse: boolean) => Promise<number>> = {
  nextv: async (db, reverse) => {
    const iterator = db.iterator({ reverse })
    let found = 0
    for (let part = await iterator.nextv(1000); part.length > 0; part = await iterator.nextv(1000)) found += part.length
    return found
  },
  all: async (db, reverse) => (await db.iterator({ reverse }).all()).length,
  'all values': async (db, reverse) => (await db.values({ reverse }).all()).length,
  'all keys': async (db, reverse) => (await db.keys({ reverse }).all()).length,
  'for await': async (db, reverse) => {
    let found = 0
    for await (const _ of db.iterator({ reverse })) found++
    return found
  },
  'next, twice after a failure': async (db, reverse) => {
    const iterator = db.iterator({ reverse })
    let found = 0
    for (let failures = 0; ; ) {
      try {
        if ((await iterator.next()) === undefined) return found
        found++
      } catch (error) {
        if (++failures === 3) throw error
      }
    }
  },
}

describe('law 7: damage in the midst of a table', () => {
  let damaged: MemoryFileSystem
  beforeAll(async () => {
    damaged = await filled(1 << 20)
    const table = (await damaged.list('/db')).filter((file) => file.endsWith('.sst')).at(-1)
    const file = await damaged.open(`/db/${table}`, 'update')
    const at = Math.floor((await file.size()) / 2)
    const byte = new Uint8Array(1)
    await file.read(byte, 0, 1, at)
    byte[0]! ^= 0xff
    await file.write(byte, 0, 1, at)
    await file.close()
  })

  for (const [way, read] of Object.entries(WAYS)) {
    it.each([false, true])(`${way}, reverse %s`, async (reverse) => {
      const db = keep(await DB.open('/db', { ...OPTIONS, fs: damaged }))
      await expect(read(db, reverse)).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
    })
  }

  it('a seek behind it goes on there', async () => {
    const db = keep(await DB.open('/db', { ...OPTIONS, fs: damaged }))
    const iterator = db.keys()
    let found = 0
    await expect(
      (async () => {
        while ((await iterator.next()) !== undefined) found++
      })(),
    ).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
    expect(found).toBeGreaterThan(1000)
    iterator.seek(name(COUNT - 10))
    expect(await iterator.all()).toHaveLength(10)
  })
})

it('one read that fails is told by the call that meets it, and not by the next', async () => {
  const memory = await filled(SMALL.tableSize ?? 0)
  let failed = 0
  for (let index = 5; index < 900; index += 60) {
    for (const reverse of [false, true]) {
      const fs = new FaultFileSystem(memory)
      const db = keep(await DB.open('/db', { ...OPTIONS, fs }))
      fs.add({ operation: 'read', path: '.sst', index, errno: 'EIO' })
      const read = async (): Promise<number> => {
        try {
          return await WAYS['all keys']!(db, reverse)
        } catch (error) {
          expect(errnoOf(error)).toBe('EIO')
          failed++
          return WAYS['all keys']!(db, reverse)
        }
      }
      expect(await read(), `read ${index}, reverse ${reverse}`).toBe(COUNT)
      await db.close()
    }
  }
  expect(failed).toBeGreaterThan(5)
})

it.each<[string, (db: DB) => Promise<unknown>]>([
  ['iterator', async (db) => db.iterator()],
  ['iterator of a transaction', (db) => db.transaction((txn) => txn.keys().all())],
  ['backup', (db) => db.backup().next()],
])('a table that cannot be opened ends a new %s, whose view holds on to nothing then', async (_, begin) => {
  const fs = new FaultFileSystem(await filled(1 << 20))
  let db = keep(await DB.open('/db', { ...OPTIONS, fs }))
  await db.put(name(0), 'new')
  await db.close()
  db = keep(await DB.open('/db', { ...OPTIONS, fs }))
  fs.add({ operation: 'open', path: '.sst', errno: 'EMFILE', times: 2 })
  const failure = await begin(db).catch((error: unknown) => error)
  expect(errnoOf(failure)).toBe('EMFILE')
  fs.clear()
  const before = new Set(db.tables().map(({ number }) => number))
  await db.compact()
  const after = db.tables().map(({ number }) => number)
  expect(after.some((number) => before.has(number))).toBe(false)
  await expect.poll(async () => (await fs.list('/db')).filter((file) => file.endsWith('.sst'))).toHaveLength(after.length)
  expect(await WAYS['all keys']!(db, false)).toBe(COUNT)
})
