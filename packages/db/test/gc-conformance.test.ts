/**
 * The suite of `@wk/gc/testing` on the database itself, on a file system that loses power: what it promises to hosts that
 * keep pointers of their own, the engine keeps too. Live bytes, all files together, are recounted from what can be read.
 */
import { MemoryFileSystem, type CrashPolicy } from '@wk/fs'
import { testPointerHost, type LiveBytesAccounts, type PointerHost, type PointerHostStore } from '@wk/gc/testing'
import { describe, it } from 'vitest'
import { DB } from '../src/index.js'
import { SMALL, all } from './harness.js'

const runs = Math.max(1, Math.round(10 * Number(process.env['WK_RUNS'] ?? 1)))
const seed = Number(process.env['WK_SEED'] ?? 1)
const POLICIES: readonly CrashPolicy[] = ['P0', 'P1', 'P2', 'P3']
const TOTAL = 0

type GcOptions = NonNullable<NonNullable<Parameters<typeof DB.open>[1]>['gc']>

class DatabaseStore implements PointerHostStore {
  #fs = new MemoryFileSystem()
  readonly #gc: GcOptions
  readonly #opened: DB[] = []
  #crashes = 0

  constructor(gc: GcOptions) {
    this.#gc = gc
  }

  async open(): Promise<PointerHost> {
    const db = await DB.open('/db', { ...SMALL, fs: this.#fs, gc: this.#gc })
    this.#opened.push(db)
    return {
      put: (key, value) => db.put(key, value),
      delete: (key) => db.del(key),
      get: (key) => db.get(key),
      flush: () => db.sync(),
      collect: ({ discardRatio, signal }) => db.runValueLogGC(discardRatio, { signal }),
      accounting: () => accountsOf(db, this.#fs),
      close: () => db.close(),
    }
  }

  async crash(): Promise<void> {
    this.#crashes++
    this.#fs = this.#fs.crashClone(POLICIES[this.#crashes % POLICIES.length] ?? 'P0', this.#crashes)
  }

  async destroy(): Promise<void> {
    for (const db of this.#opened) await db.close()
  }
}

/** Bytes of a record of the value log (docs/format.md): flags, lengths as varints, no expiry, key with version, value, checksum. */
function recordLength(key: number, value: number): number {
  return 2 + 1 + (value < 128 ? 1 : 2) + 1 + key + 8 + value + 4
}

/**
 * Accounted and recounted live bytes of a copy of the database, compacted: there only what is visible is alive, so the sum of what an iterator
 * shows is the truth. The database itself goes on with its overwritten versions, as if nobody had looked.
 */
async function accountsOf(db: DB, fs: MemoryFileSystem): Promise<LiveBytesAccounts> {
  const { problems } = await db.verify()
  if (problems.length > 0) throw new Error(`verify: ${problems.map(({ message }) => message).join('; ')}`)
  const copy = await DB.open('/db', { ...SMALL, fs: fs.crashClone('P1') })
  try {
    await copy.flush()
    await copy.compact()
    let visible = 0
    for (const [key, value] of await all(copy.iterator())) if (value.length >= SMALL.valueThreshold!) visible += recordLength(key.length, value.length)
    const { valueLogLiveBytes } = copy.stats()
    return { accounted: new Map([[TOTAL, valueLogLiveBytes]]), recounted: new Map([[TOTAL, visible]]) }
  } finally {
    await copy.close()
  }
}

describe.each([
  ['collected by calls only', { auto: false }],
  ['collected in the background as well', { auto: true, minGarbage: 2 * 4096 }],
] satisfies [string, GcOptions][])('@wk/db, %s', (_, gc) => {
  testPointerHost({ describe, it }, '@wk/db', async () => new DatabaseStore(gc), { runs, seed })
})
