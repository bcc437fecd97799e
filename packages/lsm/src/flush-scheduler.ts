/**
 * Brings sealed memtables into tables, in the background: one at a time, oldest first.
 *
 * A memtable is flushed once its last group was written; it is published only after the value-log bytes it points to
 * are durable (law 3). In the turn of publication readers change from the memtable to its tables; then its log goes.
 */
import { copyBytes, invariant } from '@wk/codec'
import type { WkError } from '@wk/codec'
import type { Memtable } from '@wk/memtable'
import type { CompactionScheduler } from './compaction-scheduler.js'
import { flushCountBound } from './compaction/job.js'
import type { JobResult, KeyInterval } from './compaction/job.js'
import { fileNumbersFor, jobOf, removedBy } from './compaction/pick.js'
import type { CompactionPick } from './compaction/pick.js'
import { asWkError } from './failure.js'
import type { LoggedMemtable } from './log/wal.js'
import type { MemtableList } from './memtable-list.js'
import type { DependencyPosition } from './options.js'
import type { VersionEdit } from './manifest/version-edit.js'
import type { ReadView } from './read-view.js'
import { jobOptionsOf, runWithRetries } from './run-job.js'
import type { TreeContext } from './tree-context.js'

export interface FlushStats {
  flushes: number
  bytesWritten: number
}

export class FlushScheduler {
  readonly stats: FlushStats = { flushes: 0, bytesWritten: 0 }
  readonly #context: TreeContext
  readonly #compactions: CompactionScheduler
  readonly #onPublished: () => void
  readonly #onFailure: (error: WkError) => void
  #running: Promise<void> | undefined
  /** Called in the turn in which a memtable came into tables. */
  readonly #onInstalled = new Set<(target: LoggedMemtable) => void>()

  /** Memtables to be merged with what lies below them. */
  readonly #merged = new WeakSet<LoggedMemtable>()

  constructor(context: TreeContext, compactions: CompactionScheduler, onPublished: () => void, onFailure: (error: WkError) => void) {
    this.#context = context
    this.#compactions = compactions
    this.#onPublished = onPublished
    this.#onFailure = onFailure
  }

