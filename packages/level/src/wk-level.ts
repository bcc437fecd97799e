/**
 * The database: what `abstract-level` asks of an implementation (its methods with a leading underscore), each a call of
 * the engine with formats and errors turned around. `abstract-level` does the rest before and after: state, deferred
 * open, encodings, sublevels, hooks, events.
 *
 * Every operation calls the engine before it waits for anything: reads take their snapshot at the call, and writes are
 * visible to whatever is called next.
 */
/* oxlint-disable typescript/no-unsafe-declaration-merging -- the interface tells options of ours to methods that the base class has */
import { AbstractLevel } from 'abstract-level'
import type { AbstractBatchOperation, AbstractChainedBatch, AbstractIterator, AbstractKeyIterator, AbstractSnapshot, AbstractValueIterator, Transcoder } from 'abstract-level'
import { DB } from '@wk/db'
import type { BatchOperation, HealthEvent, MaintenanceOptions, ReadOptions, RepairOptions, RepairReport, WriteOptions } from '@wk/db'
import { WkChainedBatch } from './chained-batch.js'
import { levelError, notOpen, openError } from './error-codes.js'
import { fromEngine, ownCopy, toEngine } from './format.js'
import type { Stored } from './format.js'
import { WkIterator, WkKeyIterator, WkValueIterator, engineRange } from './iterator.js'
import type { IteratorRequest } from './iterator.js'
import { engineOptions, writeOptions } from './options.js'
import type {
  WkLevelBatchOptions,
  WkLevelClearOptions,
  WkLevelCompactOptions,
  WkLevelDelOptions,
  WkLevelIteratorOptions,
  WkLevelKeyIteratorOptions,
  WkLevelOpenOptions,
  WkLevelOptions,
  WkLevelPutOptions,
  WkLevelRangeOptions,
  WkLevelValueIteratorOptions,
} from './options.js'
import { propertyOf } from './property.js'
import { WkSnapshot } from './snapshot.js'

/** Keys that `hasMany` looks up in one turn. */
const KEYS_AT_ONCE = 64

/** Options of a read as `abstract-level` hands them over. */
interface ReadRequest {
  snapshot?: AbstractSnapshot | null | undefined
  valueEncoding?: string
}

type ClearRequest = Omit<IteratorRequest, 'keyEncoding' | 'valueEncoding' | 'signal'> & MaintenanceOptions & { sync?: boolean }

const MANIFEST = {
  // Asked for bytes we return bytes, asked for text we decode it ourselves; the other encodings are made of these two.
  encodings: { utf8: true, view: true },
  has: true,
  getSync: true,
  createIfMissing: true,
  errorIfExists: true,
  explicitSnapshots: true,
  additionalMethods: { approximateSize: true, compactRange: true, getProperty: true },
  signals: { iterators: true },
  events: { health: true, warning: true },
}

/**
 * An `abstract-level` database over `@wk/db`, in one directory, owned by one thread of one process.
 *
 * Emits, beside Level's events, `health` (`{ state, cause }`) when a failure turns it read-only, and `warning` (`{ code, message }`) when
 * background work has to be done on the calling thread.
 *
 * @typeParam KDefault type of keys where an operation has no `keyEncoding` of its own
 * @typeParam VDefault likewise of values
 */
export class WkLevel<KDefault = string, VDefault = string> extends AbstractLevel<Stored, KDefault, VDefault> {
  readonly #location: string
  #db: DB | undefined
  /** Calls that look up many keys: `close()` comes when they are answered, as it does behind any other read. */
  readonly #lookups = new Set<Promise<unknown>>()

  /**
   * @param location directory; made at open unless `createIfMissing` is false
   * @param options encodings, options of open, and any option of `DB.open`
   */
  constructor(location: string, options?: WkLevelOptions<KDefault, VDefault>) {
    assertLocation(location)
    super(MANIFEST, options as WkLevelOptions<KDefault, VDefault>)
    this.#location = location
  }

  /** The directory as it was given to the constructor. */
  get location(): string {
    return this.#location
  }

