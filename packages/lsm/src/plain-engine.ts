/**
 * A plain LSM engine: the tree with a lock on its directory and a small write queue of its own. Values lie in the tables.
 *
 * Calls made in one turn form one group; while a group is on its way to the disk the next one collects. A promise
 * resolves when its write survives a crash of the process, with `sync` when it survives loss of power. What is not here
 * (value log, transactions, expiry) is `@wk/db`.
 */
import { ClosedError, KIND_TOMBSTONE, NotFoundError, checkFlag, checkOptions, checkWork, copyBytes, formatFileName, keyBytes, limitOf, newLookupResult, rangeBytes } from '@wk/codec'
import { absoluteDirectory, isNotFound } from '@wk/fs'
import type { FileSystem, Lock } from '@wk/fs'
import type { CompactOptions } from './compaction-scheduler.js'
import type { VisibleCursor } from './iterator/visible-cursor.js'
import { LsmTree } from './lsm-tree.js'
import { batchOf } from './plain-arguments.js'
import type { BytesLike, PlainRange, PlainWrite } from './plain-arguments.js'
import { PlainSnapshot } from './plain-snapshot.js'
import { resolveOptions } from './options.js'
import type { LsmOptions } from './options.js'
import type { LsmStats } from './tree-stats.js'
import { PlainWriteQueue } from './plain-write-queue.js'

export interface PlainReadOptions {
  /** Reads as of the snapshot. Default: now. */
  snapshot?: PlainSnapshot | undefined
}

/** Which keys to visit, in which direction, as of when. */
export interface PlainIterateOptions extends PlainReadOptions, PlainRange {
  /** From the last key to the first. Default false. */
  reverse?: boolean | undefined
  /** Most entries; -1 is no limit. Default -1. */
  limit?: number | undefined
}

export class PlainEngine {
  readonly tree: LsmTree
  readonly #lock: Lock
  readonly #queue: PlainWriteQueue
  readonly #isReadOnly: boolean
  readonly #result = newLookupResult()
  #closing: Promise<void> | undefined

  private constructor(tree: LsmTree, lock: Lock, queue: PlainWriteQueue, isReadOnly: boolean) {
    this.tree = tree
    this.#lock = lock
    this.#queue = queue
    this.#isReadOnly = isReadOnly
  }

