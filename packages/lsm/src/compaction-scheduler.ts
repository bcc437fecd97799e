/**
 * Runs compactions: the ones that the picker finds due, one at a time in the background, and explicit ones on request.
 *
 * A compaction reads only tables of the current version and publishes with one edit. Its inputs are removed once that
 * edit is durable and no view holds them. Picks that touch each other never run at the same time.
 */
import { invariant, throwIfAborted } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { KeyRange, WkError } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import { planFullCompaction, remainingBytes } from './compaction/full-compaction.js'
import type { FullCompactionInput, FullCompactionStep } from './compaction/full-compaction.js'
import { INITIAL_SHADOW_RATIO, learnShadowRatio } from './compaction/garbage.js'
import type { JobResult, KeyInterval } from './compaction/job.js'
import { pickBelow } from './compaction/flush-pick.js'
import { fileNumbersFor, jobOf, removedBy } from './compaction/pick.js'
import type { CompactionPick } from './compaction/pick.js'
import { refersTo } from './compaction/pointer-moves.js'
import type { PointerMove } from './compaction/pointer-moves.js'
import { planPointerMoves } from './compaction/pointer-pick.js'
import { advanceCursors, pickCompaction } from './compaction/picker.js'
import type { PickerOptions } from './compaction/picker.js'
import { asWkError } from './failure.js'
import type { Version } from './manifest/version.js'
import type { VersionEdit } from './manifest/version-edit.js'
import { jobOptionsOf, runWithRetries } from './run-job.js'
import type { TreeContext } from './tree-context.js'

/** How far a long task is. */
export interface Progress {
  phase: string
  /** Work done and in all, in `bytes`. */
  done: number
  total: number
  bytes: number
}

/** Options of an explicit compaction. */
export interface CompactOptions {
  signal?: AbortSignal | undefined
  onProgress?: ((progress: Progress) => void) | undefined
  /** Keys to compact. Default: all. */
  range?: KeyRange | undefined
  /** Flushes first. False: compacts what is in tables. Default true. */
  flush?: boolean | undefined
}

/** Options of {@link CompactionScheduler.movePointers}. */
export interface MovePointersOptions extends Pick<CompactOptions, 'signal' | 'onProgress'> {
  /** Asked between two steps: whether to end early. Default: never. */
  isEnough?: (() => boolean) | undefined
}

export interface CompactionStats {
  compactions: number
  moves: number
  bytesRead: number
  bytesWritten: number
  /** Entries that compactions left out. */
  droppedEntries: number
}

export class CompactionScheduler {
  readonly stats: CompactionStats = { compactions: 0, moves: 0, bytesRead: 0, bytesWritten: 0, droppedEntries: 0 }
  readonly #context: TreeContext
  readonly #options: PickerOptions
  readonly #onPublished: () => void
  readonly #onFailure: (error: WkError) => void
  readonly #running = new Set<CompactionPick>()
  readonly #work = new Set<Promise<unknown>>()
  /** What is being moved. Compactions that begin meanwhile do their part, whatever they were picked for. */
  #moves: readonly PointerMove[] = []
  #background = false
  #cursors: (Uint8Array | undefined)[] = []
  #shadowRatio = INITIAL_SHADOW_RATIO

  constructor(context: TreeContext, onPublished: () => void, onFailure: (error: WkError) => void) {
    this.#context = context
    this.#onPublished = onPublished
    this.#onFailure = onFailure
    const { levelBaseSize, levelSizeMultiplier, maxLevels, l0CompactionTrigger, tableSize } = context.options
    const { maxGrandparentOverlap } = jobOptionsOf(context.options)
    this.#options = { levelBaseSize, levelSizeMultiplier, maxLevels, l0CompactionTrigger, tableSize, maxGrandparentOverlap }
  }

  /** Whether a compaction is under way. */
  get isRunning(): boolean {
    return this.#running.size > 0
  }

  /** Begins the next compaction if one is due and none of the background is under way. */
  schedule(): void {
    if (this.#background || this.#context.lifecycle.isStopped) return
    this.#background = true
    void this.#track(this.#runInBackground())
  }

  /**
   * Brings all entries of the range that are in tables now to the deepest level, dropping what may be dropped.
   * Rejects with `AbortedError` after `signal`; what was published until then stays.
   */
  async compact({ signal, onProgress, range }: CompactOptions): Promise<void> {
    const { versions, tables } = this.#context
    const floor = versions.nextFileNumber
    const sequence = highestSequence(versions.current)
    let done = 0
    const input = (): FullCompactionInput => ({
      levels: versions.current.levels,
      options: this.#options,
      running: [...this.#running],
      floor,
      sequence,
      mayHoldGarbage: tables.mayHoldGarbage,
      ...(range === undefined ? {} : { range }),
    })
    await this.#runSteps(() => planFullCompaction(input()), signal, (pick) => {
      done += bytesOf(pick)
      if (onProgress !== undefined) onProgress({ phase: 'compact', done, total: done + remainingBytes(input()), bytes: done })
    })
    // What the background did meanwhile was left to do in the report before.
    onProgress?.({ phase: 'compact', done, total: done, bytes: done })
  }