  /**
   * The engine, while the database is open: `flush`, `gc`, `verify`, `stats` and the rest of it. What is written through
   * it passes by Level's hooks and `write` events.
   * @throws `LEVEL_DATABASE_NOT_OPEN`
   */
  get engine(): DB {
    if (this.#db === undefined) throw notOpen()
    return this.#db
  }

  /**
   * Merges the tables that may hold keys of the range downwards and drops what nobody can see any more. Space in value
   * logs is `engine.gc()`'s.
   */
  async compactRange<K = KDefault>(start: K, end: K, options?: WkLevelCompactOptions<K>): Promise<void> {
    assertBounds(start, end)
    if (this.status === 'opening') return this.deferAsync(() => this.compactRange(start, end, options))
    const { signal, onProgress } = options ?? {}
    return this.#run((db) => db.compact({ gte: this.#bound(start, options), lte: this.#bound(end, options), signal, onProgress }))
  }

  /**
   * Estimated bytes on disk of the keys from `start` on and before `end`, their values in value logs included. What is still in
   * memtables does not count; garbage that no compaction has met does.
   */
  async approximateSize<K = KDefault>(start: K, end: K, options?: WkLevelRangeOptions<K>): Promise<number> {
    assertBounds(start, end)
    if (this.status === 'opening') return this.deferAsync(() => this.approximateSize(start, end, options))
    return this.#run((db) => db.approximateSize({ gte: this.#bound(start, options), lt: this.#bound(end, options) }))
  }

  /**
   * Figures under the names that LevelDB has for them: `leveldb.num-files-at-level<N>`, `leveldb.stats`, `leveldb.sstables`,
   * `leveldb.approximate-memory-usage` (memtable arenas and cached blocks). The empty string for any other; `engine.stats()` tells more.
   * @throws `LEVEL_DATABASE_NOT_OPEN`
   */
  getProperty(property: string): string {
    if (typeof property !== 'string') throw new TypeError("The first argument 'property' must be a string")
    return propertyOf(this.engine, property)
  }

  /** Removes the files of a database that is not open, and its directory if nothing else is in it. `LEVEL_LOCKED` while it is open. */
  static async destroy(location: string, options: Pick<WkLevelOpenOptions, 'fs'> = {}): Promise<void> {
    assertLocation(location)
    try {
      await DB.destroy(location, options)
    } catch (error) {
      throw levelError(error)
    }
  }

  /**
   * Saves everything that still verifies in a database that is not open into a new one, and tells what it could not. Unlike
   * classic-level's it changes nothing in `location`: the new database is `options.to`, a directory that is missing or empty.
   * `LEVEL_LOCKED` while it is open, `LEVEL_NOT_FOUND` where there is none, `LEVEL_EXISTS` where `to` has one.
   */
  static async repair(location: string, options: RepairOptions): Promise<RepairReport> {
    assertLocation(location)
    try {
      return await DB.repair(location, options)
    } catch (error) {
      throw levelError(error)
    }
  }

  /** @internal */
  async _open(options: WkLevelOpenOptions): Promise<void> {
    try {
      this.#db = await DB.open(this.#location, engineOptions(options))
    } catch (error) {
      throw openError(error, this.#location)
    }
    this.#db.on('health', (event: HealthEvent) => this.emit('health', event))
    this.#db.on('warning', (event: object) => this.emit('warning', event))
  }

  /** @internal */
  async _close(): Promise<void> {
    const db = this.#db
    // The engine gives its directory up also when closing fails, so a second close has nothing to do.
    this.#db = undefined
    await Promise.allSettled(this.#lookups)
    try {
      await db?.close()
    } catch (error) {
      throw levelError(error)
    }
  }

  /** @internal */
  async _get(key: Stored, options: ReadRequest): Promise<Stored | undefined> {
    try {
      const value = await this.engine.get(toEngine(key), readOptions(options))
      return value === undefined ? undefined : fromEngine(value, options.valueEncoding)
    } catch (error) {
      throw levelError(error)
    }
  }

  /** @internal */
  _getSync(key: Stored, options: ReadRequest): Stored | undefined {
    try {
      const value = this.engine.getSync(toEngine(key), readOptions(options))
      return value === undefined ? undefined : fromEngine(value, options.valueEncoding)
    } catch (error) {
      throw levelError(error)
    }
  }

  /** @internal */
  _getMany(keys: Stored[], options: ReadRequest): Promise<(Stored | undefined)[]> {
    return this.#run(async (db) => {
      const values = await db.getMany(keys.map(toEngine), readOptions(options))
      return values.map((value) => (value === undefined ? undefined : fromEngine(value, options.valueEncoding)))
    })
  }

  /** @internal */
  _has(key: Stored, options: ReadRequest): Promise<boolean> {
    return this.#run((db) => db.has(toEngine(key), readOptions(options)))
  }

  /** @internal All are looked up in one state of the database. */
  _hasMany(keys: Stored[], options: ReadRequest): Promise<boolean[]> {
    if (keys.length <= KEYS_AT_ONCE) {
      return this.#run((db) => {
        const read = readOptions(options)
        return Promise.all(keys.map((key) => db.has(toEngine(key), read)))
      })
    }
    const lookup = this.#hasMany(keys, options)
    this.#lookups.add(lookup)
    const forget = (): void => void this.#lookups.delete(lookup)
    lookup.then(forget, forget)
    return lookup
  }

  #hasMany(keys: Stored[], options: ReadRequest): Promise<boolean[]> {
    return this.#run(async (db) => {
      const read = readOptions(options)
      // Many take longer than a turn of the event loop may: what they are asked of is kept meanwhile.
      const wanted = keys.map(ownCopy)
      const snapshot = read?.snapshot ?? db.snapshot()
      const has: boolean[] = []
      try {
        for (const key of wanted) has.push(await db.has(key, { snapshot }))
      } finally {
        if (read === undefined) snapshot.close()
      }
      return has
    })
  }

  /** @internal */
  _put(key: Stored, value: Stored, options: WriteOptions): Promise<void> {
    return this.#run((db) => db.put(toEngine(key), toEngine(value), writeOptions(options)))
  }

  /** @internal */
  _del(key: Stored, options: WriteOptions): Promise<void> {
    return this.#run((db) => db.del(toEngine(key), writeOptions(options)))
  }

  /** @internal The operations are `abstract-level`'s own objects. Those of a chained batch do not carry the options of its `write`. */
  _batch(operations: BatchOperation[], options: WriteOptions): Promise<void> {
    return this.#run((db) => {
      const { ttl, userMeta } = options
      for (const operation of operations) {
        operation.key = toEngine(operation.key)
        if (operation.type !== 'put') continue
        operation.value = toEngine(operation.value)
        if (ttl !== undefined) operation.ttl ??= ttl
        if (userMeta !== undefined) operation.userMeta ??= userMeta
      }
      return db.batch(operations, writeOptions(options))
    })
  }

  /** @internal */
  _chainedBatch(): WkChainedBatch<this, KDefault, VDefault> {
    return new WkChainedBatch(this)
  }

  /** @internal */
  _clear(options: ClearRequest): Promise<void> {
    return this.#run((db) => {
      const { signal, onProgress } = options
      return db.clear({ ...engineRange(options), ...writeOptions(options), signal, onProgress })
    })
  }

  /** @internal */
  _iterator(options: IteratorRequest): WkIterator<this, KDefault, VDefault> {
    return new WkIterator(this, this.engine, options)
  }

  /** @internal */
  _keys(options: IteratorRequest): WkKeyIterator<this, KDefault> {
    return new WkKeyIterator(this, this.engine, options)
  }

  /** @internal */
  _values(options: IteratorRequest): WkValueIterator<this, KDefault, VDefault> {
    return new WkValueIterator(this, this.engine, options)
  }

  /** @internal `options` carries the owner: this database or one of its sublevels. */
  _snapshot(options: object): WkSnapshot {
    try {
      return new WkSnapshot(this.engine.snapshot(), options)
    } catch (error) {
      throw levelError(error)
    }
  }

  /** A key as the engine takes it, by the encoding of a call that `abstract-level` does not see. */
  #bound<K>(key: K, options: WkLevelRangeOptions<K> | undefined): Stored {
    const encoding = options?.keyEncoding
    const encoder = (encoding === undefined ? this.keyEncoding() : this.keyEncoding(encoding as Transcoder.MixedEncoding<K, Stored, unknown>)) as Transcoder.PartialEncoder<K>
    return toEngine(encoder.encode(key) as Stored)
  }

  /** Calls the engine in the same turn; its errors become Level's. */
  async #run<T>(operation: (db: DB) => Promise<T>): Promise<T> {
    try {
      return await operation(this.engine)
    } catch (error) {
      throw levelError(error)
    }
  }
}