  /** Opens the engine in `dir`. Throws `LockedError` if somebody else has it open, and what `LsmTree.recover` throws. */
  static async open(dir: string, options: Omit<LsmOptions, 'onFailure' | 'beforePublish'>): Promise<PlainEngine> {
    const { fs, readOnly, createIfMissing } = resolveOptions(options)
    const place = absoluteDirectory(dir, fs)
    if (!readOnly && createIfMissing) await fs.mkdir(place)
    const lock = await lockDirectory(fs, place, readOnly)
    try {
      const host: { queue?: PlainWriteQueue } = {}
      const tree = await LsmTree.open(place, {
        ...options,
        onFailure: (error) => host.queue?.fail(error),
        beforePublish: async () => {
          await host.queue?.settled()
          return undefined
        },
      })
      host.queue = new PlainWriteQueue(tree)
      return new PlainEngine(tree, lock, host.queue, readOnly)
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** Writes a value. Key and value may be reused as soon as the call returns. */
  put(key: BytesLike, value: BytesLike, options: { sync?: boolean } = {}): Promise<void> {
    return this.batch([{ type: 'put', key, value }], options)
  }

  del(key: BytesLike, options: { sync?: boolean } = {}): Promise<void> {
    return this.batch([{ type: 'del', key }], options)
  }

  /** Writes all or nothing. @throws InvalidArgumentError, TxnTooBigError for more than 1 GiB */
  async batch(writes: readonly PlainWrite[], options: { sync?: boolean } = {}): Promise<void> {
    this.#check()
    const sync = checkFlag('sync', checkOptions(options).sync, false)
    const operations = batchOf(writes)
    if (operations.length > 0) await this.#queue.write(operations, sync)
    else if (sync) await this.#queue.sync()
  }

  /** The value of a key as the caller's own copy, `undefined` if there is none. Blocks the thread. */
  get(key: BytesLike, options: PlainReadOptions = {}): Uint8Array | undefined {
    this.#check()
    const found = this.#result
    if (!this.tree.get(keyBytes(key), PlainSnapshot.sequenceOf(checkOptions(options).snapshot, this.tree), found) || found.kind === KIND_TOMBSTONE) return undefined
    return copyBytes(found.valueBytes, found.valueStart, found.valueEnd)
  }

  /** Entries in the order of their keys, as of the call. It holds on to files until it ends, or `return()` is called (as `for` does). */
  iterate(options: PlainIterateOptions = {}): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    this.#check()
    const { snapshot, limit } = checkOptions(options)
    const reverse = checkFlag('reverse', options.reverse, false)
    const most = limitOf(limit)
    const range = rangeBytes(options)
    const sequence = PlainSnapshot.sequenceOf(snapshot, this.tree)
    const view = this.tree.acquireView()
    try {
      const cursor = this.tree.cursor(view, sequence, { reverse, range })
      return walk(cursor, most, () => view.release(), () => this.#check())
    } catch (error) {
      // A table could not be opened: nobody is there to end what was not made.
      view.release()
      throw error
    }
  }

  /** A view of everything written so far, until it is released. */
  snapshot(): PlainSnapshot {
    this.#check()
    return new PlainSnapshot(this.tree)
  }

  /** Makes every write called before durable; opened read-only, there is none. */
  async sync(): Promise<void> {
    this.#check()
    if (this.#isReadOnly) return
    await this.#queue.sync()
  }

  /** Brings every write called before into tables. */
  async flush(): Promise<void> {
    this.#check()
    await this.#queue.flush()
  }

  /** Brings everything to the deepest level, dropping what nobody can see. */
  async compact(options: CompactOptions = {}): Promise<void> {
    checkWork(options)
    await this.flush()
    await this.tree.compact(options)
  }

  stats(): LsmStats {
    this.#check()
    return this.tree.stats()
  }

  /** Lets writes that were called end, makes everything durable, closes. Resolves also after a failure. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    try {
      await this.#queue.close()
      await this.tree.close({ clean: this.tree.context.lifecycle.failure === undefined })
    } finally {
      await this.#lock.release()
    }
  }

  #check(): void {
    if (this.#closing !== undefined) throw new ClosedError('the engine is closed')
  }
}

/** A directory that is missing, and not to be made, holds no tree. */
async function lockDirectory(fs: FileSystem, dir: string, shared: boolean): Promise<Lock> {
  try {
    return await fs.lock(`${dir}/${formatFileName('lock')}`, { shared })
  } catch (error) {
    if (isNotFound(error)) throw new NotFoundError('there is no tree in the directory', { cause: error })
    throw error
  }
}

/** Walks a cursor and lets go of its view at the end, at an error, or when it is left. */
function walk(
  cursor: VisibleCursor,
  most: number,
  release: () => void,
  check: () => void,
): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
  let started = false
  let ended = false
  let left = most
  const end = (): IteratorResult<[Uint8Array, Uint8Array]> => {
    ended = true
    release()
    return { done: true, value: undefined }
  }
  return {
    next() {
      if (ended) return end()
      try {
        check()
        if (left-- === 0) return end()
        if (started) cursor.next()
        else cursor.first()
        while (cursor.paused) cursor.resume()
      } catch (error) {
        end()
        throw error
      }
      started = true
      if (!cursor.valid) return end()
      const { keyBytes, keyStart, keyEnd, valueBytes, valueStart, valueEnd } = cursor
      return { done: false, value: [copyBytes(keyBytes, keyStart, keyEnd), copyBytes(valueBytes, valueStart, valueEnd)] }
    },
    return: end,
    [Symbol.iterator]() {
      return this
    },
  }
}
