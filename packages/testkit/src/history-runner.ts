/**
 * Runs a history against a database and the model side by side and compares every answer. Writes and reads that the
 * history does not wait for overlap with what comes next. A crash oracle may listen: it is told of every write before
 * it is called, and of everything that acknowledges it or makes it durable.
 */
import { WkError } from '@wk/codec'
import { expectClosed } from './answers.js'
import type { BatchEntry, Database, OpenDatabase, SnapshotHandle } from './database.js'
import { HistoryReads, type ReadView } from './history-reads.js'
import { Lender } from './lender.js'
import { Model, type Change, type ModelRange } from './model.js'
import { describe, valueBytes, type Operation } from './operations.js'
import type { CrashOracle } from './oracle.js'

/** What a history did. */
export interface HistoryCounts {
  operations: number
  /** Value-log collections that collected something, and those that found nothing. */
  collected: number
  nothingToCollect: number
  reopened: number
}

/** A history failed: which operation, and what was wrong. */
export class HistoryFailure extends Error {
  override readonly name = 'HistoryFailure'
  /** Place of the failing operation in the history. */
  readonly index: number

  constructor(index: number, operation: Operation | undefined, cause: unknown) {
    super(`operation ${index}${operation === undefined ? '' : ` ${describe(operation)}`}: ${String(cause)}`, { cause })
    this.index = index
  }
}

/** One run of one history. */
export class HistoryRunner {
  readonly counts: HistoryCounts = { operations: 0, collected: 0, nothingToCollect: 0, reopened: 0 }
  readonly #open: OpenDatabase
  readonly #oracle: CrashOracle | undefined
  readonly #reads = new HistoryReads()
  readonly #snapshots = new Map<number, { handle: SnapshotHandle; model: Model }>()
  readonly #pendingReads = new Set<Promise<void>>()
  readonly #pendingWrites = new Set<Promise<void>>()
  readonly #model = new Model()
  #failure: HistoryFailure | undefined
  #db: Database | undefined
  #index = 0

  /**
   * @param open opens the database; called at the start and at each `reopen`
   * @param oracle told of every write, for crash tests
   */
  constructor(open: OpenDatabase, oracle?: CrashOracle) {
    this.#open = open
    this.#oracle = oracle
  }

  /** The model as it stands. */
  get model(): Model {
    return this.#model
  }

