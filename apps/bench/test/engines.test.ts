import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Database, Engine, Scan } from '../src/engines/engine.js'
import { AbsentEngineError, ENGINE_NAMES, isEngineName, loadEngine } from '../src/engines/registry.js'
import { temporaryDirectory } from './temporary-directory.js'

const ROOT = temporaryDirectory()
const ENGINES = await Promise.all(ENGINE_NAMES.filter((name) => name !== 'null').map(loadEngine))
const LARGE = new Uint8Array(300_000).map((_, i) => i * 7)

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const text = (value: Uint8Array | undefined): string | undefined => (value === undefined ? undefined : Buffer.from(value).toString())

async function all<T>(scan: Scan<T> | undefined): Promise<T[]> {
  const items: T[] = []
  for (let chunk = await scan!.next(); chunk.length > 0; chunk = await scan!.next()) items.push(...chunk)
  await scan!.close()
  return items
}

async function withDatabase(engine: Engine, work: (db: Database, reopen: () => Promise<Database>) => Promise<void>, sync = false): Promise<void> {
  const dir = join(mkdtempSync(join(ROOT, 'db-')), 'new')
  let db = await engine.open(dir, { sync })
  const reopen = async (): Promise<Database> => {
    await db.close()
    return (db = await engine.open(dir, { sync }))
  }
  try {
    await work(db, reopen)
  } finally {
    await db.close()
  }
}

describe.each(ENGINES)('$name', (engine) => {
  it('keeps what is put, overwritten and deleted, and after it was reopened', () =>
    withDatabase(engine, async (db, reopen) => {
      const operations = ['b', 'a', 'd', 'c'].map((key) => ({ type: 'put', key: bytes(`key/${key}`), value: bytes(`value of ${key}`) }) as const)
      await db.putBatch(operations)
      await db.put(bytes('key/large'), LARGE)
      await db.put(bytes('key/a'), bytes('another'))
      await db.deleteBatch([bytes('key/c'), bytes('key/none')])
      for (const open of [() => db, reopen]) {
        const current = await open()
        expect(text(await current.get(bytes('key/a')))).toBe('another')
        expect(text(await current.get(bytes('key/b')))).toBe('value of b')
        expect(await current.get(bytes('key/c'))).toBeUndefined()
        expect(Buffer.compare((await current.get(bytes('key/large')))!, LARGE)).toBe(0)
        if (current.getSync !== undefined) {
          expect(text(current.getSync(bytes('key/d')))).toBe('value of d')
          expect(current.getSync(bytes('key/c'))).toBeUndefined()
        }
        if (current.scan !== undefined) {
          const entries = await all(current.scan())
          expect(entries.map(([key]) => text(key))).toEqual(['key/a', 'key/b', 'key/d', 'key/large'])
          expect(text(entries[0]?.[1])).toBe('another')
        }
        if (current.scanKeys !== undefined) expect((await all(current.scanKeys())).map(text)).toEqual(['key/a', 'key/b', 'key/d', 'key/large'])
      }
    }))

  it('hands out scans in chunks, whole and in order', () =>
    withDatabase(engine, async (db) => {
      const keys = Array.from({ length: 3000 }, (_, i) => bytes(`k/${String(i).padStart(5, '0')}`))
      await db.putBatch(keys.map((key) => ({ type: 'put', key, value: new Uint8Array(600).fill(key[6]!) })))
      if (db.scan === undefined) return expect(engine.name).toBe('level-blobs')
      const entries = await all(db.scan())
      expect(entries.map(([key]) => text(key))).toEqual(keys.map(text))
      expect(entries.every(([key, value]) => value.length === 600 && value[599] === key[6])).toBe(true)
      if (db.scanKeys !== undefined) expect((await all(db.scanKeys())).length).toBe(3000)
    }))

  it('settles, collects and checks itself without changing anything', () =>
    withDatabase(engine, async (db) => {
      for (let round = 0; round < 3; round++) {
        await db.putBatch(Array.from({ length: 200 }, (_, i) => ({ type: 'put', key: bytes(`k/${i}`), value: bytes(`${round} `.repeat(700)) })))
      }
      await db.settle?.()
      expect(engine.collection === null || db.collect !== undefined || db.collectPass !== undefined).toBe(true)
      await db.collect?.()
      expect(await db.verify?.()).toEqual(db.verify === undefined ? undefined : [])
      expect(text(await db.get(bytes('k/199')))).toBe('2 '.repeat(700))
    }))
})

describe.each(ENGINES.filter(({ syncedDurability }) => syncedDurability !== null))('$name, synced', (engine) => {
  it('takes synced puts', () =>
    withDatabase(
      engine,
      async (db, reopen) => {
        await Promise.all(Array.from({ length: 50 }, (_, i) => db.put(bytes(`k/${i}`), bytes(`v${i}`))))
        expect(text(await (await reopen()).get(bytes('k/49')))).toBe('v49')
      },
      true,
    ))
})

describe('engines', () => {
  it('say what they are', () => {
    for (const { name, version, durability } of ENGINES) {
      expect(isEngineName(name)).toBe(true)
      expect(version, name).toMatch(/^v?\d+\.\d+\.\d+/)
      expect(durability, name).toMatch(/crash of the process/)
    }
  })

  it('that cannot be loaded are absent, with the reason', async () => {
    await expect(loadEngine('missing' as never)).rejects.toThrow(AbsentEngineError)
    await expect(loadEngine('missing' as never)).rejects.toThrow(/missing cannot be loaded here: /)
  })
})
