/**
 * The database: its public methods, and nothing else. What they do is in the files beside this one.
 *
 * `open.ts` wires the parts, `write-queue.ts` is the only writer, `entry-reader.ts` reads, `health.ts` decides what an
 * error does. This class checks arguments and state, and keeps track of the handles that `close()` has to end.
 */
import { EventEmitter } from 'node:events'
import { InvalidArgumentError, NotSupportedError, checkFlag, copyBytes, invariant, keyBytes, limitOf, ownKeyBytes, rangeBytes } from '@wk/codec'
import { NodeFileSystem, absoluteDirectory } from '@wk/fs'
import type { FileSystem } from '@wk/fs'
import type { GcReport } from '@wk/gc'
import { expiryOf, optionsObject, syncOf, userMetaOf, valueBytes } from './arguments.js'
import type { BytesLike, RangeOptions, WriteOptions } from './arguments.js'
import { Backup } from './backup.js'
import type { BackupOptions } from './backup.js'
import { checkBatch, stageBatch } from './batch.js'
import type { BatchOperation } from './batch.js'
import type { ClearOptions, CompactOptions, GcRunOptions, ReadOptions } from './call-options.js'
import { makeCheckpoint } from './checkpoint.js'
import { clearRange } from './clear.js'
import { closeFiles } from './close-files.js'
import { destroyDirectory } from './directory.js'
import { EntryReader } from './entry-reader.js'
import type { Entry } from './entry-reader.js'
import { NO_NOTES, describeFiles } from './gc-victims.js'
import type { ValueLogFile } from './gc-victims.js'
import type { DbIterator, IteratorMode, IteratorOptions } from './iterator.js'
import { loadBackup } from './load.js'
import type { BackupChunks } from './load.js'
import { LongCalls, checkMaintenance } from './maintenance.js'
import type { MaintenanceOptions } from './maintenance.js'
import { openIterator } from './open-iterator.js'
import { openParts } from './open.js'
import type { Parts } from './open.js'
import { checkSpaceAmp, fileSystem, resolveOptions } from './options.js'
import type { DbOptions } from './options.js'
import { checkTarget, repairDatabase } from './repair.js'
import type { RepairOptions, RepairReport } from './repair.js'
import { Snapshot } from './snapshot.js'
import { Stager } from './stager.js'
import { collectStats } from './stats.js'
import type { DbStats } from './stats.js'
import type { GcPlan } from './dry-run.js'
import { describeTables } from './table-info.js'
import type { TableInfo } from './table-info.js'
import { tellListeners } from './tell-listeners.js'
import { runTransaction } from './transaction.js'
import type { Transaction, TransactionHost, TransactionOptions } from './transaction.js'
import { listVersions } from './versions.js'
import { verifyDatabase } from './verify.js'
import type { VerifyReport } from './verify.js'

/**
 * A key-value database in one directory, owned by one thread of one process.
 *
 * Emits `health` (`{ state, cause }`) when a failure turns it read-only, and `warning` (`{ code, message }`) when background work
 * has to be done on the calling thread. What a listener throws is an uncaught exception.
 */
export class DB extends EventEmitter {
  readonly #parts: Parts
  readonly #reader: EntryReader
  readonly #stager: Stager
  readonly #iterators = new Set<{ close(): Promise<void> }>()
  readonly #snapshots = new Set<Snapshot>()
  readonly #transactionHost: TransactionHost
  /** Under way; `close()` waits for them to stop. */
  readonly #checkpoints = new Set<Promise<void>>()
  readonly #longCalls = new LongCalls()
  #closing: Promise<void> | undefined

  /** @internal Use {@link DB.open}. */
  constructor(parts: Parts) {
    super()
    const { tree, vlog, options } = parts
    this.#parts = parts
    this.#reader = new EntryReader(tree, vlog, options.runtime)
    this.#stager = new Stager(tree, vlog, options.valueThreshold)
    this.#transactionHost = { parts, reader: this.#reader, stager: this.#stager, transactions: new Set() }
    parts.failureListener = (cause) => tellListeners(this, 'health', { state: 'read-only', cause })
    parts.warningListener = (warning) => tellListeners(this, 'warning', warning)
  }

  /**
   * Opens or makes the database in `dir` and recovers what a crash left.
   * @throws `WK_LOCKED`, `WK_NOT_FOUND`, `WK_EXISTS`, `WK_CORRUPTION`, `WK_IO`, `WK_INVALID_ARGUMENT`, `WK_NOT_SUPPORTED`
   */
  static async open(dir: string, options: DbOptions = {}): Promise<DB> {
    const resolved = resolveOptions(options)
    return new DB(await openParts(resolved.inMemory ? '' : absoluteDirectory(dir, resolved.fs), resolved))
  }

