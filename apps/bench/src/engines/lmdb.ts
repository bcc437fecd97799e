/**
 * lmdb as an {@link Engine}. Batches are synchronous transactions, which measured fastest of the ways lmdb offers (event-turn
 * batching, `batch`, `transaction`, `transactionSync`); what that does to the event loop is seen in its column.
 */
import { createRequire } from 'node:module'
import { open, type RootDatabase } from 'lmdb'
import { packageVersion } from './package-version.js'
import type { Database, Engine, PutOperation, Scan } from './engine.js'

const OPTIONS = { overlappingSync: false, cache: false, compression: false } as const
const CHUNK = { entries: 256, keys: 1024, bytes: 1024 * 1024 }

type Store = RootDatabase<Uint8Array, Uint8Array>

/** The engine. */
export const lmdb: Engine = {
  name: 'lmdb',
  version: packageVersion('lmdb', createRequire(import.meta.url).resolve('lmdb')),
  settings: { noSync: true, ...OPTIONS, encoding: 'binary', keyEncoding: 'binary', batches: 'transactionSync' },
  durability: 'noSync, no overlapping sync: a committed write is with the operating system; survives a crash of the process',
  syncedDurability: 'noSync: false, no overlapping sync: a put resolves once its transaction is on the device',
  collection: null,
  async open(dir, { sync }) {
    return new LmdbDatabase(open<Uint8Array, Uint8Array>({ path: dir, encoding: 'binary', keyEncoding: 'binary', noSync: !sync, ...OPTIONS }))
  },
}

class LmdbDatabase implements Database {
  private readonly store: Store

  constructor(store: Store) {
    this.store = store
  }

  async putBatch(operations: readonly PutOperation[]): Promise<void> {
    this.store.transactionSync(() => {
      for (const { key, value } of operations) this.store.putSync(key, value)
    })
  }

  async deleteBatch(keys: readonly Uint8Array[]): Promise<void> {
    this.store.transactionSync(() => {
      for (const key of keys) this.store.removeSync(key)
    })
  }

  put(key: Uint8Array, value: Uint8Array): Promise<unknown> {
    return this.store.put(key, value)
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.store.get(key)
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    return this.store.get(key)
  }

  scan(): Scan<readonly [Uint8Array, Uint8Array]> {
    const range = this.store.getRange({})[Symbol.iterator]()
    const entries: Iterator<readonly [Uint8Array, Uint8Array]> = {
      next() {
        const step = range.next()
        return step.done === true ? { done: true, value: undefined } : { done: false, value: [step.value.key, step.value.value] }
      },
    }
    return chunked(entries, range, CHUNK.entries, ([key, value]) => key.length + value.length)
  }

  scanKeys(): Scan<Uint8Array> {
    const range = this.store.getKeys({})[Symbol.iterator]()
    return chunked(range, range, CHUNK.keys, (key) => key.length)
  }

  async close(): Promise<void> {
    await this.store.close()
  }
}

function chunked<T>(entries: Iterator<T>, range: Iterator<unknown>, most: number, sizeOf: (item: T) => number): Scan<T> {
  return {
    next() {
      const chunk: T[] = []
      for (let bytes = 0; chunk.length < most && bytes < CHUNK.bytes; ) {
        const step = entries.next()
        if (step.done === true) break
        chunk.push(step.value)
        bytes += sizeOf(step.value)
      }
      return chunk
    },
    close() {
      range.return?.()
    },
  }
}
