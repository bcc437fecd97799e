/**
 * Iterators, after Level's: `next`, `nextv`, `seek`, `close`, async iteration.
 *
 * One walks a view of the database that was taken when it was made: writes, flushes, compactions and garbage
 * collection that come later change nothing of what it returns, and the view is held until `close()`.
 *
 * Keys come from the tree in order. Values are fetched ahead in windows that grow while the caller goes on
 * (WiscKey's prefetch, FAST'16 section 3.3.1): the pointers of a window are sorted by place, neighbours become one read.
 * A `keys()` iterator never reads the value log.
 */
import { ClosedError, InvalidArgumentError, KIND_POINTER, baseKind, copyBytes, isInRange, readPayload } from '@wk/codec'
import type { KeyRange, PayloadView } from '@wk/codec'
import type { VisibleCursor } from '@wk/lsm'
import { keyBytes } from './arguments.js'
import type { BytesLike, RangeOptions } from './arguments.js'
import { pointerAt } from './entry-reader.js'
import type { EntryReader, StoredValue } from './entry-reader.js'
import type { LoopGuard } from './loop-guard.js'
import type { Snapshot } from './snapshot.js'

export interface IteratorOptions extends RangeOptions {
  /** From the last key to the first. Default false. */
  reverse?: boolean
  /** Most entries; -1 is no limit. Default -1. */
  limit?: number
  /** Read at this snapshot instead of at the call. */
  snapshot?: Snapshot
  /** Bytes of keys and values after which `nextv` returns what it has. Default 1 MiB. */
  highWaterMarkBytes?: number
}

/** What an iterator yields: entries, keys or values. */
export type IteratorMode = 'entries' | 'keys' | 'values'

/** What an iterator walks. */
export type WalkedCursor = Pick<
  VisibleCursor,
  'valid' | 'keyBytes' | 'keyStart' | 'keyEnd' | 'sequence' | 'kind' | 'valueBytes' | 'valueStart' | 'valueEnd' | 'seek' | 'next'
>

/** Follows what an iterator delivers, for a transaction. */
export interface IteratorObserver {
  /** The entry of `key` was delivered. */
  delivered(key: Uint8Array): void
  /** The end of the range was met: nothing lies between the last key delivered and it. */
  ended(): void
  /** The next entry to be delivered is sought from `key` on. */
  sought(key: Uint8Array): void
}

/** What the iterator needs to walk: made by the database, released once. */
export interface IteratorSource {
  readonly cursor: WalkedCursor
  readonly observer?: IteratorObserver | undefined
  readonly reader: EntryReader
  readonly range: KeyRange
  readonly limit: number
  readonly highWaterMarkBytes: number
  /** Throws when the database is closed. */
  assertReadable(): void
  readonly guard: LoopGuard
  release(): void
}

/** Default of {@link IteratorOptions.highWaterMarkBytes}. */
export const DEFAULT_HIGH_WATER_MARK = 1024 * 1024

/** A window holds at most this many entries ... */
const MAX_WINDOW_ENTRIES = 512
/** ... and stops growing once it holds this many bytes of values. */
const MAX_WINDOW_BYTES = 2 * 1024 * 1024

interface Pending {
  key: Uint8Array
  value: Uint8Array | StoredValue
  bytes: number
}

/** @typeParam T `[key, value]`, or a key, or a value */
export class DbIterator<T> implements AsyncIterable<T> {
  readonly #source: IteratorSource
  readonly #mode: IteratorMode
  readonly #onClose: (iterator: DbIterator<T>) => void
  readonly #payload: PayloadView = { userMeta: 0, expiresAt: 0, valueStart: 0, valueEnd: 0 }
  #window: T[] = []
  #windowBytes: number[] = []
  /** Kept for an observer only. */
  #windowKeys: Uint8Array[] = []
  #at = 0
  #windowSize = 1
  #left: number
  #open = true
  /** A `seek` went outside the range. */
  #ended = false
  /** Counts seeks: a window that was asked for before one is not to be kept. */
  #epoch = 0
  #busy: Promise<void> | undefined

  /** @internal Iterators come from the database. The cursor stands at its first entry. */
  constructor(source: IteratorSource, mode: IteratorMode, onClose: (iterator: DbIterator<T>) => void) {
    this.#source = source
    this.#mode = mode
    this.#onClose = onClose
    this.#left = source.limit
  }