/** What TypeScript sees of the methods that take options of ours. */
export interface WkLevel<KDefault, VDefault> {
  /** @inheritdoc */
  open(options?: WkLevelOpenOptions): Promise<void>

  put(key: KDefault, value: VDefault): Promise<void>
  put<K = KDefault, V = VDefault>(key: K, value: V, options: WkLevelPutOptions<K, V>): Promise<void>

  del(key: KDefault): Promise<void>
  del<K = KDefault>(key: K, options: WkLevelDelOptions<K>): Promise<void>

  batch(operations: AbstractBatchOperation<this, KDefault, VDefault>[]): Promise<void>
  batch<K = KDefault, V = VDefault>(operations: AbstractBatchOperation<this, K, V>[], options: WkLevelBatchOptions<K, V>): Promise<void>
  batch(): AbstractChainedBatch<this, KDefault, VDefault>

  clear(): Promise<void>
  clear<K = KDefault>(options: WkLevelClearOptions<K>): Promise<void>

  iterator(): AbstractIterator<this, KDefault, VDefault>
  iterator<K = KDefault, V = VDefault>(options: WkLevelIteratorOptions<K, V>): AbstractIterator<this, K, V>

  keys(): AbstractKeyIterator<this, KDefault>
  keys<K = KDefault>(options: WkLevelKeyIteratorOptions<K>): AbstractKeyIterator<this, K>

  values(): AbstractValueIterator<this, KDefault, VDefault>
  values<K = KDefault, V = VDefault>(options: WkLevelValueIteratorOptions<K, V>): AbstractValueIterator<this, K, V>
}

function readOptions({ snapshot }: ReadRequest): ReadOptions | undefined {
  return snapshot === undefined || snapshot === null ? undefined : { snapshot: WkSnapshot.of(snapshot) }
}

function assertBounds(start: unknown, end: unknown): void {
  if (start === undefined || start === null || end === undefined || end === null) throw new TypeError("The arguments 'start' and 'end' are required")
}

function assertLocation(location: unknown): asserts location is string {
  if (typeof location !== 'string' || location === '') throw new TypeError("The first argument 'location' must be a non-empty string")
}
