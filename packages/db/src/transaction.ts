/**
 * Transactions: serializable snapshot isolation.
 *
 * A transaction reads at the snapshot of its beginning, with its own writes on top; its writes stay in memory. The commit
 * asks whether anything that was read has changed since (`txn-validation.ts`) and, in the same turn, stages the writes as
 * one batch: they take effect as if everything had been read at that moment, so the order in which transactions are
 * staged is a serial order of them. Plain writes are commits like any other.
 *
 * One that wrote nothing is never in conflict: it happened when it began.
 */
import { ClosedError, ConflictError, InvalidArgumentError, ReadOnlyError, keyBytes } from '@wk/codec'
import type { Snapshot as TreeSnapshot } from '@wk/lsm'
import { expiryOf, optionsObject, syncOf, userMetaOf, valueBytes } from './arguments.js'
import type { BytesLike } from './arguments.js'
import { stageBatch } from './batch.js'
import type { CheckedOperation } from './batch.js'
import type { EntryReader } from './entry-reader.js'
import type { DbIterator, IteratorMode, IteratorOptions } from './iterator.js'
import { openIterator } from './open-iterator.js'
import type { Parts } from './open.js'
import type { Stager } from './stager.js'
import { TxnCursor } from './txn-cursor.js'
import { TxnObserver } from './txn-observer.js'
import { TxnReads } from './txn-reads.js'
import { TxnValidation } from './txn-validation.js'
import { TxnWrites } from './txn-writes.js'

/** Options of `db.transaction`. */
export interface TransactionOptions {
  /** How often `fn` is called again, on a new snapshot, after a conflict. Default 0. */
  retries?: number
  /** Acknowledge the commit only when it, and every earlier write, is on the device. Default: the database's `syncWrites`. */
  sync?: boolean
  /** Refuses writes with `WK_READ_ONLY`, and remembers nothing of what is read. Default false. */
  readOnly?: boolean
}

/** Options of {@link Transaction.put}. */
export interface TransactionPutOptions {
  /** Seconds after which the entry is gone; rounded up to whole ones. Counts from the call. */
  ttl?: number
  /** A byte of the caller's own beside the value: 0 to 255. Default 0. */
  userMeta?: number
}

/** Options of the iterators of a transaction: they read at its own snapshot. */
export type TransactionIteratorOptions = Omit<IteratorOptions, 'snapshot'>

/** What transactions need of the database. */
export interface TransactionHost {
  readonly parts: Parts
  readonly reader: EntryReader
  readonly stager: Stager
  /** Those that are live; `close()` ends them. */
  readonly transactions: Set<Transaction>
}

/** Handed to the function given to `db.transaction`; after that function has settled every use is `WK_CLOSED`. */
export class Transaction {
  readonly #host: TransactionHost
  readonly #snapshot: TreeSnapshot
  readonly #readOnly: boolean
  readonly #reads = new TxnReads()
  readonly #writes: TxnWrites
  readonly #iterators = new Set<{ close(): Promise<void> }>()
  /** What goes on after its end: iterators that give up their views, the commit. */
  readonly #ending: Promise<unknown>[] = []
  #open = true
  #isCommitting = false

  /** @internal Transactions come from `db.transaction()`. */
  constructor(host: TransactionHost, readOnly: boolean) {
    const { health, tree, options } = host.parts
    health.assertReadable()
    this.#host = host
    this.#readOnly = readOnly
    this.#writes = new TxnWrites(options)
    this.#snapshot = tree.snapshot()
    host.transactions.add(this)
  }

  /** Version of the newest write of others that it sees. */
  get version(): number {
    return this.#snapshot.sequence
  }

  /** The value of a key, as the caller's own copy. @throws `WK_CORRUPTION` if it does not verify */
  async get(key: BytesLike): Promise<Uint8Array | undefined> {
    this.#assertOpen()
    const { reader, parts } = this.#host
    const bytes = keyBytes(key)
    const own = this.#own(bytes)
    const value = own === undefined ? reader.get(bytes, this.version) : this.#valueOf(own)
    if (value instanceof Promise) return value
    const turn = parts.guard.due()
    if (turn !== undefined) await turn
    return value
  }

