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
import { ClosedError, InvalidArgumentError, copyBytes, isInRange, keyBytes, ownKeyBytes } from '@wk/codec'
import type { KeyRange } from '@wk/codec'
import type { LoopGuard } from '@wk/fs'
import type { VisibleCursor } from '@wk/lsm'
import type { BytesLike, RangeOptions } from './arguments.js'
import type { EntryReader } from './entry-reader.js'
import { EntryWindow } from './entry-window.js'
import type { Snapshot } from './snapshot.js'

export interface IteratorOptions extends RangeOptions {
  /** From the last key to the first. Default false. */
  reverse?: boolean
  /** Most entries; -1 is no limit. Default -1. */
  limit?: number
  /** Read at this snapshot instead of at the call. */
  snapshot?: Snapshot
  /** Bytes of keys and values after which `nextv` returns what it has. At most four times as many are fetched ahead, and of as many more the values above a MiB. Default 1 MiB. */
  highWaterMarkBytes?: number
}

/** What an iterator yields: entries, keys or values. */
export type IteratorMode = 'entries' | 'keys' | 'values'

/** What an iterator walks. */
export type WalkedCursor = Pick<
  VisibleCursor,
  'valid' | 'paused' | 'keyBytes' | 'keyStart' | 'keyEnd' | 'sequence' | 'kind' | 'valueBytes' | 'valueStart' | 'valueEnd' | 'seek' | 'next' | 'resume'
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

/** Most entries that are fetched ahead ... */
const MAX_WINDOW_ENTRIES = 4096
/** ... and most bytes of them, in `highWaterMarkBytes`. The more, the more values lie next to each other in the log. */
const MAX_WINDOW_BYTES = 4
/** Most keys that are fetched ahead where no value is read: more would only be more for the garbage collector to move. */
const MAX_WINDOW_KEYS = 256
/** A window is so many times as long as the one before. */
const GROWTH = 4

/** @typeParam T `[key, value]`, or a key, or a value */
export class DbIterator<T> implements AsyncIterable<T> {
  readonly #source: IteratorSource
  readonly #mode: IteratorMode
  readonly #onClose: (iterator: DbIterator<T>) => void
  #window: EntryWindow<T>
  /** The window after it, whose long values, or whose short ones, are being read. */
  #ahead: EntryWindow<T> | undefined
  /** Settles when nothing of windows that were given up is being read any more. */
  #dropped: Promise<unknown> | undefined
  /** Entries and bytes of the next window, at most. */
  #windowSize = 1
  #windowBytes: number
  /** What the bytes of the last window came to, once its values were read. */
  #inflation = 1
  /** Entries to fetch one by one, after a longer window failed. */
  #careful = 0
  /** Entries up to `limit` that no window took. */
  #left: number
  #open = true
  #closing: Promise<void> | undefined
  /** A `seek` went outside the range. */
  #ended = false
  /** What the cursor failed with: it is not at its end. Who asks for what lies behind meets it again, until the next `seek`. */
  #failure: { error: unknown } | undefined
  /** Settles when the last call that had to wait has ended. */
  #busy: Promise<void> | undefined

  /** @internal Iterators come from the database. The cursor stands at its first entry. */
  constructor(source: IteratorSource, mode: IteratorMode, onClose: (iterator: DbIterator<T>) => void) {
    this.#source = source
    this.#mode = mode
    this.#onClose = onClose
    this.#left = source.limit
    this.#window = new EntryWindow(mode)
    this.#windowBytes = source.highWaterMarkBytes
  }