  /** Removes the files in `dir` that bear our names, then `dir` if it is empty. `WK_LOCKED` while it is open. */
  static async destroy(dir: string, options: { fs?: FileSystem } = {}): Promise<void> {
    const fs = fileSystem(optionsObject(options).fs)
    await destroyDirectory(fs ?? new NodeFileSystem(), absoluteDirectory(dir, fs))
  }

  /**
   * Saves everything that still verifies of a damaged database into a new one, and tells what it could not save. The source is
   * only read, under a shared lock, and needs neither CURRENT nor a manifest. Versions are numbered anew; older ones that snapshots or
   * `numVersionsToKeep` kept are not saved. When it rejects, nothing is left of the new database.
   * @throws `WK_LOCKED`, `WK_NOT_FOUND` (nothing of a database there), `WK_EXISTS` (in `to`), `WK_INVALID_ARGUMENT`, `WK_IO`, `WK_ABORTED`
   */
  static async repair(dir: string, options: RepairOptions): Promise<RepairReport> {
    const { to, fs: given, target, ...rest } = optionsObject(options)
    checkMaintenance(rest)
    const fs = fileSystem(given)
    const resolved = resolveOptions({ ...target, ...(fs === undefined ? {} : { fs }), createIfMissing: true, errorIfExists: true, readOnly: false, inMemory: false })
    const source = absoluteDirectory(dir, fs)
    checkTarget(to, dir)
    const place = absoluteDirectory(to, fs)
    checkTarget(place, source)
    return repairDatabase(resolved, source, options, async (fill) => {
      const db = new DB(await openParts(place, resolved))
      try {
        const report = await fill((operations) => db.#parts.queue.write(false, () => stageBatch(db.#stager, operations)))
        await db.close()
        return report
      } catch (error) {
        await db.close().catch(() => {})
        await destroyDirectory(db.#parts.fs, place)
        throw error
      }
    })
  }

  /** Stores a value. Resolves when it is acknowledged; every read that starts after the call sees it. */
  put(key: BytesLike, value: BytesLike, options?: WriteOptions): Promise<void> {
    try {
      const { ttl, userMeta } = optionsObject(options)
      const k = ownKeyBytes(key)
      const v = valueBytes(value)
      const meta = userMetaOf(userMeta)
      const expiresAt = expiryOf(ttl, ttl === undefined ? 0 : this.#parts.options.runtime.now())
      return this.#parts.queue.write(this.#sync(options), () => {
        this.#stager.prepare(1, k.length + this.#stager.payloadLength(v.length, meta, expiresAt))
        this.#stager.put(k, v, meta, expiresAt, true)
      })
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /** Deletes a key, there or not. */
  del(key: BytesLike, options?: { sync?: boolean }): Promise<void> {
    try {
      const k = ownKeyBytes(key)
      return this.#parts.queue.write(this.#sync(optionsObject(options)), () => {
        this.#stager.prepare(1, k.length)
        this.#stager.del(k)
      })
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /** Applies operations in order, all or none of them. @throws `WK_TXN_TOO_BIG` */
  batch(operations: readonly BatchOperation[], options?: { sync?: boolean }): Promise<void> {
    try {
      const { queue, options: limits } = this.#parts
      const sync = this.#sync(optionsObject(options))
      const checked = checkBatch(operations, limits, limits.runtime.now())
      return queue.write(sync, () => {
        if (checked.length > 0) stageBatch(this.#stager, checked)
      })
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /** Deletes what the range held at the call, and keeps what is written later; with a snapshot all keys that it holds there, whatever was written since. */
  async clear(options: ClearOptions = {}): Promise<void> {
    this.#parts.health.assertWritable()
    const { reverse, limit, snapshot } = optionsObject(options)
    const view = { sequence: this.#sequence(options), keepsLater: snapshot === undefined }
    const request = { ...view, range: rangeBytes(options), reverse: checkFlag('reverse', reverse, false), limit: limitOf(limit), sync: this.#sync(options) }
    await this.#longCalls.run(options, (call) => clearRange({ ...this.#parts, stager: this.#stager, reader: this.#reader }, { ...request, ...call }))
    await this.#parts.guard.due()
  }

  /**
   * The value of a key, as the caller's own copy. (Up to 4 KiB, some results may share an `ArrayBuffer` of 16 KiB, as Node's small
   * Buffers do; never a byte of it.) @throws `WK_CORRUPTION` if it does not verify
   */
  get(key: BytesLike, options?: ReadOptions): Promise<Uint8Array | undefined> {
    try {
      const value = this.#reader.get(keyBytes(key), this.#sequence(options))
      return value instanceof Promise ? value : (this.#parts.guard.due()?.then(() => value) ?? Promise.resolve(value))
    } catch (error) {
      return Promise.reject(error as Error)
    }
  }

  /** {@link get} on the calling thread. */
  getSync(key: BytesLike, options?: ReadOptions): Uint8Array | undefined {
    return this.#reader.getSync(keyBytes(key), this.#sequence(options))
  }

  /** The values of several keys, in their order. */
  async getMany(keys: readonly BytesLike[], options?: ReadOptions): Promise<(Uint8Array | undefined)[]> {
    if (!Array.isArray(keys)) throw new InvalidArgumentError('keys must be an array')
    const sequence = this.#sequence(options)
    const values = this.#reader.getMany(Array.from(keys, keyBytes), sequence)
    return values instanceof Promise ? values : (this.#parts.guard.due()?.then(() => values) ?? values)
  }

  /** Whether a key has a value. Never touches the value log. */
  async has(key: BytesLike, options?: ReadOptions): Promise<boolean> {
    const has = this.#reader.has(keyBytes(key), this.#sequence(options))
    const turn = this.#parts.guard.due()
    if (turn !== undefined) await turn
    return has
  }

  /** The value with its version, expiry and user meta. */
  async getEntry(key: BytesLike, options?: ReadOptions): Promise<Entry | undefined> {
    const found = this.#reader.findEntry(keyBytes(key), this.#sequence(options))
    if (found === undefined) return this.#parts.guard.due()?.then(() => undefined)
    const [value] = await this.#reader.calls.add(this.#reader.fill([found.value]))
    await this.#parts.guard.due()
    return { ...found.entry, value: value as Uint8Array }
  }

  /** Entries of a range, in byte order of their keys. */
  iterator(options?: IteratorOptions): DbIterator<[Uint8Array, Uint8Array]> {
    return this.#iterate('entries', options)
  }

  /** Keys of a range. Never reads the value log. */
  keys(options?: IteratorOptions): DbIterator<Uint8Array> {
    return this.#iterate('keys', options)
  }

  /** Values of a range, in the order of their keys. */
  values(options?: IteratorOptions): DbIterator<Uint8Array> {
    return this.#iterate('values', options)
  }

  /** A view of everything written so far. Close it: what it sees stays on disk until then. */
  snapshot(): Snapshot {
    const { health, tree } = this.#parts
    health.assertReadable()
    const snapshot = new Snapshot(tree.snapshot(), (closed) => {
      this.#snapshots.delete(closed)
      this.#parts.keeper?.readerEnded()
    })
    this.#snapshots.add(snapshot)
    return snapshot
  }

  /** Resolves when every earlier write is on the device. */
  async sync(): Promise<void> {
    if (this.#parts.health.state === 'read-only' && this.#parts.health.failure === undefined) return
    await this.#parts.queue.sync()
  }

  /** Puts all memtables into durable tables. */
  async flush(): Promise<void> {
    await this.#parts.queue.barrier()
    await this.#parts.tree.flush()
  }

  /** Merges all tables, or those that may hold keys of a range, downwards and drops what nobody can see any more. */
  async compact(options?: CompactOptions): Promise<void> {
    const range = rangeBytes(optionsObject(options))
    await this.#longCalls.run(options ?? {}, async (call) => {
      await this.flush()
      await this.#parts.tree.compact({ ...call, range })
    })
  }

  /**
   * Estimated bytes on disk of a range, keys and values: from the tables' indexes, so it is cheap, and about right where the range is
   * many blocks long. Counts garbage that compaction has not met, and not what is still in memtables (`flush()` first).
   */
  async approximateSize(range: RangeOptions): Promise<number> {
    this.#parts.health.assertReadable()
    return this.#parts.tree.approximateSize(rangeBytes(optionsObject(range)))
  }

  /**
   * One value-log GC: drops dead files and rewrites the worst one whose garbage is at least `discardRatio`.
   * @throws `WK_NO_REWRITE`, `WK_GC_RUNNING`, `WK_INVALID_ARGUMENT`, `WK_NOT_SUPPORTED`, `WK_CORRUPTION`
   */
  async runValueLogGC(discardRatio: number, options?: MaintenanceOptions): Promise<GcReport> {
    const calls = this.#gcCalls()
    return this.#longCalls.run(optionsObject(options), (call) => calls.collectWorst(discardRatio, call))
  }

  /** GC passes until disk bytes over live bytes are at most `maxSpaceAmp`, or nothing is left to collect. */
  async gc(options: GcRunOptions & { dryRun: true }): Promise<GcPlan>
  async gc(options?: GcRunOptions & { dryRun?: false }): Promise<GcReport>
  async gc(options?: GcRunOptions): Promise<GcReport | GcPlan> {
    const { maxSpaceAmp = this.#parts.options.gc.maxSpaceAmp, dryRun = false } = optionsObject(options)
    checkSpaceAmp(maxSpaceAmp)
    if (typeof dryRun !== 'boolean') throw new InvalidArgumentError('dryRun must be a boolean')
    const calls = this.#gcCalls()
    return this.#longCalls.run<GcReport | GcPlan>(options ?? {}, (call) => {
      if (dryRun) return calls.plan(maxSpaceAmp, this.#parts.keeper?.reason ?? 'the background collects nothing: gc.auto is false')
      return calls.collectTo(maxSpaceAmp, call)
    })
  }

  /** The tables of the tree, by level; level 0 newest first, the others by key. */
  tables(): TableInfo[] {
    this.#parts.health.assertReadable()
    return describeTables(this.#parts.tree)
  }

  /** The value-log files on disk, by number: bytes, live bytes, which logical files lie where, and what keeps each from being collected. */
  valueLogFiles(): ValueLogFile[] {
    const { health, tree, vlog, gc } = this.#parts
    health.assertReadable()
    if (vlog === undefined) return []
    return gc?.files() ?? describeFiles(tree, vlog, NO_NOTES)
  }

  /** Reads everything and reports what does not hold. Changes nothing. */
  async verify(options?: MaintenanceOptions): Promise<VerifyReport> {
    const { health, queue, tree, vlog, gc, options: resolved } = this.#parts
    health.assertReadable()
    return this.#longCalls.run(optionsObject(options), async (call) => {
      if (health.state === 'open') await queue.barrier()
      const verify = (): Promise<VerifyReport> => verifyDatabase(tree, vlog, resolved.runtime, call)
      // Collection waits meanwhile: the files that are to be looked at must not go.
      return gc === undefined ? verify() : gc.locked(verify, call.signal)
    })
  }

  /** Counters and sizes, as a flat object of numbers. Cheap. */
  stats(): DbStats {
    this.#parts.health.assertReadable()
    return collectStats(this.#parts, this.#iterators.size)
  }

  /**
   * Runs `fn` in a transaction (serializable snapshot isolation): its writes are committed, all or none, when `fn` resolves, and
   * discarded when it throws. Resolves with what `fn` returned, when the commit is acknowledged.
   *
   * Everything that was read, keys found absent and ranges included, must still be unchanged at the commit, by plain writes
   * too; otherwise `fn` is called again, up to `retries` times, and then it is `WK_CONFLICT`. So `fn` should have no other
   * effects. What the transaction sees stays on disk while it lives: keep it short.
   * @throws `WK_CONFLICT`, `WK_TXN_TOO_BIG`, `WK_READ_ONLY`, and whatever `fn` throws
   */
  transaction<T>(fn: (txn: Transaction) => Promise<T> | T, options?: TransactionOptions): Promise<T> {
    return runTransaction(this.#transactionHost, fn, options)
  }

  /**
   * The versions of a key, newest first: at most `numVersionsToKeep`, down to the first deletion or expired one. Empty for a key
   * that is not there.
   */
  async versions(key: BytesLike): Promise<Entry[]> {
    const { health, tree, guard, options } = this.#parts
    health.assertReadable()
    const listing = listVersions(tree, this.#reader, guard, copyBytes(keyBytes(key)), options.numVersionsToKeep, options.runtime.now())
    const versions = await this.#reader.calls.add(listing)
    await guard.due()
    return versions
  }

  /**
   * Makes a copy of the database in `dir`, missing or empty, that can be opened on its own: exactly the writes called before, durable
   * when the promise resolves. Files are hard links where the file system allows, so the copy takes little space at first.
   * The database works on meanwhile; garbage collection waits.
   * @throws `WK_EXISTS`, `WK_ABORTED`, `WK_READ_ONLY`, `WK_IO`, `WK_NOT_SUPPORTED` (in memory)
   */
  async checkpoint(dir: string, options?: MaintenanceOptions): Promise<void> {
    const { health, options: resolved } = this.#parts
    health.assertWritable()
    if (resolved.inMemory) throw new NotSupportedError('a database in memory has no files to copy')
    const place = absoluteDirectory(dir, resolved.fs)
    const made = this.#longCalls.run(optionsObject(options), (call) => makeCheckpoint(this.#parts, place, call))
    this.#checkpoints.add(made)
    try {
      await made
    } finally {
      this.#checkpoints.delete(made)
    }
  }

  /**
   * Every change with a version above `since`, deletions included, as a stream for {@link DB.load}; its return value is the last
   * version it covers, the next `since`. The view is taken at the first `next()`; what is covered is durable by then.
   *
   * If a compaction has dropped deletions made after `since` it is refused before the first chunk: a snapshot that is held from one
   * backup to the next prevents that.
   * @throws `WK_NOT_SUPPORTED`, `WK_INVALID_ARGUMENT`, `WK_CORRUPTION`, `WK_ABORTED`
   */
  async *backup(options?: BackupOptions): AsyncGenerator<Uint8Array, number, undefined> {
    this.#parts.health.assertReadable()
    const { since = 0 } = optionsObject(options)
    const call = this.#longCalls.begin(options ?? {})
    let backup: Backup | undefined
    try {
      const made: Backup = (backup = new Backup(this.#parts, this.#reader, since, call.options, () => {
        this.#iterators.delete(made)
        this.#parts.keeper?.readerEnded()
      }))
      this.#iterators.add(backup)
      for (let chunk = await backup.nextChunk(); chunk !== undefined; chunk = await backup.nextChunk()) yield chunk
      return backup.lastVersion
    } catch (error) {
      throw call.errorOf(error)
    } finally {
      call.end()
      await backup?.close()
    }
  }

  /**
   * Writes what a backup holds over what is there, durable when it resolves. Into an empty database: a full backup, then its
   * increments in their order. The chunks may be cut in any way. Not atomic: what came before damage has been loaded.
   * @throws `WK_CORRUPTION` for a stream that is empty, cut or damaged, `WK_READ_ONLY`, `WK_ABORTED`
   */
  async load(chunks: BackupChunks, options?: MaintenanceOptions): Promise<void> {
    this.#parts.health.assertWritable()
    await this.#longCalls.run(optionsObject(options), (call) => loadBackup(this.#parts, this.#stager, chunks, call))
  }

  /**
   * Lets called writes end, stops background work, ends long calls (`WK_CLOSED`), closes live iterators, snapshots and transactions,
   * makes everything durable and gives up the directory. Idempotent. After an earlier failure it resolves without writing; it rejects only when
   * making the data durable fails now (what was acknowledged is still in the WAL).
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    const { health, queue, gc, keeper, lock } = this.#parts
    const writable = health.state === 'open'
    // What fails here fails again in the end, or is what made the database read-only.
    const written = writable ? queue.writeAll().catch(() => undefined) : undefined
    health.startClosing()
    this.#longCalls.close()
    const stopped = keeper?.stop()
    await written
    await queue.drained()
    await stopped
    await gc?.settled()
    await Promise.allSettled(this.#checkpoints)
    await this.#reader.calls.settled()
    // What one of them fails with its owner is told; the files are to be closed in any case.
    await Promise.allSettled([...this.#iterators].map((iterator) => iterator.close()))
    await Promise.allSettled([...this.#snapshots].map(async (snapshot) => snapshot.close()))
    await Promise.allSettled([...this.#transactionHost.transactions].map((transaction) => transaction.close()))
    try {
      await closeFiles(this.#parts, writable && health.failure === undefined)
    } finally {
      await lock.release()
      health.closed()
    }
  }

  #iterate<T>(mode: IteratorMode, options: IteratorOptions | undefined): DbIterator<T> {
    const iterator = openIterator<T>(this.#parts, this.#reader, mode, options, this.#sequence(options), (closed) => {
      this.#iterators.delete(closed)
      this.#parts.keeper?.readerEnded()
    })
    this.#iterators.add(iterator)
    return iterator
  }

  #sequence(options: ReadOptions | undefined): number {
    this.#parts.health.assertReadable()
    const { snapshot } = optionsObject(options)
    return snapshot === undefined ? this.#parts.tree.visibleSequence : Snapshot.sequenceOf(snapshot, this.#snapshots)
  }

  #sync(options: { sync?: boolean } | undefined): boolean {
    return syncOf(options, this.#parts.options.syncWrites)
  }

  #gcCalls(): NonNullable<Parts['gcCalls']> {
    const { health, gcCalls, options } = this.#parts
    health.assertReadable()
    if (options.inMemory) throw new NotSupportedError('a database in memory has no value log')
    health.assertWritable()
    invariant(gcCalls !== undefined, 'a writable database on disk has a collector')
    return gcCalls
  }
}
