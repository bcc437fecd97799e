/**
 * A plain LSM engine: the tree with a lock on its directory and a small write queue of its own. Values lie in the tables.
 *
 * Calls made in one turn form one group; while a group is on its way to the disk the next one collects. A promise
 * resolves when its write survives a crash of the process, with `sync` when it survives loss of power. What is not here
 * (value log, transactions, expiry) is `@wk/db`.
 */
import { ClosedError, InvalidArgumentError, KIND_TOMBSTONE, KIND_VALUE, MAX_KEY_LENGTH, copyBytes, formatFileName, newLookupResult } from '@wk/codec'
import type { KeyRange } from '@wk/codec'
import type { Lock } from '@wk/fs'
import type { CompactOptions } from './compaction-scheduler.js'
import type { VisibleCursor } from './iterator/visible-cursor.js'
import { LsmTree } from './lsm-tree.js'
import type { LsmOptions } from './options.js'
import type { Snapshot } from './snapshot-list.js'
import type { LsmStats } from './tree-stats.js'
import { PlainWriteQueue } from './plain-write-queue.js'

/** One operation of a batch. */
export interface PlainWrite {
  type: 'put' | 'del'
  key: Uint8Array
  /** For `put`. */
  value?: Uint8Array
}

export interface PlainReadOptions {
  /** Reads as of the snapshot. Default: now. */
  snapshot?: Snapshot | undefined
}

/** Which keys to visit, in which direction, as of when. */
export interface PlainIterateOptions extends PlainReadOptions, KeyRange {
  reverse?: boolean | undefined
}

const EMPTY = new Uint8Array(0)

export class PlainEngine {
  readonly tree: LsmTree
  readonly #lock: Lock
  readonly #queue: PlainWriteQueue
  readonly #result = newLookupResult()
  #closing: Promise<void> | undefined

  private constructor(tree: LsmTree, lock: Lock, queue: PlainWriteQueue) {
    this.tree = tree
    this.#lock = lock
    this.#queue = queue
  }

  /** Opens the engine in `dir`. Throws `LockedError` if somebody else has it open, and what `LsmTree.recover` throws. */
  static async open(dir: string, options: Omit<LsmOptions, 'onFailure' | 'beforePublish'>): Promise<PlainEngine> {
    const { fs, readOnly = false } = options
    if (!readOnly && options.createIfMissing !== false) await fs.mkdir(dir)
    const lock = await fs.lock(`${dir}/${formatFileName('lock')}`, { shared: readOnly })
    try {
      const host: { queue?: PlainWriteQueue } = {}
      const tree = await LsmTree.open(dir, { ...options, onFailure: (error) => host.queue?.fail(error) })
      host.queue = new PlainWriteQueue(tree)
      return new PlainEngine(tree, lock, host.queue)
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** Writes a value. Key and value may be reused as soon as the call returns. */
  put(key: Uint8Array, value: Uint8Array, options: { sync?: boolean } = {}): Promise<void> {
    return this.batch([{ type: 'put', key, value }], options)
  }

  del(key: Uint8Array, options: { sync?: boolean } = {}): Promise<void> {
    return this.batch([{ type: 'del', key }], options)
  }

  /** Writes all or nothing. */
  async batch(writes: readonly PlainWrite[], { sync = false }: { sync?: boolean } = {}): Promise<void> {
    this.#check()
    for (const { key, value, type } of writes) {
      if (key.length > MAX_KEY_LENGTH) throw new InvalidArgumentError(`a key is longer than ${MAX_KEY_LENGTH} bytes`)
      if (type === 'put' && value === undefined) throw new InvalidArgumentError('a put without a value')
    }
    if (writes.length === 0) return
    const operations = writes.map(({ type, key, value = EMPTY }) =>
      type === 'put' ? { kind: KIND_VALUE, key, value } : { kind: KIND_TOMBSTONE, key, value: EMPTY },
    )
    await this.#queue.write(operations, sync)
  }

  /** The value of a key as the caller's own copy, `undefined` if there is none. Blocks the thread. */
  get(key: Uint8Array, { snapshot }: PlainReadOptions = {}): Uint8Array | undefined {
    this.#check()
    const found = this.#result
    if (!this.tree.get(key, snapshot?.sequence ?? this.tree.visibleSequence, found) || found.kind === KIND_TOMBSTONE) return undefined
    return copyBytes(found.valueBytes, found.valueStart, found.valueEnd)
  }

  /** Entries in the order of their keys, as of the call. It holds on to files until it ends, or `return()` is called (as `for` does). */
  iterate(options: PlainIterateOptions = {}): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
    this.#check()
    const view = this.tree.acquireView()
    const { snapshot, reverse, ...range } = options
    const cursor = this.tree.cursor(view, snapshot?.sequence ?? this.tree.visibleSequence, { reverse, range })
    return walk(cursor, () => view.release(), () => this.#check())
  }

  snapshot(): Snapshot {
    this.#check()
    return this.tree.snapshot()
  }

  /** Makes every write called before durable. */
  async sync(): Promise<void> {
    this.#check()
    await this.#queue.sync()
  }

  /** Brings every write called before into tables. */
  async flush(): Promise<void> {
    this.#check()
    await this.#queue.flush()
  }

  /** Brings everything to the deepest level, dropping what nobody can see. */
  async compact(options: CompactOptions = {}): Promise<void> {
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

/** Walks a cursor and lets go of its view at the end, at an error, or when it is left. */
function walk(
  cursor: VisibleCursor,
  release: () => void,
  check: () => void,
): IterableIterator<[key: Uint8Array, value: Uint8Array]> {
  let started = false
  let ended = false
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
        if (started) cursor.next()
        else cursor.first()
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
