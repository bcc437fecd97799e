/**
 * A storage adapter of keyv over `@wk/db`: caches and sessions on disk, large values out of compaction, expired entries
 * gone from disk as well.
 *
 * `new Keyv({ store: new KeyvWk(db) })`. Several adapters may share a database; keyv prefixes the keys of a namespace with
 * its name and a colon, and `clear()` and `iterator()` keep to the namespace. The database stays the caller's.
 */
import { EventEmitter } from 'node:events'
import type { DB, RangeOptions } from '@wk/db'
import type { KeyvStoreAdapter, StoredData } from 'keyv'

/** keyv 5 offers `iterator()` only of adapters that say they are one of those it knows. */
const OPTIONS = { url: '', dialect: 'etcd' }

export class KeyvWk extends EventEmitter implements KeyvStoreAdapter {
  readonly opts = OPTIONS
  namespace: string | undefined
  readonly #db: DB

  constructor(db: DB) {
    super()
    this.#db = db
  }

  /** What was set, as text: keyv's serializer does the rest. */
  async get<Value>(key: string): Promise<StoredData<Value> | undefined> {
    return shown<Value>(await this.#db.get(key))
  }

  async getMany<Value>(keys: string[]): Promise<StoredData<Value | undefined>[]> {
    return (await this.#db.getMany(keys)).map((value) => shown<Value>(value))
  }

  async set(key: string, value: string, ttl?: number): Promise<void> {
    await this.#db.put(key, value, expiring(ttl))
  }

  /** All or none of them. */
  async setMany(entries: { key: string; value: string; ttl?: number }[]): Promise<void> {
    await this.#db.batch(entries.map(({ key, value, ttl }) => ({ type: 'put', key, value, ...expiring(ttl) })))
  }

  /** Whether there was anything to delete. Both calls see the database of this moment, so only one of two deletes is told true. */
  async delete(key: string): Promise<boolean> {
    const [had] = await Promise.all([this.#db.has(key), this.#db.del(key)])
    return had
  }

  async deleteMany(keys: string[]): Promise<boolean> {
    const [had] = await Promise.all([this.hasMany(keys), this.#db.batch(keys.map((key) => ({ type: 'del', key })))])
    return had.includes(true)
  }

  async clear(): Promise<void> {
    await this.#db.clear(rangeOf(this.namespace))
  }

  has(key: string): Promise<boolean> {
    return this.#db.has(key)
  }

  hasMany(keys: string[]): Promise<boolean[]> {
    return Promise.all(keys.map((key) => this.#db.has(key)))
  }

  /** Keys with their prefix, and values, as they were when it began. */
  async *iterator<Value>(namespace: string | undefined = this.namespace): AsyncGenerator<(string | Awaited<Value> | undefined)[], void> {
    for await (const [key, value] of this.#db.iterator(rangeOf(namespace))) yield [text(key), shown<Value>(value) as Awaited<Value>]
  }

  /** The database belongs to the caller, who closes it. */
  async disconnect(): Promise<void> {}
}

/** keyv looks at the exact moment of expiry itself; the engine, in whole seconds, removes what is past. */
function expiring(ttl: number | undefined): { ttl?: number } {
  return ttl === undefined ? {} : { ttl: ttl / 1000 }
}

function rangeOf(namespace: string | undefined): RangeOptions {
  return namespace === undefined ? {} : { gte: `${namespace}:`, lt: `${namespace};` }
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const text = (bytes: Uint8Array): string => decoder.decode(bytes)

function shown<Value>(bytes: Uint8Array | undefined): StoredData<Value> | undefined {
  return bytes === undefined ? undefined : (text(bytes) as unknown as StoredData<Value>)
}
