/**
 * The only writer: group commit.
 *
 * A write is staged at the call: it gets its sequence number, its value is encoded into the value log's buffers, its
 * entry into the WAL's buffer and into the memtable, so that every later read sees it. Writes staged in one turn of the
 * event loop (and while an earlier group is on its way) form a group, share one promise, and go out with one write to
 * the value log and one to the WAL; if any of them asked for `sync`, both files are then fdatasynced in parallel, once.
 *
 * A small unsynced group is written synchronously in a microtask: a thread-pool trip costs more than the write.
 *
 * A group that is written may have to wait before it is acknowledged: for room in memory, or because the disk holds too much
 * garbage. What follows waits with it, but for urgent tasks of the work that it waits for.
 *
 * The first failure ends writing for good (law 9): groups that are written and only wait are acknowledged in that turn, for tables may hold
 * them already, without what they replaced; every later group is rejected and hidden.
 */
import { WkError } from '@wk/codec'
import { NO_DEPENDENCY } from '@wk/lsm'
import type { DependencyPosition, LsmTree, WalGroup } from '@wk/lsm'
import type { LoopGuard, Runtime } from '@wk/fs'
import type { ValueLog } from '@wk/vlog'
import type { Health } from './health.js'

/** What waits for one commit: a promise that all its writers share. */
class Group {
  readonly promise: Promise<void>
  resolve!: () => void
  #reject!: (error: unknown) => void
  sync = false
  /** Also what the WAL may be told later is written with it. */
  whole = false
  /** As safe as its writers asked for; it may have to wait all the same. */
  isWritten = false
  /** Sequence number of its first entry. */
  readonly firstSequence: number

  constructor(firstSequence: number) {
    this.firstSequence = firstSequence
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.#reject = reject
    })
  }

  reject(error: unknown): void {
    // Waiters have their own handlers; a group nobody waits for must not be an unhandled rejection.
    this.promise.catch(() => {})
    this.#reject(error)
  }
}

export class WriteQueue {
  readonly #tree: LsmTree
  readonly #vlog: ValueLog | undefined
  readonly #health: Health
  readonly #runtime: Runtime
  readonly #guard: LoopGuard
  /** Slows writers while the disk holds too much garbage. */
  gc: { slowdown(): Promise<void> | undefined } | undefined
  #collecting: Group | undefined
  /** On its way to the disk. */
  #writing: Group | undefined
  #exclusive: (() => Promise<void>)[] = []
  #running = false
  /** The group on its way is written, and waits to be acknowledged. */
  #isPaused = false
  /** Urgent tasks under way meanwhile, and the groups that are written for them. */
  #urgent: Promise<unknown> = Promise.resolve()
  readonly #early: Group[] = []
  /** The group that is being written, its sync included, or was last. */
  #written: Promise<unknown> = Promise.resolve()
  #idle: Promise<void> = Promise.resolve()
  readonly #start = (): void => {
    if (!this.#drainSync()) this.#idle = this.#drain()
  }

  constructor(tree: LsmTree, vlog: ValueLog | undefined, health: Health, runtime: Runtime, guard: LoopGuard) {
    this.#tree = tree
    this.#vlog = vlog
    this.#health = health
    this.#runtime = runtime
    this.#guard = guard
  }

