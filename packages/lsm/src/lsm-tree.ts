/**
 * The tree: staging and visibility of writes, reads, and the wiring of the parts that do the rest.
 *
 * It is driven by one writer. An operation is visible from the moment it is staged; it survives a crash of the process
 * once its group is written, and loss of power once the WAL is synced after that. A batch never spans two frames.
 *
 * Parts: `write-group.ts` staging, `rotation.ts` memtables, `log/` WAL, `manifest/` versions, `read-view.ts`, `background-work.ts`
 * (flushes, compactions, back-pressure), `recovery.ts` (which makes trees), `closing.ts`.
 */
import { MAX_KEY_LENGTH, ReadOnlyError, invariant } from '@wk/codec'
import type { EntryCursor, KeyRange, LookupResult, WkError } from '@wk/codec'
import { Memtable } from '@wk/memtable'
import { BackgroundWork } from './background-work.js'
import type { CloseOptions, CursorOptions, EntriesOptions } from './call-options.js'
import { closeTree } from './closing.js'
import type { CleanEnd } from './closing.js'
import type { CompactOptions, MovePointersOptions } from './compaction-scheduler.js'
import { VisibleCursor } from './iterator/visible-cursor.js'
import type { Task } from './compaction/executor.js'
import type { PointerMove } from './compaction/pointer-moves.js'
import type { RecordRanges } from './compaction/references-task.js'
import { collectLiveRanges } from './live-ranges.js'
import type { LoggedMemtable } from './log/wal.js'
import type { TreeState } from './manifest/manifest-reader.js'
import type { ReferenceSum } from './manifest/version.js'
import type { DependencyPosition, LsmOptions, ResolvedLsmOptions } from './options.js'
import type { ReadView } from './read-view.js'
import { recoverTree } from './recovery.js'
import type { LsmRecovery } from './recovery.js'
import { rotateMemtable } from './rotation.js'
import { estimateSize } from './size-estimate.js'
import type { Snapshot } from './snapshot-list.js'
import { entriesOf, lookUp } from './table-lookup.js'
import { makeContext } from './tree-context.js'
import type { TreeContext } from './tree-context.js'
import { statsOf } from './tree-stats.js'
import type { LsmStats } from './tree-stats.js'
import { verifyTables } from './verify.js'
import type { Problem, VerifyOptions } from './verify.js'
import { Staging } from './write-group.js'
import type { WalGroup } from './write-group.js'

const NO_FAILURE = Number.MAX_SAFE_INTEGER

export class LsmTree {
  /** For the parts of this package. */
  readonly context: TreeContext
  readonly #staging: Staging
  readonly #work: BackgroundWork
  #sequence = 0
  /** The last sequence number that recovery left. */
  #startSequence = 0
  /** After a failure: the last sequence number that readers may see. */
  #visibleLimit = NO_FAILURE
  /** Operations of the batch being staged. */
  #prepared = 0
  #closing: Promise<void> | undefined

  /** Made by `LsmRecovery.finish`. */
  constructor(dir: string, options: ResolvedLsmOptions, state: TreeState) {
    this.context = makeContext(dir, options, state, {
      onFailure: (error, firstSequence) => this.#report(error, firstSequence),
      onComplete: () => this.#work.flushes.schedule(),
      onViewDropped: () => this.#work.collect(),
      onSnapshotDropped: () => this.#work.schedule(),
    })
    this.#staging = new Staging(options.wal)
    this.#work = new BackgroundWork(this.context, (error) => this.#report(error, undefined))
  }

  /**
   * Reads what lies in `dir` and changes nothing; `LsmRecovery.finish` then opens the tree. The caller holds the lock of
   * the directory. Throws `NotFoundError`, `ExistsError`, `CorruptionError`, `IoError`, `InvalidArgumentError`.
   */
  static recover(dir: string, options: LsmOptions): Promise<LsmRecovery> {
    return recoverTree(dir, options, (...state) => new LsmTree(...state))
  }

  /** Recovers and opens in one step, for a host without a value log. */
  static async open(dir: string, options: LsmOptions): Promise<LsmTree> {
    return (await LsmTree.recover(dir, options)).finish()
  }

  /** Takes up work after recovery. @internal */
  start(lastSequence: number): void {
    this.context.memtables.active.dependencyStart = this.context.options.dependencyEnd?.()
    this.#startSequence = lastSequence
    this.#sequence = lastSequence
    this.#work.schedule()
  }

