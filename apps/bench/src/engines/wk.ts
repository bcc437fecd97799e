/**
 * `@wk/db` as an {@link Engine}. Memtable and block cache as large as the write buffer and cache of the others (unless its own
 * memory is what is measured), no compression; everything else, background collection included, as it comes.
 */
import { createRequire } from 'node:module'
import { DB, WorkerPool, type DbOptions } from '@wk/db'
import { packageVersion } from './package-version.js'
import type { Database, Engine, EngineName, PutOperation, Scan } from './engine.js'

const MIB = 1024 * 1024
const UNCOMPRESSED = { compression: 'none' } as const
const OPTIONS = { memTableSize: 64 * MIB, blockCacheSize: 64 * MIB, ...UNCOMPRESSED } as const
/** One thread for all databases of the process, that of the warm-up included: those of the native engines outlive a database, too. */
const THREADS = new WorkerPool()
const CHUNK = { entries: 256, keys: 1024, bytes: MIB }
/** A value-log file is collected if at least this share of it is garbage; the rivals' compaction rewrites everything. */
const DISCARD_RATIO = 0.2
/** Far more passes than there can be files: a collection that finds work for ever is an error, not a hang. */
const MAX_PASSES = 10_000

/** A pass of `wk-gc-loop` collects a file with this share of garbage: what the article advises. */
const LOOP_RATIO = 0.5

/** The engine as it comes: the background holds the space target, by relocation, or with values of some KiB in the gaps of older files. */
export const wk: Engine = {
  ...variant('wk', {}),
  collection: `runValueLogGC(${DISCARD_RATIO}) until it answers WK_NO_REWRITE`,
}

/** Long dead ranges come back as holes, where copying them would be worse. */
export const wkHoles: Engine = variant('wk-holes', { gc: { punchHoles: true } })

/** What is alive is copied, whatever the length of values, instead of writing new ones where nothing is. */
export const wkCopies: Engine = variant('wk-copies', { gc: { fillGaps: false } })

/** No collection at all: what garbage collection costs is seen beside it. */
export const wkGcOff: Engine = variant('wk-gc-off', { gc: { auto: false } })

/** The article's way: the application calls `runValueLogGC` in a loop. */
export const wkGcLoop: Engine = {
  ...variant('wk-gc-loop', { gc: { auto: false } }),
  collection: `runValueLogGC(${LOOP_RATIO}) again and again while writing`,
}

function variant(name: EngineName, options: DbOptions): Engine {
  return {
    name,
    version: packageVersion('@wk/db', createRequire(import.meta.url).resolve('@wk/db/package.json')),
    settings: { ...OPTIONS, 'memory in scale': 'its defaults', workers: 'one, for all databases of the process', ...Object.fromEntries(Object.entries(options.gc ?? {}).map(([name, value]) => [`gc.${name}`, value])), 'scan highWaterMarkBytes': CHUNK.bytes },
    durability: 'syncWrites: false (its default): an acknowledged write is with the operating system; survives a crash of the process',
    syncedDurability: 'syncWrites: true: a put resolves once value log and WAL are on the device',
    collection: null,
    async open(dir, { sync, ownMemory, ...own }) {
      const db = await DB.open(dir, { ...(ownMemory === true ? UNCOMPRESSED : OPTIONS), ...options, ...own, workers: THREADS, syncWrites: sync })
      return name === 'wk-gc-loop' ? new LoopedDatabase(db) : new WkDatabase(db)
    },
  }
}

class WkDatabase implements Database {
  protected readonly db: DB

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

  async settle(): Promise<void> {
    await this.db.flush()
    await this.db.compact()
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

/** Collected by its caller, pass by pass. */
class LoopedDatabase extends WkDatabase {
  async collectPass(): Promise<boolean> {
    try {
      await this.db.runValueLogGC(LOOP_RATIO)
      return true
    } catch (error) {
      if ((error as { code?: string }).code !== 'WK_NO_REWRITE') throw error
      return false
    }
  }
}