  /** The next entry, or `undefined` at the end. Calls that overlap are answered in their order. */
  next(): Promise<T | undefined> {
    try {
      this.#assertOpen()
    } catch (error) {
      return Promise.reject(error as Error)
    }
    if (this.#window.left > 0 && this.#busy === undefined) return Promise.resolve(this.#take())
    return this.#inTurn(() => this.#nextAfterFill())
  }

  /** Up to `size` entries, fewer when they reach `highWaterMarkBytes`; empty at the end only. */
  async nextv(size: number): Promise<T[]> {
    if (!Number.isSafeInteger(size) || size < 1) throw new InvalidArgumentError('size must be a positive integer')
    this.#assertOpen()
    return this.#inTurn(() => this.#takeMany(size))
  }

  async #takeMany(size: number): Promise<T[]> {
    const entries: T[] = []
    let bytes = 0
    while (entries.length < size && bytes < this.#source.highWaterMarkBytes) {
      if (this.#window.left === 0) {
        this.#windowSize = Math.min(MAX_WINDOW_ENTRIES, Math.max(this.#windowSize, size - entries.length))
        try {
          await this.#fill()
        } catch (error) {
          // What was taken is delivered; the next call meets the failure again.
          if (entries.length > 0 && this.#open) break
          throw error
        }
        if (this.#window.left === 0) break
      }
      bytes += this.#window.bytes
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
   * ends the iterator. What was returned before still counts towards `limit`. It takes its turn behind calls that are not answered yet;
   * what it meets then, damage for example, the next call is told.
   */
  seek(target: BytesLike): void {
    this.#assertOpen()
    if (this.#busy === undefined) this.#seek(keyBytes(target))
    else void this.#seekInTurn(ownKeyBytes(target))
  }

  async #seekInTurn(key: Uint8Array): Promise<void> {
    try {
      await this.#inTurn(async () => {
        // Calls made before `close()` are answered, but for those of a transaction that has committed.
        if (this.#open || this.#source.observer === undefined) this.#seek(key)
      })
    } catch {
      // Kept in #failure.
    }
  }

  #seek(key: Uint8Array): void {
    this.#left += this.#window.left
    this.#dropAhead()
    this.#restart()
    this.#ended = !isInRange(this.#source.range, key)
    if (this.#ended) return
    this.#source.observer?.sought(key)
    this.#move((cursor) => cursor.seek(key))
  }

  /** Gives up the view, when calls made before are answered. Idempotent; from then on `next()` is `WK_CLOSED`. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#open = false
    // A read may still be using the view.
    await this.#busy
    this.#dropAhead()
    await this.#dropped
    this.#window = new EntryWindow(this.#mode)
    this.#source.release()
    // Only now: `db.close()` waits for those whose close nobody awaits, too.
    this.#onClose(this)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Walks what is left; the iterator is closed when the walk ends, however it ends. Not a generator: that costs three promises an entry. */
  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    const done = { done: true as const, value: undefined }
    let hasEnded = false
    const end = async (): Promise<typeof done> => {
      hasEnded = true
      await this.close()
      return done
    }
    const advance = async (): Promise<IteratorResult<T, undefined>> => {
      if (hasEnded) return done
      try {
        const value = await this.next()
        return value === undefined ? await end() : { done: false, value }
      } catch (error) {
        // One of several calls has met the end before.
        if (hasEnded) return done
        await end()
        throw error
      }
    }
    return {
      next: () => {
        if (this.#window.left === 0 || this.#busy !== undefined || hasEnded) return advance()
        try {
          this.#assertOpen()
        } catch {
          return advance()
        }
        return Promise.resolve({ done: false, value: this.#take() })
      },
      return: end,
    }
  }

  async #nextAfterFill(): Promise<T | undefined> {
    await this.#fill()
    return this.#window.left > 0 ? this.#take() : undefined
  }

  #take(): T {
    this.#source.observer?.delivered(copyBytes(this.#window.key))
    return this.#window.take()
  }

  /** Runs a call when those before it have ended. */
  async #inTurn<R>(call: () => Promise<R>): Promise<R> {
    const before = this.#busy
    let settled!: () => void
    const busy = (this.#busy = new Promise((resolve) => (settled = resolve)))
    try {
      if (before !== undefined) await before
      return await call()
    } finally {
      if (this.#busy === busy) this.#busy = undefined
      settled()
    }
  }

  /** Fills the window unless it holds something or nothing is left. One call at a time. */
  async #fill(): Promise<void> {
    const { cursor, guard } = this.#source
    for (;;) {
      // A call that was made before `close()` is answered; a commit has asked by then what was read.
      if (this.#source.observer !== undefined) this.#assertOpen()
      if (this.#window.left > 0) return
      if (cursor.paused && this.#ahead === undefined && !this.#ended && this.#left > 0) {
        const turn = guard.due()
        if (turn !== undefined) await turn
        this.#move((paused) => paused.resume())
        continue
      }
      const window = this.#ahead ?? this.#collect(new EntryWindow(this.#mode))
      this.#ahead = undefined
      if (window.left === 0) {
        if (this.#failure !== undefined && !this.#ended && this.#left > 0) throw this.#failure.error
        if (!this.#ended && this.#left > 0) this.#source.observer?.ended()
        return
      }
      await this.#load(window)
    }
  }

  /** Takes the next window's keys from the tree, synchronously. */
  #collect(window: EntryWindow<T>): EntryWindow<T> {
    const { cursor, reader, highWaterMarkBytes } = this.#source
    const most = this.#careful > 0 ? 1 : this.#windowSize
    try {
      if (!this.#ended && this.#failure === undefined) window.collect(cursor, reader, Math.min(most, this.#left), this.#windowBytes / this.#inflation)
    } catch (error) {
      // What lies before is delivered first.
      this.#failure = { error }
    }
    this.#careful -= Math.min(this.#careful, window.left)
    this.#left -= window.left
    this.#windowSize = Math.min(this.#mode === 'keys' ? MAX_WINDOW_KEYS : MAX_WINDOW_ENTRIES, this.#windowSize * GROWTH)
    this.#windowBytes = Math.min(MAX_WINDOW_BYTES * highWaterMarkBytes, this.#windowBytes * GROWTH)
    return window
  }

  /** Reads the values of a window and makes it the current one. */
  async #load(window: EntryWindow<T>): Promise<void> {
    const { guard, reader } = this.#source
    try {
      const turn = guard.due()
      if (turn !== undefined) await turn
      const reading = window.read(reader)
      if (reading !== undefined) await reading
      this.#window = window
      if (this.#mode !== 'keys') this.#inflation = window.inflation
      if (window.isShared || window.isFull) this.#readAhead()
      // Both took their time.
      if (window.isShared) await guard.next()
    } catch (error) {
      // The keys of the window are not to be skipped: whoever asks again meets them again.
      this.#left += window.left
      this.#move((failed) => failed.seek(window.key))
      if (window.left === 1) throw error
      // So that everything before the failure is delivered.
      this.#careful = window.left
    }
  }

  /**
   * Begins to read the next window while the caller has this one, where that costs the caller's thread nothing. Not in a transaction,
   * whose own writes are to be seen as they come.
   */
  #readAhead(): void {
    if (!this.#open || this.#careful > 0 || this.#source.observer !== undefined) return
    const { reader } = this.#source
    const left = this.#left
    const ahead = new EntryWindow<T>(this.#mode)
    try {
      this.#collect(ahead).begin(reader)
      if (ahead.left > 0) this.#ahead = ahead
    } catch {
      // Whoever asks for that window meets it again.
      this.#left = left
      if (ahead.left > 0) this.#move((cursor) => cursor.seek(ahead.key))
    }
  }

  /** Moves the cursor elsewhere than from entry to entry. One that fails stands beside all entries, which is not the end. */
  #move(move: (cursor: WalkedCursor) => void): void {
    this.#failure = undefined
    try {
      move(this.#source.cursor)
    } catch (error) {
      this.#failure = { error }
      throw error
    }
  }

  #dropAhead(): void {
    const ahead = this.#ahead
    if (ahead === undefined) return
    this.#left += ahead.left
    this.#ahead = undefined
    const dropped = ahead.drop()
    if (dropped !== undefined) this.#dropped = Promise.all([this.#dropped, dropped])
  }

  /** Back to short windows. */
  #restart(): void {
    this.#window = new EntryWindow(this.#mode)
    this.#windowSize = 1
    this.#windowBytes = this.#source.highWaterMarkBytes
  }

  #assertOpen(): void {
    this.#source.assertReadable()
    if (!this.#open) throw new ClosedError('the iterator is closed')
  }
}
