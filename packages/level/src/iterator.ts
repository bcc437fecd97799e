/**
 * Iterators of entries, keys and values. `abstract-level` keeps them to one call at a time, counts, decodes, and closes
 * them with the database; the walk is the engine's, in a view of the database taken when the iterator was made.
 *
 * Keys-only iterators never read the value log.
 */
import { AbstractIterator, AbstractKeyIterator, AbstractValueIterator } from 'abstract-level'
import type { AbstractIteratorOptions, AbstractSnapshot } from 'abstract-level'
import type { DB, DbIterator, IteratorOptions } from '@wk/db'
import { LevelError, levelError } from './error-codes.js'
import { fromEngine, toEngine } from './format.js'
import type { Stored } from './format.js'
import { WkSnapshot } from './snapshot.js'

/** What `_iterator`, `_keys` and `_values` are given: the range is encoded, the encodings are names of formats. */
export interface IteratorRequest {
  gt?: Stored
  gte?: Stored
  lt?: Stored
  lte?: Stored
  reverse: boolean
  limit: number
  /** Absent means true. */
  values?: boolean
  snapshot?: AbstractSnapshot | null | undefined
  signal?: AbortSignal | null | undefined
  highWaterMarkBytes?: number | undefined
  keyEncoding: string
  valueEncoding: string
}

/** The options that the engine shares with Level, from what `abstract-level` hands over. */
export function engineRange(request: Omit<IteratorRequest, 'keyEncoding' | 'valueEncoding'>): IteratorOptions {
  const options: IteratorOptions = { reverse: request.reverse, limit: request.limit }
  for (const bound of ['gt', 'gte', 'lt', 'lte'] as const) {
    const value = request[bound]
    if (value !== undefined) options[bound] = toEngine(value)
  }
  if (request.snapshot !== undefined && request.snapshot !== null) options.snapshot = WkSnapshot.of(request.snapshot)
  if (typeof request.highWaterMarkBytes === 'number') {
    options.highWaterMarkBytes = Math.min(Number.MAX_SAFE_INTEGER, Math.max(1, Math.floor(request.highWaterMarkBytes)))
  }
  return options
}

/**
 * An iterator of the engine with Level's errors and formats. `E` is what the engine yields, `T` what is handed on.
 *
 * Making one never throws: a deferred iterator is made in the middle of `open()`. What was wrong is told by its reads.
 */
class Walk<E, T> {
  readonly #iterator: DbIterator<E> | undefined
  readonly #failure: unknown
  readonly #signal: AbortSignal | undefined
  readonly #show: (item: E) => T

  constructor(open: (range: IteratorOptions) => DbIterator<E>, request: IteratorRequest, show: (item: E) => T) {
    this.#signal = request.signal ?? undefined
    this.#show = show
    try {
      this.#iterator = open(engineRange(request))
    } catch (error) {
      // The database is open, or `abstract-level` would not ask: it is the snapshot that is not.
      this.#failure = levelError(error, 'LEVEL_SNAPSHOT_NOT_OPEN')
    }
  }

  async next(): Promise<T | undefined> {
    let item: E | undefined
    try {
      item = await this.#opened().next()
    } catch (error) {
      throw levelError(error, 'LEVEL_ITERATOR_NOT_OPEN')
    }
    this.#checkSignal()
    return item === undefined ? undefined : this.#show(item)
  }

  async nextv(size: number): Promise<T[]> {
    let items: E[]
    try {
      items = await this.#opened().nextv(size)
    } catch (error) {
      throw levelError(error, 'LEVEL_ITERATOR_NOT_OPEN')
    }
    this.#checkSignal()
    return items.map(this.#show)
  }

  seek(target: Stored): void {
    try {
      this.#iterator?.seek(toEngine(target))
    } catch (error) {
      throw levelError(error, 'LEVEL_ITERATOR_NOT_OPEN')
    }
  }

  async close(): Promise<void> {
    await this.#iterator?.close()
  }

  #opened(): DbIterator<E> {
    if (this.#iterator === undefined) throw this.#failure
    return this.#iterator
  }

  /** A read is short: a signal that was aborted meanwhile is looked at when it ends. */
  #checkSignal(): void {
    if (this.#signal?.aborted === true) throw new LevelError('LEVEL_ABORTED', 'Operation has been aborted', this.#signal.reason)
  }
}

/** What an entry is on its way to `abstract-level`, which decodes it in place. */
type StoredEntry = [key: Stored, value: Stored | undefined]

function entryWalk(db: DB, request: IteratorRequest): Walk<Uint8Array, StoredEntry> | Walk<[Uint8Array, Uint8Array], StoredEntry> {
  const { keyEncoding, valueEncoding } = request
  if (request.values === false) return new Walk((range) => db.keys(range), request, (key): StoredEntry => [fromEngine(key, keyEncoding), undefined])
  return new Walk((range) => db.iterator(range), request, ([key, value]): StoredEntry => [fromEngine(key, keyEncoding), fromEngine(value, valueEncoding)])
}

/** Entries. Without values it reads none. @typeParam D the database that closes it */
export class WkIterator<D, K, V> extends AbstractIterator<D, K, V> {
  readonly #walk: ReturnType<typeof entryWalk>

  constructor(level: D, db: DB, request: IteratorRequest) {
    super(level, request as unknown as AbstractIteratorOptions<K, V>)
    this.#walk = entryWalk(db, request)
  }

  /** @internal */
  _next(): Promise<StoredEntry | undefined> {
    return this.#walk.next()
  }

  /** @internal */
  _nextv(size: number): Promise<StoredEntry[]> {
    return this.#walk.nextv(size)
  }

  /** @internal */
  _seek(target: Stored): void {
    this.#walk.seek(target)
  }

  /** @internal */
  _close(): Promise<void> {
    return this.#walk.close()
  }
}

/** Keys. */
export class WkKeyIterator<D, K> extends AbstractKeyIterator<D, K> {
  readonly #walk: Walk<Uint8Array, Stored>

  constructor(level: D, db: DB, request: IteratorRequest) {
    super(level, request as unknown as AbstractIteratorOptions<K, never>)
    this.#walk = new Walk((range) => db.keys(range), request, (key) => fromEngine(key, request.keyEncoding))
  }

  /** @internal */
  _next(): Promise<Stored | undefined> {
    return this.#walk.next()
  }

  /** @internal */
  _nextv(size: number): Promise<Stored[]> {
    return this.#walk.nextv(size)
  }

  /** @internal */
  _seek(target: Stored): void {
    this.#walk.seek(target)
  }

  /** @internal */
  _close(): Promise<void> {
    return this.#walk.close()
  }
}

/** Values, in the order of their keys. */
export class WkValueIterator<D, K, V> extends AbstractValueIterator<D, K, V> {
  readonly #walk: Walk<Uint8Array, Stored>

  constructor(level: D, db: DB, request: IteratorRequest) {
    super(level, request as unknown as AbstractIteratorOptions<K, V>)
    this.#walk = new Walk((range) => db.values(range), request, (value) => fromEngine(value, request.valueEncoding))
  }

  /** @internal */
  _next(): Promise<Stored | undefined> {
    return this.#walk.next()
  }

  /** @internal */
  _nextv(size: number): Promise<Stored[]> {
    return this.#walk.nextv(size)
  }

  /** @internal */
  _seek(target: Stored): void {
    this.#walk.seek(target)
  }

  /** @internal */
  _close(): Promise<void> {
    return this.#walk.close()
  }
}