  /**
   * Writes pointers into the files of `moves` anew, in every table of the current version. Until it has settled, whichever way, the new
   * places must stay; then whatever refers to them is published. One call at a time. Rejects with `AbortedError` after `signal`; what was
   * published until then stays.
   */
  async movePointers(moves: readonly PointerMove[], { signal, onProgress, isEnough = () => false }: MovePointersOptions): Promise<void> {
    invariant(this.#moves.length === 0, 'one move of pointers at a time')
    const { versions, lifecycle, options } = this.#context
    const fids = new Set(moves.map(({ fid }) => fid))
    // Lists of references are long, and asked for at each step.
    const due = new Map<number, boolean>()
    const isDue = (table: TableSummary): boolean => {
      const known = due.get(table.number)
      if (known !== undefined) return known
      const isReferring = refersTo(table, fids)
      due.set(table.number, isReferring)
      return isReferring
    }
    let done = 0
    this.#moves = moves
    try {
      const slice = new TimeSlice(options.runtime)
      for (const table of versions.current.tables()) {
        isDue(table)
        if (slice.due()) await slice.pause()
      }
      const plan = (): FullCompactionStep =>
        isEnough() ? { type: 'done' } : planPointerMoves({ levels: versions.current.levels, options: this.#options, running: [...this.#running] }, isDue)
      await this.#runSteps(plan, signal, (pick, result) => {
        // What is left in them points to nowhere.
        for (const { number } of result?.tables ?? []) due.set(number, false)
        done += bytesOf(pick)
        if (onProgress === undefined) return
        let total = done
        for (const table of versions.current.tables()) if (isDue(table)) total += table.size
        onProgress({ phase: 'pointers', done, total, bytes: done })
      })
    } finally {
      this.#moves = []
      while (lifecycle.isWritable && this.#isMoving) await lifecycle.changes.next()
    }
  }

  /** Runs what `plan` says, step after step, until it says that all is done. Told of each step that was published. */
  async #runSteps(plan: () => FullCompactionStep, signal: AbortSignal | undefined, onStep: (pick: CompactionPick, result: JobResult | undefined) => void): Promise<void> {
    const { lifecycle } = this.#context
    for (;;) {
      throwIfAborted(signal)
      lifecycle.checkWritable()
      const step = plan()
      if (step.type === 'done') return
      if (step.type === 'wait') {
        await lifecycle.changes.next()
        continue
      }
      let result: JobResult | undefined
      try {
        result = await this.#track(this.#runExplicitly(step.pick, signal))
      } catch (error) {
        // A job that ends because the tree does says why the tree does.
        if (signal?.aborted !== true) lifecycle.checkWritable()
        throw error
      }
      onStep(step.pick, result)
    }
  }

  /** Whether a job under way writes new pointers. */
  get #isMoving(): boolean {
    for (const { moves } of this.#running) if (moves !== undefined) return true
    return false
  }

  /** Takes up a pick, with what its job has to do beside. */
  #begin(pick: CompactionPick): CompactionPick {
    const begun = this.#moves.length === 0 || pick.trivialMove ? pick : withMoves(pick, this.#moves)
    this.#running.add(begun)
    return begun
  }