  /** Runs all operations, then closes the database. Throws: HistoryFailure at the first difference. */
  async run(history: readonly Operation[]): Promise<void> {
    try {
      this.#db = await this.#open()
      for (const [index, operation] of history.entries()) {
        this.#index = index
        await this.#step(operation)
        this.counts.operations++
        if (this.#failure !== undefined) throw this.#failure
      }
      await this.#drain()
      await this.#close()
    } catch (err) {
      const failure = err instanceof HistoryFailure ? err : new HistoryFailure(this.#index, history[this.#index], err)
      await Promise.allSettled([...this.#pendingReads, ...this.#pendingWrites])
      await this.#db?.close().catch(() => undefined)
      throw failure
    }
  }

  async #step(operation: Operation): Promise<void> {
    switch (operation.type) {
      case 'write':
        return this.#overlap(operation, this.#write(operation), this.#pendingWrites)
      case 'clear':
        return this.#clear(operation.range)
      case 'get':
        return this.#overlap(operation, this.#reads.get(operation, this.#view(operation.snapshot)), this.#pendingReads)
      case 'getMany':
        return this.#overlap(operation, this.#reads.getMany(operation, this.#view(operation.snapshot)), this.#pendingReads)
      case 'scan':
        return this.#reads.scan(operation, this.#view(operation.snapshot))
      case 'seekScan':
        return this.#reads.seekScan(operation, this.#view(operation.snapshot))
      case 'openIterator':
        return this.#reads.openIterator(operation, this.#view(operation.snapshot))
      case 'stepIterator':
        return this.#reads.stepIterator(operation.id, operation.count)
      case 'closeIterator':
        return this.#reads.closeIterator(operation.id)
      case 'snapshot': {
        this.#snapshots.set(operation.id, { handle: this.#database.snapshot(), model: this.#model.snapshot() })
        return
      }
      case 'closeSnapshot': {
        const snapshot = this.#snapshots.get(operation.id)
        snapshot?.handle.close()
        snapshot?.handle.close()
        this.#snapshots.delete(operation.id)
        return
      }
      case 'drain':
        return this.#drain()
      case 'flush':
        return this.#durable(this.#database.flush())
      case 'sync':
        return this.#durable(this.#database.sync())
      case 'compact':
        await this.#database.compact()
        return
      case 'gc':
        return this.#collect(operation.ratio)
      case 'reopen':
        return this.#reopen()
      case 'compareAll':
        return this.#reads.all(this.#view(undefined))
      case 'verify':
        return this.#verify()
    }
  }

  get #database(): Database {
    if (this.#db === undefined) throw new Error('the database is not open')
    return this.#db
  }

  #view(id: number | undefined): ReadView {
    const snapshot = id === undefined ? undefined : this.#snapshots.get(id)
    return { db: this.#database, snapshot: snapshot?.handle, model: snapshot?.model ?? this.#model }
  }

  /** Awaits work now, or lets it run on and keeps its failure for later. */
  async #overlap(operation: Operation & { awaited: boolean }, work: Promise<void>, pending: Set<Promise<void>>): Promise<void> {
    if (operation.awaited) return work
    const index = this.#index
    const tracked = work
      .catch((err: unknown) => {
        this.#failure ??= new HistoryFailure(index, operation, err)
      })
      .finally(() => pending.delete(tracked))
    pending.add(tracked)
  }

  async #drain(): Promise<void> {
    await Promise.all([...this.#pendingReads, ...this.#pendingWrites])
    if (this.#failure !== undefined) throw this.#failure
  }

  async #write(operation: Operation & { type: 'write' }): Promise<void> {
    const changes: Change[] = operation.writes.map(({ key, value }) => ({ key, value: value === undefined ? undefined : valueBytes(value) }))
    const step = this.#oracle?.record(changes)
    const lender = new Lender(this.#index)
    const entries: BatchEntry[] = changes.map(({ key, value }) =>
      value === undefined ? { type: 'del', key: lender.key(key) } : { type: 'put', key: lender.key(key), value: lender.value(value) },
    )
    const options = operation.sync ? { sync: true } : {}
    const [first] = entries
    let call: Promise<void>
    if (operation.batch || first === undefined) call = this.#database.batch(entries, options)
    else if (first.type === 'put') call = this.#database.put(first.key, first.value, options)
    else call = this.#database.del(first.key, options)
    lender.reclaim()
    entries.length = 0
    for (const change of changes) this.#model.apply(change)
    await call
    if (step !== undefined) this.#oracle?.acknowledge(step, operation.sync)
  }

  /** Clears a range. For the oracle it is one deletion per key, in key order: it need not be atomic. */
  async #clear(range: ModelRange): Promise<void> {
    await this.#drain()
    let step = 0
    for (const key of this.#model.keysIn(range)) {
      const change = { key, value: undefined }
      step = this.#oracle?.record([change]) ?? 0
      this.#model.apply(change)
    }
    const lender = new Lender(this.#index)
    const call = this.#database.clear(lender.scan(range, undefined))
    lender.reclaim()
    await call
    if (step > 0) this.#oracle?.acknowledge(step, false)
  }

  async #durable(call: Promise<void>): Promise<void> {
    const called = this.#oracle?.called ?? 0
    await call
    this.#oracle?.durable(called)
  }

  async #collect(ratio: number): Promise<void> {
    try {
      await this.#database.runValueLogGC(ratio)
      this.counts.collected++
    } catch (err) {
      if (!(err instanceof WkError) || err.code !== 'WK_NO_REWRITE') throw err
      this.counts.nothingToCollect++
    }
  }

  async #reopen(): Promise<void> {
    const iterators = this.#reads.handles
    const snapshots = [...this.#snapshots.values()]
    await this.#close()
    for (const handle of iterators) await expectClosed(() => handle.next())
    for (const { handle } of snapshots) await expectClosed(async () => this.#database.get('x', { snapshot: handle }))
    this.#db = await this.#open()
    this.counts.reopened++
    await this.#reads.all(this.#view(undefined))
  }

  /** Closes without waiting for the writes in flight: `close()` itself must let them end. */
  async #close(): Promise<void> {
    const called = this.#oracle?.called ?? 0
    await Promise.all([...this.#pendingReads])
    await this.#database.close()
    this.#oracle?.durable(called)
    await this.#drain()
    this.#reads.forget()
    this.#snapshots.clear()
  }

  async #verify(): Promise<void> {
    const report = await this.#database.verify()
    if (!report.ok) throw new Error(`verify: ${JSON.stringify(report.problems.slice(0, 5))}`)
  }
}