  /** Begins to flush what can be flushed. */
  schedule(): void {
    if (this.#running !== undefined || this.#next() === undefined) return
    this.#running = this.#run().finally(() => {
      this.#running = undefined
      // What became complete in the meantime must not wait for the next write.
      this.schedule()
    })
  }

  /** When `target` is flushed it is merged with the tables below it, if they let it, rather than put on top of them. */
  merge(target: LoggedMemtable): void {
    this.#merged.add(target)
  }

  /** Resolves when every memtable up to `target` is in tables; rejects when that will not come. */
  async until(target: LoggedMemtable): Promise<void> {
    const { memtables, lifecycle } = this.#context
    this.schedule()
    while (memtables.immutables.includes(target)) await lifecycle.changes.next()
  }

  /** {@link until}, with the view of the turn in which `target` came into tables: its version holds nothing later. */
  async viewAfter(target: LoggedMemtable): Promise<ReadView> {
    let view: ReadView | undefined
    const watcher = (installed: LoggedMemtable): void => {
      if (installed === target) view = this.#context.views.acquire()
    }
    this.#onInstalled.add(watcher)
    try {
      await this.until(target)
    } catch (error) {
      view?.release()
      throw error
    } finally {
      this.#onInstalled.delete(watcher)
    }
    invariant(view !== undefined, 'a memtable that is gone came into tables')
    return view
  }

  /**
   * The last step of a clean close, when background work has ended: flushes what is left, if anything, and commits `last`
   * with it in one edit.
   */
  async finish(last: VersionEdit): Promise<void> {
    const { memtables, versions } = this.#context
    const [target, ...others] = memtables.immutables
    invariant(others.length === 0, 'only what was active is left')
    if (target === undefined) return versions.commit(last)
    try {
      await this.#flush(target, last)
    } catch (error) {
      this.#onFailure(asWkError(error))
      throw error
    }
  }

  /** Waits for the end of a flush under way. */
  async settle(): Promise<void> {
    await this.#running
  }

  /** The memtable to flush next, if it may be flushed. */
  #next(): LoggedMemtable | undefined {
    const { memtables, lifecycle } = this.#context
    const oldest = memtables.immutables[0]
    return oldest?.isComplete === true && !lifecycle.isStopped ? oldest : undefined
  }

  async #run(): Promise<void> {
    const { lifecycle } = this.#context
    try {
      for (let target = this.#next(); target !== undefined; target = this.#next()) await this.#flush(target)
    } catch (error) {
      if (!lifecycle.isStopped) this.#onFailure(asWkError(error))
    }
  }

  /** `last`: what the edit says beside its tables at the end of the tree, when background work has ended already. */
  async #flush(target: LoggedMemtable, last?: VersionEdit): Promise<void> {
    const below = this.#merged.has(target) ? this.#compactions.claimBelow(keysOf(target.memtable)) : undefined
    let result: JobResult | undefined
    try {
      result = await this.#flushOnto(below, target, last)
    } finally {
      if (below !== undefined) this.#compactions.release(below, result)
    }
    if (result !== undefined) this.#onPublished()
  }

  /** {@link #flush} to level 0, or onto the tables `below`. Resolves with what was published, if anything was. */
  async #flushOnto(below: CompactionPick | undefined, target: LoggedMemtable, last: VersionEdit | undefined): Promise<JobResult | undefined> {
    const { options, lifecycle, memtables, versions, views, wal, retirement } = this.#context
    const { memtable } = target
    // All of it is written, so that this covers it; it takes as long as the job.
    const durable = options.beforePublish?.()
    durable?.catch(() => undefined)
    const result = await this.#runJob(below, memtable, last)
    const dependency = await durable
    if (last === undefined && lifecycle.isStopped) return undefined
    const removed = below === undefined ? [] : removedBy(below)
    const { highestTombstone } = result.dropped
    const edit: VersionEdit = {
      added: result.tables.map((table) => ({ level: below?.outputLevel ?? 0, table })),
      ...(below === undefined ? {} : { removed }),
      ...(below === undefined || highestTombstone === 0 ? {} : { droppedTombstone: highestTombstone }),
      lastSequence: memtable.lastSequence,
      ...(dependency === undefined ? {} : { dependency }),
      ...unflushedAfter(target, memtables),
      ...(target.log === undefined ? {} : { logNumber: target.log.number + 1 }),
      ...last,
    }
    await versions.commit(edit, (version) => {
      memtables.drop(target)
      views.replace(memtables.memtables(), version)
      // CR3: the edit that drops them is durable; now only views can need them.
      retirement.retire(removed.map(({ number }) => number), views)
      for (const watcher of this.#onInstalled) watcher(target)
      this.#count(result)
    })
    await wal.retire(target)
    return result
  }

  #runJob(below: CompactionPick | undefined, memtable: Memtable, last: VersionEdit | undefined): Promise<JobResult> {
    const context = this.#context
    const options = jobOptionsOf(context.options)
    const description = memtable.describe()
    const signal = last === undefined ? context.lifecycle.signal : new AbortController().signal
    const bytes = memtable.usedBytes
    if (below === undefined) return runWithRetries(context, flushCountBound(bytes, options), (setting) => ({ type: 'flush', memtable: description, ...setting }), signal)
    const count = fileNumbersFor(below, options) + Math.ceil((2 * bytes) / options.tableSize)
    return runWithRetries(context, count, (setting) => ({ ...jobOf(below, setting), memtable: description }), signal)
  }

  #count(result: JobResult): void {
    this.stats.flushes++
    this.stats.bytesWritten += result.bytesWritten
  }
}

function keysOf(memtable: Memtable): KeyInterval {
  const cursor = memtable.cursor()
  cursor.first()
  const smallest = copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd)
  cursor.last()
  return { smallest, largest: copyBytes(cursor.keyBytes, cursor.keyStart, cursor.keyEnd) }
}

/** Where the value log begins to hold what the memtables after `target` refer to. */
function unflushedAfter(target: LoggedMemtable, { immutables, active }: MemtableList): { unflushed?: DependencyPosition } {
  const { dependencyStart } = immutables[immutables.indexOf(target) + 1] ?? active
  return dependencyStart === undefined ? {} : { unflushed: dependencyStart }
}
