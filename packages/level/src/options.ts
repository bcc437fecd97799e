/**
 * Options: those of `abstract-level`, beside them those of the engine, and the names that classic-level has for some.
 */
import type {
  AbstractBatchOptions,
  AbstractClearOptions,
  AbstractDatabaseOptions,
  AbstractDelOptions,
  AbstractIteratorOptions,
  AbstractKeyIteratorOptions,
  AbstractOpenOptions,
  AbstractPutOptions,
  AbstractValueIteratorOptions,
  Transcoder,
} from 'abstract-level'
import type { DbOptions, MaintenanceOptions, WriteOptions } from '@wk/db'
import { LevelError } from './error-codes.js'

/** Names that classic-level uses. They give way to the engine's own where both are given. */
interface ClassicNames {
  /** As in `DbOptions`; `true` is `'lz4'`, `false` is `'none'`. */
  compression?: DbOptions['compression'] | boolean
  /** Bytes: `blockCacheSize`. */
  cacheSize?: number
  /** Bytes: `memTableSize`, which is at least 64 KiB. */
  writeBufferSize?: number
  /** Bytes: `tableSize`, which is at least 4 KiB. */
  maxFileSize?: number
}

/** Options of {@link WkLevel.open}: `createIfMissing`, `errorIfExists`, `passive`, and any option of `DB.open`. */
export interface WkLevelOpenOptions extends AbstractOpenOptions, Omit<DbOptions, 'createIfMissing' | 'errorIfExists' | 'compression'>, ClassicNames {}

/** Options of the constructor: encodings, and defaults for every {@link WkLevel.open}. */
export interface WkLevelOptions<K, V> extends AbstractDatabaseOptions<K, V>, Omit<WkLevelOpenOptions, 'passive'> {}

/** Options of `put`: beside Level's own `sync`, `ttl` in seconds and `userMeta` from 0 to 255. */
export interface WkLevelPutOptions<K, V> extends AbstractPutOptions<K, V>, WriteOptions {}

/** Options of `del`. */
export interface WkLevelDelOptions<K> extends AbstractDelOptions<K>, Pick<WriteOptions, 'sync'> {}

/** Options of `batch`. `ttl` and `userMeta` are defaults for its puts, which may carry their own. */
export interface WkLevelBatchOptions<K, V> extends AbstractBatchOptions<K, V>, WriteOptions {}

/** Options of `clear`. */
export interface WkLevelClearOptions<K> extends AbstractClearOptions<K>, MaintenanceOptions, Pick<WriteOptions, 'sync'> {}

interface HighWaterMark {
  /**
   * Bytes of keys and values after which `nextv()` returns what it has, so that a thousand large values are never in
   * memory at once. 0 is one entry at a time. Default 1 MiB.
   */
  highWaterMarkBytes?: number | undefined
}

/** Options of `iterator`. */
export interface WkLevelIteratorOptions<K, V> extends AbstractIteratorOptions<K, V>, HighWaterMark {}

/** Options of `keys`. */
export interface WkLevelKeyIteratorOptions<K> extends AbstractKeyIteratorOptions<K>, HighWaterMark {}

/** Options of `values`. */
export interface WkLevelValueIteratorOptions<K, V> extends AbstractValueIteratorOptions<K, V>, HighWaterMark {}

/** Options of {@link WkLevel.approximateSize}. */
export interface WkLevelRangeOptions<K> {
  /** Encoding of the two keys. Default: the database's. */
  keyEncoding?: string | Transcoder.PartialEncoder<K> | undefined
}

/** Options of {@link WkLevel.compactRange}. */
export interface WkLevelCompactOptions<K> extends WkLevelRangeOptions<K>, MaintenanceOptions {}

const LEAST_MEMTABLE = 64 * 1024
const LEAST_TABLE = 4 * 1024

/** What `DB.open` takes, from what `_open` was given. Other options are left in: the engine does not look at them. */
export function engineOptions(given: WkLevelOpenOptions & { multithreading?: unknown }): DbOptions {
  const { compression, cacheSize, writeBufferSize, maxFileSize, multithreading, ...options } = given
  if (multithreading === true) throw new LevelError('LEVEL_NOT_SUPPORTED', 'multithreading is not supported: one thread owns the database')
  const engine = options as DbOptions
  if (compression !== undefined) engine.compression = typeof compression === 'boolean' ? (compression ? 'lz4' : 'none') : compression
  if (cacheSize !== undefined) engine.blockCacheSize ??= cacheSize
  if (writeBufferSize !== undefined) engine.memTableSize ??= Math.max(LEAST_MEMTABLE, writeBufferSize)
  if (maxFileSize !== undefined) engine.tableSize ??= Math.max(LEAST_TABLE, maxFileSize)
  return engine
}

/** The engine's write options, or none, from the options of a call. */
export function writeOptions(options: WriteOptions): WriteOptions | undefined {
  const { sync, ttl, userMeta } = options
  if (sync === undefined && ttl === undefined && userMeta === undefined) return undefined
  const write: WriteOptions = {}
  if (sync !== undefined) write.sync = Boolean(sync)
  if (ttl !== undefined) write.ttl = ttl
  if (userMeta !== undefined) write.userMeta = userMeta
  return write
}