  /** The values of several keys, in their order. */
  async getMany(keys: readonly BytesLike[]): Promise<(Uint8Array | undefined)[]> {
    this.#assertOpen()
    if (!Array.isArray(keys)) throw new InvalidArgumentError('keys must be an array')
    const { reader, parts } = this.#host
    const wanted = Array.from(keys, keyBytes)
    const others: number[] = []
    const values = wanted.map((key, at): Uint8Array | undefined => {
      const own = this.#own(key)
      if (own === undefined) others.push(at)
      return own === undefined ? undefined : this.#valueOf(own)
    })
    const found = await reader.getMany(
      others.map((at) => wanted[at] as Uint8Array),
      this.version,
    )
    for (const [i, at] of others.entries()) values[at] = found[i]
    const turn = parts.guard.due()
    if (turn !== undefined) await turn
    return values
  }

  /** Whether a key has a value. Never touches the value log. */
  async has(key: BytesLike): Promise<boolean> {
    this.#assertOpen()
    const { reader, parts } = this.#host
    const bytes = keyBytes(key)
    const own = this.#own(bytes)
    const has = own === undefined ? reader.has(bytes, this.version) : this.#isLive(own)
    const turn = parts.guard.due()
    if (turn !== undefined) await turn
    return has
  }

  /** Stores a value when the transaction commits. The bytes may be reused at once. @throws `WK_TXN_TOO_BIG`, `WK_READ_ONLY` */
  put(key: BytesLike, value: BytesLike, options?: TransactionPutOptions): void {
    this.#assertWritable()
    const { ttl, userMeta } = optionsObject(options)
    const expiresAt = expiryOf(ttl, ttl === undefined ? 0 : this.#host.parts.options.runtime.now())
    this.#writes.add(keyBytes(key), valueBytes(value), userMetaOf(userMeta), expiresAt)
  }

  /** Deletes a key, there or not, when the transaction commits. @throws `WK_TXN_TOO_BIG`, `WK_READ_ONLY` */
  del(key: BytesLike): void {
    this.#assertWritable()
    this.#writes.add(keyBytes(key), undefined, 0, 0)
  }

  /** Entries of a range, in byte order of their keys, with what was written before the call. */
  iterator(options?: TransactionIteratorOptions): DbIterator<[Uint8Array, Uint8Array]> {
    return this.#iterate('entries', options)
  }

  /** Keys of a range. Never reads the value log. */
  keys(options?: TransactionIteratorOptions): DbIterator<Uint8Array> {
    return this.#iterate('keys', options)
  }

  /** Values of a range, in the order of their keys. */
  values(options?: TransactionIteratorOptions): DbIterator<Uint8Array> {
    return this.#iterate('values', options)
  }

  /** @internal Ends it and writes what it wrote, unless something it read has changed: false then. */
  commit(sync: boolean): Promise<boolean> {
    this.#assertOpen()
    this.#open = false
    this.#endIterators()
    if (this.#writes.isEmpty) return Promise.resolve(true)
    const committed = this.#commit(sync)
    this.#ending.push(committed)
    return committed
  }

  /** Ends it without writing: `db.transaction()` rejects with `WK_CLOSED` then, unless its function throws. Idempotent. */
  discard(): void {
    this.#open = false
    this.#endIterators()
    // The snapshot must live for as long as a commit asks what has changed since.
    if (!this.#isCommitting) this.#release()
  }

  /** {@link discard}; resolves when nothing of it uses the database any more. */
  async close(): Promise<void> {
    this.discard()
    await Promise.allSettled(this.#ending)
    this.#release()
  }

  [Symbol.dispose](): void {
    this.discard()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #release(): void {
    this.#snapshot.release()
    // `db.close()` waits for iterators that a read still keeps from giving up their views.
    if (this.#iterators.size === 0 && this.#host.transactions.delete(this)) this.#host.parts.keeper?.readerEnded()
  }

  async #commit(sync: boolean): Promise<boolean> {
    this.#isCommitting = true
    const { parts, stager } = this.#host
    const validation = new TxnValidation(this.#reads, this.version, { ...this.#host, tree: parts.tree, runtime: parts.options.runtime })
    try {
      let changed = validation.run()
      while (changed === undefined) {
        await validation.pause()
        parts.health.assertWritable()
        changed = validation.run()
      }
      if (changed) return false
      // No await since the validation looked: what it saw is still so.
      await parts.queue.write(sync, () => stageBatch(stager, this.#writes.operations()))
      return true
    } finally {
      validation.end()
      this.#isCommitting = false
    }
  }

  /** The own write of a key, or nothing: then the key counts as read. */
  #own(key: Uint8Array): CheckedOperation | undefined {
    const own = this.#writes.get(key)
    if (own === undefined && !this.#readOnly) this.#reads.addKey(key)
    return own
  }

  #valueOf(own: CheckedOperation): Uint8Array | undefined {
    return this.#isLive(own) ? own.value?.slice() : undefined
  }

  #isLive({ value, expiresAt }: CheckedOperation): boolean {
    return value !== undefined && (expiresAt === 0 || expiresAt > this.#now())
  }

  #iterate<T>(mode: IteratorMode, options: TransactionIteratorOptions | undefined): DbIterator<T> {
    this.#assertOpen()
    if ((optionsObject(options) as IteratorOptions).snapshot !== undefined) throw new InvalidArgumentError('a transaction reads at its own snapshot')
    const { parts, reader } = this.#host
    let observer: TxnObserver | undefined
    const iterator = openIterator<T>(
      parts,
      reader,
      mode,
      options,
      this.version,
      (closed) => {
        observer?.close()
        this.#iterators.delete(closed)
        if (!this.#open && !this.#isCommitting) this.#release()
      },
      (base, range, reverse) => {
        if (!this.#readOnly) observer = new TxnObserver(this.#reads, range, reverse)
        return { cursor: new TxnCursor(base, this.#writes.sorted(), range, this.#now()), observer }
      },
    )
    this.#iterators.add(iterator)
    return iterator
  }

  #endIterators(): void {
    // Closed in this turn; only the views may be given up later.
    for (const iterator of this.#iterators) this.#ending.push(iterator.close())
  }

  #now(): number {
    return Math.floor(this.#host.parts.options.runtime.now() / 1000)
  }

  #assertOpen(): void {
    this.#host.parts.health.assertReadable()
    if (!this.#open) throw new ClosedError('the transaction has ended')
  }

  #assertWritable(): void {
    this.#assertOpen()
    if (this.#readOnly) throw new ReadOnlyError('the transaction is read-only')
    this.#host.parts.health.assertWritable()
  }
}

/** `db.transaction()`: runs `fn` in a transaction, and again after a conflict as often as `retries` allows. */
export async function runTransaction<T>(host: TransactionHost, fn: (txn: Transaction) => Promise<T> | T, options: TransactionOptions | undefined): Promise<T> {
  if (typeof fn !== 'function') throw new InvalidArgumentError('a transaction needs a function')
  const { retries = 0, readOnly = false } = optionsObject(options)
  if (!Number.isSafeInteger(retries) || retries < 0) throw new InvalidArgumentError('retries must be an integer from 0')
  if (typeof readOnly !== 'boolean') throw new InvalidArgumentError('readOnly must be a boolean')
  const sync = syncOf(options, host.parts.options.syncWrites)
  for (let attempt = 0; ; attempt++) {
    const txn = new Transaction(host, readOnly)
    try {
      const result = await fn(txn)
      if (await txn.commit(sync)) return result
    } finally {
      txn.discard()
    }
    if (attempt === retries) throw new ConflictError('something the transaction has read was changed by another write')
    const turn = host.parts.guard.due()
    if (turn !== undefined) await turn
  }
}