  /** The next entry, or `undefined` at the end. */
  next(): Promise<T | undefined> {
    try {
      this.#assertOpen()
    } catch (error) {
      return Promise.reject(error as Error)
    }
    if (this.#at < this.#window.length && this.#busy === undefined) return Promise.resolve(this.#take())
    return this.#nextAfterFill()
  }

  /** Up to `size` entries, fewer when they reach `highWaterMarkBytes`; empty at the end only. */
  async nextv(size: number): Promise<T[]> {
    if (!Number.isSafeInteger(size) || size < 1) throw new InvalidArgumentError('size must be a positive integer')
    this.#assertOpen()
    const entries: T[] = []
    let bytes = 0
    while (entries.length < size && bytes < this.#source.highWaterMarkBytes) {
      if (this.#busy !== undefined || this.#at >= this.#window.length) {
        this.#windowSize = Math.min(MAX_WINDOW_ENTRIES, Math.max(this.#windowSize, size - entries.length))
        await this.#fill(this.#source.highWaterMarkBytes - bytes)
        if (this.#at >= this.#window.length) break
      }
      bytes += this.#windowBytes[this.#at] as number
      entries.push(this.#take())
    }
    return entries
  }

  /** Everything that is left, in memory at once. Closes the iterator. */
  async all(): Promise<T[]> {
    try {
      const entries: T[] = []
      for (let part = await this.nextv(1000); part.length > 0; part = await this.nextv(1000)) for (const entry of part) entries.push(entry)
      return entries
    } finally {
      await this.close()
    }
  }

  /**
   * Goes to the first entry at or after `target`, in reverse to the last one at or before it. Outside the range it
   * ends the iterator. What was returned before still counts towards `limit`.
   */
  seek(target: BytesLike): void {
    this.#assertOpen()
    const key = keyBytes(target)
    this.#left += this.#window.length - this.#at
    this.#window = []
    this.#windowBytes = []
    this.#at = 0
    this.#windowSize = 1
    this.#epoch++
    this.#ended = !isInRange(this.#source.range, key)
    if (this.#ended) return
    this.#source.observer?.sought(key)
    this.#source.cursor.seek(key)
  }

  /** Gives up the view. Idempotent; from then on `next()` is `WK_CLOSED`. */
  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    this.#onClose(this)
    // A read ahead may still be using the view.
    await this.#busy
    this.#window = []
    this.#source.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Walks what is left; the iterator is closed when the walk ends, however it ends. Not a generator: that costs three promises an entry. */
  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    const done = { done: true as const, value: undefined }
    const end = async (): Promise<typeof done> => {
      await this.close()
      return done
    }
    const advance = async (): Promise<IteratorResult<T, undefined>> => {
      try {
        const value = await this.next()
        return value === undefined ? await end() : { done: false, value }
      } catch (error) {
        await this.close()
        throw error
      }
    }
    return {
      next: () => {
        if (this.#open && this.#at < this.#window.length && this.#busy === undefined) return Promise.resolve({ done: false, value: this.#take() })
        return advance()
      },
      return: end,
    }
  }

  async #nextAfterFill(): Promise<T | undefined> {
    await this.#fill(MAX_WINDOW_BYTES)
    return this.#at < this.#window.length ? this.#take() : undefined
  }

  #take(): T {
    this.#source.observer?.delivered(this.#windowKeys[this.#at] as Uint8Array)
    return this.#window[this.#at++] as T
  }

  /** Fills the window unless it holds something. Calls that overlap wait for each other. */
  async #fill(bytes: number): Promise<void> {
    while (this.#busy !== undefined) await this.#busy
    this.#assertOpen()
    if (this.#at < this.#window.length) return
    const epoch = this.#epoch
    const pending = this.#collect(bytes)
    if (pending.length === 0) {
      if (!this.#ended && this.#left > 0) this.#source.observer?.ended()
      return
    }
    const turn = this.#source.guard.due()
    if (turn === undefined && (this.#mode === 'keys' || pending.every((one) => one.value instanceof Uint8Array))) {
      this.#show(pending, pending.map((one) => one.value as Uint8Array))
      return
    }
    let settled!: () => void
    this.#busy = new Promise((resolve) => (settled = resolve))
    try {
      if (turn !== undefined) await turn
      const values = await this.#source.reader.fill(pending.map((one) => one.value))
      if (epoch === this.#epoch) this.#show(pending, values as Uint8Array[])
      else this.#left += pending.length
    } catch (error) {
      // The keys of the window are not to be skipped: whoever asks again meets them again.
      this.#left += pending.length
      if (epoch === this.#epoch) this.#source.cursor.seek((pending[0] as Pending).key)
      throw error
    } finally {
      this.#busy = undefined
      settled()
    }
    this.#assertOpen()
    if (epoch !== this.#epoch) await this.#fill(bytes)
  }

  /** Takes the next window's keys from the tree, synchronously. */
  #collect(bytesWanted: number): Pending[] {
    const { cursor } = this.#source
    const pending: Pending[] = []
    const most = this.#ended ? 0 : Math.min(this.#windowSize, this.#left)
    let bytes = 0
    while (pending.length < most && cursor.valid && (pending.length === 0 || bytes < bytesWanted)) {
      const one = this.#current()
      bytes += one.bytes
      pending.push(one)
      cursor.next()
    }
    this.#left -= pending.length
    this.#windowSize = Math.min(MAX_WINDOW_ENTRIES, this.#windowSize * 4)
    return pending
  }

  #current(): Pending {
    const { cursor } = this.#source
    const { kind, valueBytes, valueStart, valueEnd } = cursor
    const key = copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd)
    if (this.#mode === 'keys') return { key, value: NO_VALUE, bytes: key.length }
    if (baseKind(kind) === KIND_POINTER) {
      const pointer = pointerAt(valueBytes, valueStart)
      return { key, value: { pointer, key, version: cursor.sequence }, bytes: key.length + pointer.len }
    }
    readPayload(kind, valueBytes, valueStart, valueEnd, this.#payload)
    const value = copyBytes(valueBytes, this.#payload.valueStart, this.#payload.valueEnd)
    return { key, value, bytes: key.length + value.length }
  }

  #show(pending: Pending[], values: Uint8Array[]): void {
    const mode = this.#mode
    this.#window = pending.map((one, i) => (mode === 'keys' ? one.key : mode === 'values' ? values[i] : [one.key, values[i]]) as T)
    this.#windowBytes = pending.map((one) => one.bytes)
    if (this.#source.observer !== undefined) this.#windowKeys = pending.map((one) => copyBytes(one.key))
    this.#at = 0
  }

  #assertOpen(): void {
    this.#source.assertReadable()
    if (!this.#open) throw new ClosedError('the iterator is closed')
  }
}

const NO_VALUE = new Uint8Array(0)
