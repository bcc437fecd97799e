/**
 * The write queue of the plain engine: the one writer of its tree.
 *
 * A write is staged, and visible, in the turn of its call, so that whoever compares and writes in one turn has nobody in between.
 * All writes of a group share one write, one sync if any of them asked for it, and one promise; back-pressure holds the answer.
 */
import { ReadOnlyError } from '@wk/codec'
import type { WkError } from '@wk/codec'
import { LoopGuard } from '@wk/fs'
import { asWkError } from './failure.js'
import type { LsmTree } from './lsm-tree.js'
import { NO_DEPENDENCY } from './options.js'
import type { WalGroup } from './write-group.js'

export interface QueuedOperation {
  kind: number
  key: Uint8Array
  value: Uint8Array
}

/** Writes that are acknowledged together. */
class Group {
  sync = false
  /** Sequence number of the first operation; `undefined` for a sync alone. */
  firstSequence: number | undefined
  /** As safe as its writers asked for; it may have to wait for room all the same. */
  isWritten = false
  readonly done: Promise<void>
  resolve!: () => void
  reject!: (error: WkError) => void

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // Every writer awaits it; where none is left to, a rejection is nobody's.
    this.done.catch(() => undefined)
  }
}

export class PlainWriteQueue {
  readonly #tree: LsmTree
  /** Collects what is staged now. */
  #open: Group | undefined
  /** On its way to the disk. */
  #writing: Group | undefined
  #pump: Promise<void> | undefined
  /** The group that is being written, its sync included, or was last. */
  #written: Promise<unknown> = Promise.resolve()
  readonly #guard: LoopGuard

  constructor(tree: LsmTree) {
    this.#tree = tree
    this.#guard = new LoopGuard(tree.context.options.runtime)
  }

  /** Makes every write called before durable. */
  async sync(): Promise<void> {
    this.#tree.context.lifecycle.checkWritable()
    const group = this.#openGroup()
    group.sync = true
    await group.done
  }

  /** Brings every write called before into tables. */
  async flush(): Promise<void> {
    const flushed = this.#tree.flush()
    this.#schedule()
    await flushed
  }

  /** Lets everything that was called end. */
  async close(): Promise<void> {
    await this.#pump
  }

  /** Resolves when the group that is being written is as safe as it has to be, or was refused. What a table holds must be that before. */
  async settled(): Promise<void> {
    // Whoever is told of a write in the midst of it is a moment early.
    await undefined
    await this.#written
  }

  /**
   * Answers a failure in its own turn: a group that is written and only waits is acknowledged, for tables may hold it, without what it replaced; of all
   * others nothing stays visible, and their writers are told.
   */
  fail(error: WkError): void {
    if (this.#writing?.isWritten === true) {
      this.#writing.resolve()
      this.#writing = undefined
    }
    const first = this.#writing?.firstSequence ?? this.#open?.firstSequence ?? this.#tree.nextSequence()
    this.#tree.fail(error, first)
    const told = new ReadOnlyError('the write failed', { cause: error })
    this.#writing?.reject(error)
    this.#open?.reject(told)
  }

  /** Writes operations as one batch. The bytes may be reused when the call returns. */
  write(operations: readonly QueuedOperation[], sync: boolean): Promise<void> {
    const tree = this.#tree
    try {
      let bytes = 0
      for (const { key, value } of operations) bytes += key.length + value.length
      tree.prepareBatch(operations.length, bytes)
      const group = this.#openGroup()
      group.firstSequence ??= tree.nextSequence()
      group.sync ||= sync
      for (const { kind, key, value } of operations) tree.stage(kind, key, value)
      return group.done
    } catch (error) {
      return Promise.reject(asWkError(error))
    }
  }

  #openGroup(): Group {
    this.#open ??= new Group()
    this.#schedule()
    return this.#open
  }

  #schedule(): void {
    this.#pump ??= this.#run()
  }

  async #run(): Promise<void> {
    // What else is called in this turn belongs to the same group.
    await Promise.resolve()
    for (;;) {
      const group = this.#open
      this.#open = undefined
      const staged = this.#tree.takeGroup()
      if (group === undefined && staged === undefined) break
      this.#writing = group
      try {
        const written = this.#write(staged, group?.sync === true)
        this.#written = written.catch(() => undefined)
        await written
        if (group !== undefined) group.isWritten = true
        // Only now: a group that waited unwritten could hold up the very flush that makes room for it.
        const room = this.#tree.waitForRoom() ?? this.#guard.due()
        if (room !== undefined) await room
        group?.resolve()
      } catch (error) {
        group?.reject(asWkError(error))
      } finally {
        this.#writing = undefined
      }
    }
    this.#pump = undefined
  }

  async #write(staged: WalGroup | undefined, sync: boolean): Promise<void> {
    if (staged !== undefined && !this.#tree.writeGroupSync(staged, NO_DEPENDENCY)) await this.#tree.writeGroup(staged, NO_DEPENDENCY)
    if (sync) await this.#tree.syncWal()
  }
}