  /**
   * To be awaited before a file is changed that the mark of a clean close speaks of, as the value log is: from then on the
   * manifest does not say any more that the end was clean. The tree's own writes see to it themselves. `undefined` if it
   * does not say so now.
   */
  begin(): Promise<void> | undefined {
    return this.context.versions.isStarted ? undefined : this.context.versions.startManifest()
  }

  // Writing. Synchronous but for what says otherwise; to be called by one writer.

  /** The sequence number that the next staged operation gets. */
  nextSequence(): number {
    return this.#sequence + 1
  }

  /** Reads that start now see operations up to this sequence number. */
  get visibleSequence(): number {
    return this.#sequence < this.#visibleLimit ? this.#sequence : this.#visibleLimit
  }

  /**
   * Makes room for a batch of `operations` with `bytes` of keys and payloads in all, so that it lies in one memtable and
   * one frame. To be called before the first `stage` of a batch; the batch is exactly the next `operations` calls.
   */
  prepareBatch(operations: number, bytes: number): void {
    invariant(this.#prepared === 0, 'the batch before was staged wholly')
    this.#checkWritable()
    if (!this.context.memtables.active.memtable.hasRoomFor(operations, bytes)) this.#rotate(Memtable.capacityFor(operations, bytes))
    else if (this.#staging.isFrameLong) this.#staging.closeFrame()
    this.#prepared = operations
  }

  /**
   * Adds an operation: visible at once, written with the next group. Key and payload are copied. Returns its sequence
   * number. Outside of a batch every operation is one of its own. `deferred`: the host finds it again after a crash, in the
   * order of sequence numbers (`FinishOptions.tail`), so it is acknowledged before the WAL says it.
   */
  stage(kind: number, key: Uint8Array, value: Uint8Array, valueStart = 0, valueEnd: number = value.length, deferred = false): number {
    if (this.#prepared > 0) this.#prepared--
    else {
      this.#checkWritable()
      const length = valueEnd - valueStart
      if (!this.context.memtables.active.memtable.hasRoom(key.length, length)) this.#rotate(Memtable.capacityFor(1, key.length + length))
      else if (this.#staging.isFrameLong) this.#staging.closeFrame()
    }
    invariant(key.length <= MAX_KEY_LENGTH, 'a key within its limit')
    const target = this.context.memtables.active
    const sequence = this.#sequence + 1
    target.memtable.add(key, sequence, kind, value, valueStart, valueEnd)
    this.#staging.add(target, sequence, kind, key, value, valueStart, valueEnd, deferred)
    this.#sequence = sequence
    return sequence
  }

  /**
   * Everything staged since the last call, to be written as one group; `undefined` if that is nothing, or, unless `all` is
   * wanted, if all of it is deferred and not much.
   */
  takeGroup(all = true): WalGroup | undefined {
    invariant(this.#prepared === 0, 'a batch is staged wholly')
    return this.#staging.take(all)
  }

  /**
   * Writes a group on the calling thread; false, with nothing done, if that needs {@link LsmTree.writeGroup}.
   * `dependency`: up to where the value log is durable now. Groups are written in the order in which they were taken,
   * one at a time, after the values they point to. The first failure turns the tree read-only.
   */
  writeGroupSync(group: WalGroup, dependency: DependencyPosition): boolean {
    if (!this.context.wal.writeGroupSync(group, dependency)) return false
    this.#staging.recycle(group)
    return true
  }

  /** {@link LsmTree.writeGroupSync} through the thread pool, whatever it needs. */
  async writeGroup(group: WalGroup, dependency: DependencyPosition): Promise<void> {
    await this.context.wal.writeGroup(group, dependency)
    this.#staging.recycle(group)
  }

  /** Makes everything durable that was written before the call, in all logs; what was deferred counts on the value log's sync. */
  syncWal(): Promise<void> {
    return this.context.wal.sync()
  }

  /**
   * `undefined` if a group may be staged, else a promise that says when (back-pressure). Every stall ends; it rejects
   * once the tree takes no more writes. Groups staged before must go on being written meanwhile.
   */
  waitForRoom(): Promise<void> | undefined {
    return this.#work.pressure.waitForRoom()
  }

  /**
   * Turns the tree read-only, for ever, in this turn (law 9): operations from `firstSequence` on are not visible any
   * more, background work stops without publishing, who waits is rejected. Reads go on.
   */
  fail(error: WkError, firstSequence: number): void {
    this.#visibleLimit = Math.min(this.#visibleLimit, firstSequence - 1)
    const { lifecycle, versions, wal } = this.context
    lifecycle.fail(error)
    versions.stop(error)
    wal.stop(error)
  }

  // Reading.

  /**
   * Finds the newest entry of `key` up to `sequence`, tombstones and expired ones included, and fills `out`, whose
   * views are good until the next turn. In `view`, or in what is there now. Synchronous.
   */
  get(key: Uint8Array, sequence: number, out: LookupResult, view?: ReadView): boolean {
    this.context.lifecycle.checkOpen()
    return lookUp(view ?? this.context.views.current, this.context.tables, key, Math.min(sequence, this.#visibleLimit), out)
  }

  /** The memtables and tables of now, kept until released. */
  acquireView(): ReadView {
    this.context.lifecycle.checkOpen()
    return this.context.views.acquire()
  }

  /**
   * A cursor over the newest visible version of each key, beside all of them at first. Good until `view` is released.
   * Throws on damage, as all its moves may.
   */
  cursor(view: ReadView, sequence: number, options: CursorOptions = {}): VisibleCursor {
    const { tables, options: settings } = this.context
    const { reverse = false, range = {}, now = Math.floor(settings.runtime.now() / 1000) } = options
    const visible = Math.min(sequence, this.#visibleLimit)
    return new VisibleCursor(entriesOf(view, tables, range, reverse), { sequence: visible, now, reverse, range })
  }

  /**
   * Every entry of a view, all versions and tombstones included, forward, beside all of them at first. Good until `view` is
   * released. Entries outside the bounds of `options` may or may not be among them.
   */
  entries(view: ReadView, { range = {}, since }: EntriesOptions = {}): EntryCursor {
    return entriesOf(view, this.context.tables, range, false, since)
  }

  /** What is visible now, kept by compactions until released. */
  snapshot(): Snapshot {
    this.context.lifecycle.checkOpen()
    return this.context.snapshots.acquire(this.visibleSequence)
  }

  // Maintenance.

  /**
   * Brings everything staged before the call into durable tables. Staged groups must go on being written meanwhile. `merge`: merged
   * with the tables below where that can be done in one step, so that what was overwritten is out of the tables then.
   */
  async flush({ merge = false }: { merge?: boolean } = {}): Promise<void> {
    this.#checkWritable()
    const newest = this.#sealNewest(merge)
    if (newest !== undefined) await this.#work.flushes.until(newest)
  }

  /**
   * {@link LsmTree.flush}, with a view whose version holds exactly what was staged before the call. To be released. Who
   * copies its tables ends with `writeCheckpointManifest`.
   */
  async flushedView(): Promise<ReadView> {
    this.#checkWritable()
    const newest = this.#sealNewest(false)
    return newest === undefined ? this.context.views.acquire() : this.#work.flushes.viewAfter(newest)
  }

  /**
   * Highest sequence number of a tombstone, or expired entry, that a compaction has dropped for good: entries above it are complete,
   * what was deleted up to it can't be told any more. Durable.
   */
  get droppedTombstone(): number {
    return this.context.versions.droppedTombstone
  }

  /**
   * Lets sequence numbers go on above `sequence`, durably. False, with nothing done, while operations are not in tables yet.
   * Requires that no group is written meanwhile: what is staged from now on lies above.
   */
  async raiseSequence(sequence: number): Promise<boolean> {
    this.#checkWritable()
    if (sequence <= this.#sequence) return true
    const { memtables, versions } = this.context
    if (memtables.active.memtable.count > 0 || memtables.immutables.length > 0 || !this.#staging.isEmpty) return false
    this.#sequence = sequence
    await versions.commit({ lastSequence: sequence })
    return true
  }

  /** Higher than the number of every file of the tree. */
  get nextFileNumber(): number {
    return this.context.versions.nextFileNumber
  }

  /** Flushes, then brings everything (of a range) to the deepest level, dropping what nobody can see. */
  async compact(options: CompactOptions = {}): Promise<void> {
    if (options.flush !== false) await this.flush()
    await this.#work.compactions.compact(options)
  }

  /**
   * Writes pointers into the value-log files of `moves` anew, in all tables of now: the host has second, durable addresses for these
   * records. It keeps them until this has settled, whichever way; what refers to them is published by then. Pointers in memtables and
   * older views stay as they are. One call at a time.
   */
  async movePointers(moves: readonly PointerMove[], options: MovePointersOptions = {}): Promise<void> {
    this.#checkWritable()
    await this.#work.compactions.movePointers(moves, options)
  }

  /** Estimated bytes on disk of a range, value-log records included: see `size-estimate.ts`. Reads no data block. */
  approximateSize(range: KeyRange): number {
    this.context.lifecycle.checkOpen()
    return estimateSize(this.context.views.current.version, this.context.tables, range)
  }

  /** What tables and memtables of now reference in the value log. A recount: always exact (law 8). */
  liveReferences(): Map<number, ReferenceSum> {
    return this.context.views.liveReferences()
  }

  /** Value-log files that anything referenced by a live view needs, older versions included. */
  pinnedFids(): Set<number> {
    return this.context.views.pinnedFids()
  }

  /**
   * The records of value-log files that some live version references, by offset; `undefined` for a file that a memtable
   * references. Ask for files that are sealed and flushed, and no target of {@link LsmTree.movePointers}: those can only lose references
   * meanwhile. Rejects with `AbortedError` after `signal`.
   */
  async liveRanges(fids: readonly number[], signal?: AbortSignal): Promise<Map<number, RecordRanges | undefined>> {
    const { dir, executor, lifecycle, views, options } = this.context
    lifecycle.checkOpen()
    return collectLiveRanges(fids, views, { dir, executor, verifyChecksums: options.verifyChecksums }, signal)
  }

  /** A flush is likely to come soon: starts the thread that it would wait for. Idempotent, and cheap. */
  prepare(): void {
    this.context.executor.prepare?.()
  }

  /** Runs a task of the host where the tree's own jobs run. Rejects as the task does, and with `ClosedError` after `close`. */
  runTask<D, R>(task: Task<D, R>, data: D, signal?: AbortSignal): Promise<R> {
    return this.context.executor.runTask(task, data, signal)
  }

  /** `Executor.findIdle`: for what a thread may do while it has nothing else to do. */
  findIdle<D, R>(task: Task<D, R>): ((data: D) => Promise<R>) | undefined {
    return this.context.executor.findIdle?.(task)
  }

  /** Begins compactions that are due because a quarter of a table has expired, as each change of tables does. For a host that may lie idle. */
  reclaimExpired(): void {
    this.#work.schedule()
  }

  /** Calls `listener` after each published edit. Returns a function that ends it. */
  onVersionChange(listener: () => void): () => void {
    return this.#work.onVersionChange(listener)
  }

  /** Checks all tables. Damage goes to `onProblem`; rejects only when it could not look. Resolves to the entries checked. */
  async verify(onProblem: (problem: Problem) => void, options: VerifyOptions = {}): Promise<number> {
    this.context.lifecycle.checkOpen()
    return verifyTables(this.context, onProblem, options)
  }

  /** Figures, cheap to get. */
  stats(): LsmStats {
    return statsOf(this.context, this.#work, this.visibleSequence)
  }

  /**
   * Ends background work and closes all files. A clean close first makes everything durable; when that fails, it
   * rejects, with all files closed. Requires that all groups were written, for a clean one. Idempotent.
   */
  close(options: CloseOptions): Promise<void> {
    this.#closing ??= closeTree(this.context, this.#work, options.clean ? () => this.#cleanEnd(options) : undefined)
    return this.#closing
  }

  #cleanEnd({ vlog }: CloseOptions): CleanEnd {
    invariant(this.#staging.isEmpty, 'all groups were written')
    return { lastSequence: this.#sequence, cleanClose: { vlogFid: vlog?.fid ?? 0, vlogSize: vlog?.size ?? 0 } }
  }

  /** Seals what was staged. Returns the memtable with the newest of what is in no table, if there is one. `merge`: see {@link LsmTree.flush}. */
  #sealNewest(merge: boolean): LoggedMemtable | undefined {
    const { active, immutables } = this.context.memtables
    const newest = active.memtable.count > 0 ? active : immutables.at(-1)
    // Before it is sealed: what is written already is flushed in the same turn.
    if (merge && newest !== undefined) this.#work.flushes.merge(newest)
    if (newest === active) this.#rotate(0)
    return newest
  }

  #rotate(capacity: number): void {
    this.#staging.closeFrame()
    const sealed = rotateMemtable(this.context, capacity)
    if (sealed.pendingFrames > 0) this.context.options.onUnwritten?.()
    this.context.wal.completeIfDone(sealed)
  }

  #checkWritable(): void {
    const { lifecycle, options } = this.context
    if (lifecycle.isWritable && !options.readOnly) return
    lifecycle.checkWritable()
    throw new ReadOnlyError('the tree was opened read-only')
  }

  #report(error: WkError, firstSequence: number | undefined): void {
    const { lifecycle, options, wal } = this.context
    if (lifecycle.failure !== undefined || lifecycle.isClosed) return
    const first = firstSequence ?? Math.max(wal.writtenSequence, this.#startSequence) + 1
    // The host knows best which of its writers wait; without a host, what is not written is lost.
    options.onFailure?.(error, first)
    if (lifecycle.failure === undefined) this.fail(error, first)
  }
}
