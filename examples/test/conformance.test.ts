/** The suite of `@wk/gc/testing` on the hosts of the examples and on `@wk/db`, each on the real file system. */
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DB } from '@wk/db'
import { GarbageCollector } from '@wk/gc'
import { testPointerHost, type PointerHost, type PointerHostStore } from '@wk/gc/testing'
import { describe, expect, it } from 'vitest'
import { LevelBlobs } from '../level-blobs/store.js'
import { LmdbBlobs } from '../lmdb-blobs/store.js'

const runs = Number(process.env['WK_RUNS'] ?? 6)
const seed = Number(process.env['WK_SEED'] ?? 1)
const FILE_SIZE = 4096

/** A directory that is opened again and again; a crash goes on with what the operating system had at that moment. */
class DirectoryStore implements PointerHostStore {
  readonly #root = mkdtempSync(join(tmpdir(), 'wk-examples-'))
  readonly #open: (dir: string) => Promise<PointerHost>
  readonly #left: PointerHost[] = []
  #host: PointerHost | undefined
  #life = 0

  constructor(open: (dir: string) => Promise<PointerHost>) {
    this.#open = open
  }

  async open(): Promise<PointerHost> {
    this.#host = await this.#open(this.#dir)
    return this.#host
  }

  async crash(): Promise<void> {
    const before = this.#dir
    this.#life++
    // LevelDB may be compacting: a copy counts only if no file came or went meanwhile.
    for (let isWhole = false; !isWhole; ) {
      const names = namesIn(before)
      rmSync(this.#dir, { recursive: true, force: true })
      try {
        cpSync(before, this.#dir, { recursive: true })
        isWhole = namesIn(before) === names
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      }
    }
    if (this.#host !== undefined) this.#left.push(this.#host)
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#left.map((host) => host.close().catch(() => undefined)))
    rmSync(this.#root, { recursive: true, force: true })
  }

  get #dir(): string {
    return join(this.#root, String(this.#life))
  }
}

const namesIn = (dir: string): string => readdirSync(dir, { recursive: true }).sort().join()

/** After a crash the figures of garbage may be wrong by what was reported last: a recount makes them exact, and from then on they must stay so. */
async function hostOf(store: LmdbBlobs | LevelBlobs): Promise<PointerHost> {
  const gc = new GarbageCollector({ vlog: store.vlog, index: store })
  await gc.recount({ repair: true })
  return {
    put: (key, value) => store.put(key, value),
    delete: (key) => store.delete(key),
    get: (key) => store.get(key),
    flush: () => store.flush(),
    collect: (options) => store.collect(options),
    parts: { vlog: store.vlog, index: store },
    accounting: async () => {
      const sealed = store.vlog.files().filter((file) => file.sealed && !file.retired)
      return { accounted: new Map(sealed.map(({ fid, liveBytes }) => [fid, liveBytes ?? 0])), recounted: await gc.recount() }
    },
    close: () => store.close(),
  }
}

testPointerHost({ describe, it }, 'lmdb', async () => new DirectoryStore(async (dir) => hostOf(await LmdbBlobs.open(dir, { fileSize: FILE_SIZE }))), { runs, seed })
testPointerHost({ describe, it }, 'classic-level', async () => new DirectoryStore(async (dir) => hostOf(await LevelBlobs.open(dir, { fileSize: FILE_SIZE }))), { runs, seed })

describe.each([
  ['lmdb', (dir: string) => LmdbBlobs.open(dir, { fileSize: FILE_SIZE })],
  ['classic-level', (dir: string) => LevelBlobs.open(dir, { fileSize: FILE_SIZE })],
] as const)('writes of one key in one turn: %s', (_, open) => {
  it('the last one counts, and the garbage is what a recount finds', async () => {
    const root = mkdtempSync(join(tmpdir(), 'wk-examples-'))
    try {
      const store = await open(root)
      const keys = ['a', 'b', 'c'].map((name) => new TextEncoder().encode(name))
      for (let round = 0; round < 20; round++) {
        const writes = keys.flatMap((key, i) => [store.put(key, new Uint8Array(100)), store.delete(key), store.put(key, new Uint8Array(200 + round + i))])
        await Promise.all([...writes, store.put(keys[0]!, new Uint8Array(7)), store.delete(keys[1]!)])
        const lengths = await Promise.all(keys.map(async (key) => (await store.get(key))?.length))
        expect(lengths).toEqual([7, undefined, 202 + round])
      }
      const told = store.vlog.files().reduce((sum, { discardBytes = 0 }) => sum + discardBytes, 0)
      const { bytes } = await store.vlog.recountDiscards((asked) => store.lookup(asked))
      expect(told).toBeGreaterThan(0)
      expect(told).toBe(bytes)
      await store.close()
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  })
})

it.each([
  ['lmdb', LmdbBlobs],
  ['classic-level', LevelBlobs],
] as const)('after a failed write close rejects, and closes everything: %s', async (_, { open }) => {
  const root = mkdtempSync(join(tmpdir(), 'wk-examples-'))
  try {
    const store = await open(root, { fileSize: FILE_SIZE })
    const key = new TextEncoder().encode('a')
    await store.put(key, new Uint8Array(100))
    await store.flush()
    // As after a failed write of its own.
    store.vlog.abandon(new Error('the disk is full'))
    await expect(store.put(key, new Uint8Array(200))).rejects.toThrow()
    await expect(store.close()).rejects.toThrow()
    const again = await open(root, { fileSize: FILE_SIZE })
    expect((await again.get(key))?.length).toBe(100)
    await again.close()
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
})

it.each(['lmdb-blobs', 'level-blobs'])('%s is less than 120 lines to copy from', (name) => {
  expect(readFileSync(join(import.meta.dirname, '..', name, 'store.ts'), 'utf8').trimEnd().split('\n').length).toBeLessThan(120)
})

describe.each([false, true])('@wk/db, background collection %s', (auto) => {
  const openDb = async (dir: string): Promise<PointerHost> => {
    const db = await DB.open(dir, { valueThreshold: 64, valueLogFileSize: FILE_SIZE, memTableSize: 64 * 1024, gc: { auto, minGarbage: 2 * FILE_SIZE } })
    return {
      put: (key, value) => db.put(key, value),
      delete: (key) => db.del(key),
      get: (key) => db.get(key),
      flush: () => db.sync(),
      collect: ({ discardRatio, signal }) => db.runValueLogGC(discardRatio, { signal }),
      close: () => db.close(),
    }
  }
  testPointerHost({ describe, it }, '@wk/db', async () => new DirectoryStore(openDb), { runs, seed })
})
