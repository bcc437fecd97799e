/**
 * RocksDB through rocksdb-native, as it is and with blob files (BlobDB), as two {@link Engine}s.
 *
 * The package takes no size for the block cache, no compression and no sync option: cache and compression are RocksDB's own
 * defaults, and there are no synced rows. Blob files get a size, since the package's default of 0 makes one file a value.
 */
import { createRequire } from 'node:module'
import { packageVersion } from './package-version.js'
import type { Database, Engine, EngineName, PutOperation, Scan } from './engine.js'

const MIB = 1024 * 1024
const SETTINGS = { writeBufferSize: 64 * MIB } as const
const BLOBS = { enableBlobFiles: true, minBlobSize: 512, blobFileSize: 256 * MIB, enableBlobGarbageCollection: true } as const
/** Entries that the binding fetches at once in a scan; its default of 8 makes scans slow. */
const FETCH = 256
const CHUNK = { keys: 1024, bytes: MIB }

interface Batch {
  tryPut(key: Uint8Array, value: Uint8Array): void
  tryDelete(key: Uint8Array): void
  flush(): Promise<void>
}

interface Compaction {
  readonly bottommostLevelCompaction: number
  readonly blobGarbageCollectionPolicy?: number
  readonly blobGarbageCollectionAgeCutoff?: number
}

/** The part of rocksdb-native that is used; the package has no declarations. */
interface Rocks {
  ready(): Promise<void>
  close(): Promise<void>
  get(key: Uint8Array): Promise<Uint8Array | null>
  put(key: Uint8Array, value: Uint8Array): Promise<void>
  write(options: { capacity: number; autoDestroy: boolean }): Batch
  iterator(range: object, options: { capacity: number; values: boolean }): AsyncIterable<{ key: Uint8Array; value: Uint8Array }>
  flush(): Promise<void>
  compactRange(options: Compaction): Promise<void>
}

interface RocksPackage {
  new (path: string, options: object): Rocks
  readonly constants: {
    readonly bottommostLevelCompaction: { readonly FORCE: number }
    readonly garbageCollectionPolicy: { readonly FORCE: number }
  }
}

const require = createRequire(import.meta.url)
const RocksDB = require('rocksdb-native') as RocksPackage

/** RocksDB as it is. */
export const rocksdb: Engine = engine('rocksdb', SETTINGS, 'compactRange over all keys')
/** RocksDB with its values in blob files, and its own collection of them. */
export const rocksdbBlobs: Engine = engine('rocksdb-blobs', { ...SETTINGS, ...BLOBS }, 'compactRange over all keys, collecting every blob file')

function engine(name: EngineName, options: Engine['settings'], collection: string): Engine {
  return {
    name,
    version: packageVersion('rocksdb-native', require.resolve('rocksdb-native')),
    settings: { ...options, 'scan capacity': FETCH },
    durability: 'no sync option: an acknowledged write is in the write-ahead log, with the operating system; survives a crash of the process',
    syncedDurability: null,
    unordered: true,
    collection,
    async open(dir) {
      const rocks = new RocksDB(dir, options)
      await rocks.ready()
      return new RocksDatabase(rocks, collection)
    },
  }
}

class RocksDatabase implements Database {
  private readonly rocks: Rocks
  private readonly collection: string

  constructor(rocks: Rocks, collection: string) {
    this.rocks = rocks
    this.collection = collection
  }

  putBatch(operations: readonly PutOperation[]): Promise<void> {
    const batch = this.rocks.write({ capacity: operations.length, autoDestroy: true })
    for (const { key, value } of operations) batch.tryPut(key, value)
    return batch.flush()
  }

  deleteBatch(keys: readonly Uint8Array[]): Promise<void> {
    const batch = this.rocks.write({ capacity: keys.length, autoDestroy: true })
    for (const key of keys) batch.tryDelete(key)
    return batch.flush()
  }

  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.rocks.put(key, value)
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return (await this.rocks.get(key)) ?? undefined
  }

  scan(): Scan<readonly [Uint8Array, Uint8Array]> {
    return this.chunked(true, FETCH, ({ key, value }) => [key, value], ([key, value]) => key.length + value.length)
  }

  scanKeys(): Scan<Uint8Array> {
    return this.chunked(false, CHUNK.keys, ({ key }) => key, (key) => key.length)
  }

  async settle(): Promise<void> {
    await this.rocks.flush()
    await this.rocks.compactRange({ bottommostLevelCompaction: RocksDB.constants.bottommostLevelCompaction.FORCE })
  }

  async collect(): Promise<string> {
    await this.rocks.flush()
    await this.rocks.compactRange({
      bottommostLevelCompaction: RocksDB.constants.bottommostLevelCompaction.FORCE,
      blobGarbageCollectionPolicy: RocksDB.constants.garbageCollectionPolicy.FORCE,
      blobGarbageCollectionAgeCutoff: 1,
    })
    return this.collection
  }

  close(): Promise<void> {
    return this.rocks.close()
  }

  private chunked<T>(
    values: boolean,
    most: number,
    take: (entry: { key: Uint8Array; value: Uint8Array }) => T,
    sizeOf: (item: T) => number,
  ): Scan<T> {
    const entries = this.rocks.iterator({}, { capacity: FETCH, values })[Symbol.asyncIterator]()
    return {
      async next() {
        const chunk: T[] = []
        for (let bytes = 0; chunk.length < most && bytes < CHUNK.bytes; ) {
          const step = await entries.next()
          if (step.done === true) break
          const item = take(step.value)
          chunk.push(item)
          bytes += sizeOf(item)
        }
        return chunk
      },
      async close() {
        await entries.return?.()
      },
    }
  }
}