  /**
   * The tables that a memtable with these keys can be merged with, straight to the deepest level; `undefined` if it has to go to
   * level 0. No compaction takes them until {@link CompactionScheduler.release}.
   */
  claimBelow(keys: KeyInterval): CompactionPick | undefined {
    const pick = pickBelow({ levels: this.#context.versions.current.levels, options: this.#options, running: [...this.#running] }, keys)
    return pick === undefined ? undefined : this.#begin(pick)
  }

  /** Ends a {@link CompactionScheduler.claimBelow}. `result`: of the job, if it was published. */
  release(pick: CompactionPick, result: JobResult | undefined): void {
    this.#running.delete(pick)
    if (result !== undefined) this.#count(result)
  }

  /** Waits for the end of everything under way. */
  async settle(): Promise<void> {
    while (this.#work.size > 0) await Promise.allSettled(this.#work)
  }

  #pick(): CompactionPick | undefined {
    const { versions, memtables, snapshots, options } = this.#context
    return pickCompaction({
      levels: versions.current.levels,
      options: this.#options,
      cursors: this.#cursors,
      running: [...this.#running],
      oldestSnapshot: snapshots.oldest(),
      reclaim: memtables.immutables.length === 0,
      now: Math.floor(options.runtime.now() / 1000),
      shadowRatio: this.#shadowRatio,
    })
  }

  async #runInBackground(): Promise<void> {
    const { lifecycle } = this.#context
    try {
      for (let pick = this.#pick(); pick !== undefined && !lifecycle.isStopped; pick = this.#pick()) {
        this.#cursors = advanceCursors(this.#cursors, pick)
        await this.#runPick(pick, lifecycle.signal)
      }
    } catch (error) {
      if (!lifecycle.isStopped) this.#onFailure(asWkError(error))
    } finally {
      this.#background = false
    }
  }

  /** Runs a pick until the caller's signal or the end of the tree. */
  async #runExplicitly(pick: CompactionPick, signal: AbortSignal | undefined): Promise<JobResult | undefined> {
    const ends = [this.#context.lifecycle.signal, ...(signal === undefined ? [] : [signal])]
    // Not AbortSignal.any: it ties every step to the signals for as long as those live.
    const controller = new AbortController()
    const abort = (): void => controller.abort(signal?.reason)
    for (const end of ends) {
      if (end.aborted) abort()
      end.addEventListener('abort', abort)
    }
    try {
      return await this.#runPick(pick, controller.signal)
    } finally {
      for (const end of ends) end.removeEventListener('abort', abort)
    }
  }

  /** Resolves with what was written; `undefined` if tables only changed their level. */
  async #runPick(pick: CompactionPick, signal: AbortSignal): Promise<JobResult | undefined> {
    const begun = this.#begin(pick)
    try {
      if (!begun.trivialMove) return await this.#compact(begun, signal)
      await this.#move(begun)
      return undefined
    } finally {
      this.#running.delete(begun)
      this.#onPublished()
    }
  }

  async #move(pick: CompactionPick): Promise<void> {
    const removed = removedBy(pick)
    const added = pick.inputs.flatMap(({ tables }) => tables.map((table) => ({ level: pick.outputLevel, table })))
    await this.#publish({ added, removed })
    this.stats.moves++
  }

  async #compact(pick: CompactionPick, signal: AbortSignal): Promise<JobResult> {
    const context = this.#context
    const count = fileNumbersFor(pick, jobOptionsOf(context.options))
    const result = await runWithRetries(context, count, (setting) => jobOf(pick, setting), signal)
    await this.#publish({
      added: result.tables.map((table) => ({ level: pick.outputLevel, table })),
      removed: removedBy(pick),
      ...(result.dropped.highestTombstone === 0 ? {} : { droppedTombstone: result.dropped.highestTombstone }),
    })
    this.#shadowRatio = learnShadowRatio(this.#shadowRatio, pick, result)
    this.#count(result)
    return result
  }

  async #publish(edit: VersionEdit): Promise<void> {
    const { versions, views, memtables, retirement } = this.#context
    await versions.commit(edit, (version) => {
      views.replace(memtables.memtables(), version)
      // CR3: the edit that drops them is durable; now only views can need them.
      retirement.retire((edit.removed ?? []).filter(({ number }) => !version.has(number)).map(({ number }) => number), views)
    })
  }

  #count(result: JobResult): void {
    this.stats.compactions++
    this.stats.bytesRead += result.bytesRead
    this.stats.bytesWritten += result.bytesWritten
    this.stats.droppedEntries += result.dropped.entries
  }

  #track<T>(work: Promise<T>): Promise<T> {
    const tracked = work.finally(() => this.#work.delete(tracked))
    this.#work.add(tracked)
    return tracked
  }
}

function highestSequence(version: Version): number {
  let highest = 0
  for (const { largestSequence } of version.tables()) if (largestSequence > highest) highest = largestSequence
  return highest
}

/** The pick, with those of the moves that concern its tables. */
function withMoves(pick: CompactionPick, all: readonly PointerMove[]): CompactionPick {
  const referred = new Set<number>()
  for (const { tables } of pick.inputs) for (const { references } of tables) for (const { fid } of references) referred.add(fid)
  const moves = all.filter(({ fid }) => referred.has(fid))
  return moves.length === 0 ? pick : { ...pick, moves }
}

function bytesOf(pick: CompactionPick): number {
  return pick.inputs.reduce((sum, { tables }) => tables.reduce((bytes, { size }) => bytes + size, sum), 0)
}
