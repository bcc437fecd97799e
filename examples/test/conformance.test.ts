/** The suite of `@wk/gc/testing` on the hosts of the examples and on `@wk/db`, each on the real file system. */
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DB } from '@wk/db'
import { testPointerHost, type PointerHost, type PointerHostStore } from '@wk/gc/testing'
import { describe, it } from 'vitest'
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

function hostOf(store: LmdbBlobs | LevelBlobs): PointerHost {
  return {
    put: (key, value) => store.put(key, value),
    delete: (key) => store.delete(key),
    get: (key) => store.get(key),
    flush: () => store.flush(),
    collect: (options) => store.collect(options),
    parts: { vlog: store.vlog, index: store },
    close: () => store.close(),
  }
}

testPointerHost({ describe, it }, 'lmdb', async () => new DirectoryStore(async (dir) => hostOf(await LmdbBlobs.open(dir, { fileSize: FILE_SIZE }))), { runs, seed })
testPointerHost({ describe, it }, 'classic-level', async () => new DirectoryStore(async (dir) => hostOf(await LevelBlobs.open(dir, { fileSize: FILE_SIZE }))), { runs, seed })

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