  /**
   * Joins what was just staged to the group that is collecting and returns its promise. `stage` runs at once; when it
   * throws after it staged something, or what no check of it would (memory that ran out, a write that failed, now or a moment ago), writing ends.
   */
  write(sync: boolean, stage: () => void): Promise<void> {
    this.#health.assertWritable()
    const before = this.#tree.nextSequence()
    const group = (this.#collecting ??= new Group(before))
    try {
      stage()
    } catch (error) {
      this.#schedule()
      // A part that refuses work has failed, and its failure has not come up to here yet.
      const isFailure = !(error instanceof WkError) || error.code === 'WK_IO' || error.code === 'WK_READ_ONLY'
      if (!isFailure && this.#tree.nextSequence() === before) throw error
      // Everything that is not written yet is refused with it, so nothing of that may stay visible.
      throw this.#fail(error)
    }
    if (sync) group.sync = true
    this.#schedule()
    return group.promise
  }

  /** Resolves when everything staged so far is durable. */
  sync(): Promise<void> {
    return this.write(true, () => {})
  }

  /** Resolves when everything staged so far is with the operating system. */
  barrier(): Promise<void> {
    return this.write(false, () => {})
  }

  /** {@link barrier}; afterwards the WAL says everything, also what the value log tells alone (docs/adr/0014). */
  writeAll(): Promise<void> {
    const written = this.barrier()
    if (this.#collecting !== undefined) this.#collecting.whole = true
    return written
  }

  /** Runs `task` between two groups, with nothing of an earlier group left to write. What was staged before the call is in the WAL then, whole. */
  exclusive<T>(task: () => Promise<T>): Promise<T> {
    this.#health.assertWritable()
    return new Promise<T>((resolve, reject) => {
      this.#exclusive.push(() => task().then(resolve, reject))
      this.#schedule()
    })
  }

  /**
   * {@link exclusive} for the work that slowed writers wait for: it does not wait for them in turn. What was staged before the call is
   * written, and acknowledged when its time has come.
   */
  async urgent<T>(task: () => Promise<T>): Promise<T> {
    if (!this.#isPaused) return this.exclusive(task)
    const done = this.#urgent.then(() => this.#runUrgent(task))
    this.#urgent = done.catch(() => undefined)
    return done
  }

  /** Resolves when nothing is on its way any more, failed or not. */
  async drained(): Promise<void> {
    while (this.#running) await this.#idle
  }

  /** Resolves when the group that is being written is as safe as it has to be, or was refused. What a table holds must be that before. */
  async settled(): Promise<void> {
    // Whoever is told of a write in the midst of it is a moment early.
    await undefined
    await this.#written
  }

  /** Called in the turn of the first failure: acknowledges what is written, and returns the sequence number from which on nothing is. */
  acknowledgeWritten(): number {
    for (const group of this.#writing === undefined ? this.#early : [this.#writing, ...this.#early]) {
      if (!group.isWritten) return group.firstSequence
      group.resolve()
    }
    return this.#collecting?.firstSequence ?? this.#tree.nextSequence()
  }

  /** Called (through health) in the turn of the first failure: rejects what is collecting. */
  abandon(): void {
    const group = this.#collecting
    this.#collecting = undefined
    group?.reject(this.#health.readOnlyError())
  }

  #schedule(): void {
    if (this.#running) return
    this.#running = true
    this.#runtime.microtask(this.#start)
  }

  /** Commits the group that is collecting if that takes no waiting. Returns false, having changed nothing, if it does. */
  #drainSync(): boolean {
    const group = this.#collecting
    if (group === undefined || group.sync || this.#exclusive.length > 0) return false
    try {
      this.#vlog?.endGroup()
      if (this.#vlog !== undefined && !this.#vlog.writeStagedSync()) return false
      const wal = this.#tree.takeGroup(group.whole)
      this.#collecting = undefined
      this.#writing = group
      group.isWritten = wal === undefined || this.#tree.writeGroupSync(wal, this.#promised())
      const pause = group.isWritten ? this.#pause() : undefined
      if (!group.isWritten || pause !== undefined) {
        this.#idle = this.#finish(group, group.isWritten ? undefined : wal, pause)
        return true
      }
      group.resolve()
    } catch (error) {
      this.#writing = group
      this.#collecting = undefined
      group.reject(this.#fail(error))
    }
    this.#writing = undefined
    this.#running = false
    return true
  }

  /** Commits what {@link #drainSync} began and could not end, then the groups that came meanwhile. */
  #finish(group: Group, unwritten: WalGroup | undefined, pause: Promise<void> | undefined): Promise<void> {
    return this.#drain(group, async () => {
      if (unwritten !== undefined) await this.#underWay(this.#tree.writeGroup(unwritten, this.#promised()))
      group.isWritten = true
      await this.#sitOut(pause ?? this.#pause())
    })
  }

  /** Commits group after group until none is collecting, with exclusive tasks in between. */
  async #drain(begun?: Group, rest?: () => Promise<void>): Promise<void> {
    if (begun !== undefined && rest !== undefined) await this.#commit(begun, rest)
    for (;;) {
      const early = this.#early.shift()
      if (early !== undefined) {
        await this.#commit(early, () => this.#sitOut(this.#pause()))
        continue
      }
      const task = this.#exclusive.shift()
      if (task === undefined && this.#collecting === undefined) break
      const group = (this.#collecting ??= new Group(this.#tree.nextSequence()))
      if (task !== undefined) group.whole = true
      await this.#commit(group, async () => {
        await this.#writeGroup(group)
        // Only now: a group that waited unwritten could hold up the very flush that makes room for it.
        await this.#sitOut(this.#pause())
      })
      if (task !== undefined) await task()
    }
    this.#running = false
  }

  async #writeGroup(group: Group): Promise<void> {
    await this.#underWay(this.#writeOut(group))
    group.isWritten = true
  }

  /** A group is being written: {@link settled} waits for it. */
  async #underWay(written: Promise<void>): Promise<void> {
    this.#written = written.catch(() => undefined)
    await written
  }

  async #writeOut(group: Group): Promise<void> {
    const vlog = this.#vlog
    vlog?.endGroup()
    const wal = this.#tree.takeGroup(group.whole || group.sync)
    // What is staged from here on belongs to the next group, also while this one waits for the disk.
    if (this.#collecting === group) this.#collecting = undefined
    if (vlog !== undefined && !vlog.writeStagedSync()) await vlog.writeStaged()
    if (wal !== undefined && !this.#tree.writeGroupSync(wal, this.#promised())) await this.#tree.writeGroup(wal, this.#promised())
    if (group.sync) await Promise.all([vlog?.sync(), this.#tree.syncWal()])
  }

  /** Waits until the group on its way, which is written, may be acknowledged; urgent tasks run meanwhile. */
  async #sitOut(pause: Promise<void> | undefined): Promise<void> {
    if (pause === undefined) return
    this.#isPaused = true
    try {
      await pause
    } finally {
      this.#isPaused = false
      await this.#urgent
    }
  }

  async #runUrgent<T>(task: () => Promise<T>): Promise<T> {
    this.#health.assertWritable()
    const group = this.#collecting
    if (group !== undefined) {
      group.whole = true
      this.#early.push(group)
      try {
        await this.#writeGroup(group)
      } catch (error) {
        const failure = this.#fail(error)
        this.#early.pop()
        group.reject(failure)
        throw failure
      }
    }
    return task()
  }

  /** What a group that is written waits for before it is acknowledged: back-pressure, or a turn of the event loop. */
  #pause(): Promise<void> | undefined {
    return this.#tree.waitForRoom() ?? this.gc?.slowdown() ?? this.#guard.due()
  }

  /** Up to where the value log is durable now: a WAL frame says so, for recovery. */
  #promised(): DependencyPosition {
    return this.#vlog?.syncedPosition() ?? NO_DEPENDENCY
  }

  async #commit(group: Group, work: () => Promise<void>): Promise<void> {
    this.#writing = group
    try {
      await work()
      // A failure in the background has hidden the group if it was not written then, and acknowledged it if it was.
      if (this.#health.failure === undefined) group.resolve()
      else group.reject(this.#health.readOnlyError())
    } catch (error) {
      group.reject(this.#fail(error))
    } finally {
      this.#writing = undefined
      if (this.#collecting === group) this.#collecting = undefined
    }
  }

  /** Ends writing, unless that has happened. What is not written is not acknowledged and never visible again. */
  #fail(error: unknown): WkError {
    const failure = error instanceof WkError ? error : new WkError('WK_IO', `a write failed: ${String(error)}`, { cause: error })
    if (this.#health.failure !== undefined) return failure
    this.#tree.fail(failure, this.acknowledgeWritten())
    this.#health.fail(failure)
    return failure
  }
}
