/**
 * `@wk/db` as an {@link Engine}. Memtable and block cache as large as the write buffer and cache of the others, no compression;
 * everything else, background collection included, as it comes.
 */
import { createRequire } from 'node:module'
import { DB } from '@wk/db'
import { packageVersion } from './package-version.js'
import type { Database, Engine, PutOperation, Scan } from './engine.js'

const MIB = 1024 * 1024
const OPTIONS = { memTableSize: 64 * MIB, blockCacheSize: 64 * MIB, compression: 'none', syncWrites: false } as const
const CHUNK = { entries: 256, keys: 1024, bytes: MIB }
/** A value-log file is collected if at least this share of it is garbage; the rivals' compaction rewrites everything. */
const DISCARD_RATIO = 0.2
/** Far more passes than there can be files: a collection that finds work for ever is an error, not a hang. */
const MAX_PASSES = 10_000

/** The engine. */
export const wk: Engine = {
  name: 'wk',
  version: packageVersion('@wk/db', createRequire(import.meta.url).resolve('@wk/db/package.json')),
  settings: { ...OPTIONS, 'scan highWaterMarkBytes': CHUNK.bytes },
  durability: 'syncWrites: false (its default): an acknowledged write is with the operating system; survives a crash of the process',
  collection: `runValueLogGC(${DISCARD_RATIO}) until it answers WK_NO_REWRITE`,
  async open(dir) {
    return new WkDatabase(await DB.open(dir, OPTIONS))
  },
}

class WkDatabase implements Database {
  private readonly db: DB

  constructor(db: DB) {
    this.db = db
  }

  putBatch(operations: readonly PutOperation[]): Promise<void> {
    return this.db.batch(operations)
  }

  deleteBatch(keys: readonly Uint8Array[]): Promise<void> {
    return this.db.batch(keys.map((key) => ({ type: 'del', key })))
  }

  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.db.put(key, value)
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.db.get(key)
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    return this.db.getSync(key)
  }

  scan(): Scan<readonly [Uint8Array, Uint8Array]> {
    const iterator = this.db.iterator({ highWaterMarkBytes: CHUNK.bytes })
    return { next: () => iterator.nextv(CHUNK.entries), close: () => iterator.close() }
  }

  scanKeys(): Scan<Uint8Array> {
    const iterator = this.db.keys({ highWaterMarkBytes: CHUNK.bytes })
    return { next: () => iterator.nextv(CHUNK.keys), close: () => iterator.close() }
  }

  async collect(): Promise<string> {
    let passes = 0
    let moved = 0
    let reclaimed = 0
    while (passes < MAX_PASSES) {
      try {
        const report = await this.db.runValueLogGC(DISCARD_RATIO)
        passes++
        moved += report.bytesMoved
        reclaimed += report.bytesReclaimed
      } catch (error) {
        if ((error as { code?: string }).code !== 'WK_NO_REWRITE') throw error
        const mb = (bytes: number): string => (bytes / 1e6).toFixed(1)
        return `runValueLogGC(${DISCARD_RATIO}), ${passes} passes: ${mb(moved)} MB moved, ${mb(reclaimed)} MB reclaimed`
      }
    }
    throw new Error(`value-log garbage collection found work ${MAX_PASSES} times`)
  }

  async verify(): Promise<string[]> {
    const report = await this.db.verify()
    const problems = report.problems.map(({ file, offset, code, message }) => `${code} ${file} at ${offset ?? '-'}: ${message}`)
    return report.ok || problems.length > 0 ? problems : ['verify() answered ok: false without a problem']
  }

  stats(): Record<string, number> {
    return { ...this.db.stats() }
  }

  close(): Promise<void> {
    return this.db.close()
  }
}
