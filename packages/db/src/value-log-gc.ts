/**
 * Gives the space of dead values back: by relocation, without an index lookup or an index write (`docs/design.md`).
 *
 * What is alive is the sum of what the tables of the current version and the memtables refer to, so it is exact after
 * any crash. A value log without a live byte and without a reader is deleted unread. From other victims the live
 * records are copied, as they are, into one new file that takes over their logical addresses.
 *
 * Explicit calls (`gc-calls.ts`) and the background (`space-keeper.ts`) take their turns at one lock. Here are the steps that
 * both consist of; which of them are taken, when, and on what files is theirs to say. What is known of files is kept in `gc-files.ts`.
 */
import { CorruptionError, throwIfAborted } from '@wk/codec'
import type { Runtime } from '@wk/fs'
import { relocate } from '@wk/gc'
import type { RelocationLog } from '@wk/gc'
import type { LsmTree, MovePointersOptions, RecordRanges } from '@wk/lsm'
import { copyTask } from '@wk/vlog'
import type { PhysicalFileInfo, ValueLog } from '@wk/vlog'
import { GapCollector } from './gap-collector.js'
import { publishGc } from './gc-events.js'
import { GcFiles } from './gc-files.js'
import { nextGeneration } from './gc-victims.js'
import type { Generation, ValueLogFile } from './gc-victims.js'
import { HiddenGarbage } from './hidden-garbage.js'
import { HoleCollector } from './hole-collector.js'
import { LiveRangeCache } from './live-range-cache.js'
import { orAborted } from './maintenance.js'
import type { MaintenanceOptions } from './maintenance.js'
import { Readdressing } from './readdressing.js'
import type { WriteQueue } from './write-queue.js'

/** Bounds that are fixed when a database is opened. */
export interface CollectorBounds {
  /** Most entries of run tables. */
  readonly mostRuns: number
  /** Least dead bytes side by side for a hole. Undefined: no holes. */
  readonly leastHole: number | undefined
  /** Least dead bytes side by side that are filled. Undefined: none are. */
  readonly leastGap: number | undefined
}

/** Options of a pass. */
export interface RelocateFilesOptions extends MaintenanceOptions {
  /** Awaited after each step of the copying, with the milliseconds that it took. Default: nothing. */
  pace?: ((milliseconds: number) => Promise<void>) | undefined
  /** Bytes read and written a second. Default: no limit. */
  bytesPerSecond?: number | undefined
  /** Files of which no larger part is free of readers are left alone. Default 0. */
  leastDead?: number
  /** Resolves only when replaced files are unlinked, as far as nothing reads them. Default true. */
  sweep?: boolean
}

/** Options of {@link ValueLogGc.bringOut}. */
export interface BringOutOptions {
  seal: boolean
  signal: AbortSignal
}

/** Syncs before a file is ended, at most: writers that outrun the disk are never caught up with. */
const SYNC_ROUNDS = 4
/** Bytes that may be left then: some milliseconds. */
const LITTLE = 4 * 1024 * 1024

export class ValueLogGc {
  readonly #dir: string
  readonly #tree: LsmTree
  readonly #vlog: ValueLog
  readonly #queue: WriteQueue
  readonly #runtime: Runtime
  #tail: Promise<unknown> = Promise.resolve()
  #locks = 0
  /** The tree was compacted whole when it stood here: doing it again would bring out nothing new. */
  #compactedAt = ''
  readonly #files: GcFiles
  readonly #readdressing: Readdressing

  /** What is alive in files, read for passes that follow one another. */
  readonly ranges: LiveRangeCache
  /** Garbage that no sum knows of yet. */
  readonly hidden: HiddenGarbage
  /** Long dead ranges that come back without copying. */
  readonly holes: HoleCollector
  /** Dead ranges that new records are written to. */
  readonly gaps: GapCollector

  /** Passes that copied values since open. */
  passes = 0
  /** Files removed or rewritten since open. */
  filesCollected = 0
  /** Bytes of live values copied since open. */
  bytesMoved = 0
  /** Bytes of disk given back since open. */
  bytesReclaimed = 0

  constructor(dir: string, tree: LsmTree, vlog: ValueLog, queue: WriteQueue, runtime: Runtime, { mostRuns, leastHole, leastGap }: CollectorBounds) {
    this.#dir = dir
    this.#tree = tree
    this.#vlog = vlog
    this.#queue = queue
    this.#runtime = runtime
    this.ranges = new LiveRangeCache(tree)
    this.#readdressing = new Readdressing(tree, vlog, runtime, mostRuns)
    this.#files = new GcFiles(tree, vlog, this.#readdressing, mostRuns)
    this.holes = new HoleCollector(dir, tree, vlog, leastHole)
    this.gaps = new GapCollector(vlog, this.ranges, { dir, runtime, least: leastGap, leastHole, mostRuns, moving: this.#files.moving, seal: () => this.seal() })
    this.hidden = new HiddenGarbage(tree, runtime)
  }

  /** Every value-log file, by number. */
  files(): ValueLogFile[] {
    return this.#files.list()
  }

  /** Sealed logical files that nothing refers to, no older view either. */
  deadFids(): number[] {
    return this.#files.dead()
  }

  /** Waits for everything that was started, to the end. */
  async settled(): Promise<void> {
    await this.#tail
  }

  /** Somebody holds the lock, or waits for it. */
  get isLocked(): boolean {
    return this.#locks > 0
  }

  /** Somebody waits for the lock. */
  get isAwaited(): boolean {
    return this.#locks > 1
  }

  /** Runs after everything that was started before, unless the signal is aborted until then. Meanwhile no file goes. */
  locked<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#locks++
    const result = orAborted(this.#tail, signal).then(work).finally(() => this.#locks--)
    // One that is aborted ends before its turn, and those behind it have to wait for that all the same.
    this.#tail = Promise.allSettled([this.#tail, result])
    return result
  }

  // Steps, of explicit calls and of the background. They require the lock.

  /** Removes files without a reference, and finishes what a crash left of holes. Returns how many physical files went. */
  async removeDead(): Promise<number> {
    await this.#vlog.holes.finish()
    const dead = this.deadFids()
    if (dead.length === 0) return 0
    const before = this.#vlog.physicalFiles()
    const bytesReclaimed = await this.#vlog.dropLogical(dead)
    const present = new Set(this.#vlog.physicalFiles().map(({ number }) => number))
    const removed = before.filter(({ number }) => !present.has(number)).length
    this.bytesReclaimed += bytesReclaimed
    this.filesCollected += removed
    if (removed > 0) publishGc(() => ({ dir: this.#dir, type: 'collected', reason: 'nothing refers to them', files: dead, bytesMoved: 0, bytesReclaimed }))
    return removed
  }

  /** Ends the active value log, so that it may be collected. */
  async seal(): Promise<void> {
    await this.#syncMost()
    await this.#queue.urgent(() => this.#vlog.seal())
  }

  /** Makes the active value log durable while writers go on, but for a little: that is what they wait for when it ends. */
  async #syncMost(): Promise<void> {
    for (let round = 0; round < SYNC_ROUNDS; round++) {
      const end = this.#vlog.position()
      const synced = this.#vlog.syncedPosition()
      if (end.fid === synced.fid && end.offset - synced.offset <= LITTLE) return
      await this.#vlog.sync()
    }
  }

  /** Flushes and compacts, so that what is overwritten and deleted counts as dead. `seal`: ends the active value log first. */
  async bringOut({ seal, signal }: BringOutOptions): Promise<void> {
    if (seal) await this.seal()
    throwIfAborted(signal)
    const before = this.#state()
    // What was staged is in the sealed memtable, which is flushed as soon as that is written.
    await Promise.all([this.#tree.flush({ merge: true }), this.#queue.urgent(async () => {})])
    throwIfAborted(signal)
    if (this.#compactedAt === before) return
    // What came since then is not flushed a second time for it.
    await this.#tree.compact({ signal, flush: false })
    this.#compactedAt = before
  }

  /** Brings everything that was written before the call into tables. */
  async flush(): Promise<void> {
    await this.#queue.barrier()
    await this.#tree.flush()
  }

  /** Compacts the whole tree, unless that was done and nothing has changed since. Returns whether it did. */
  async compact(options: MaintenanceOptions): Promise<boolean> {
    const before = this.#state()
    if (this.#compactedAt === before) return false
    await this.#tree.compact({ signal: options.signal })
    this.#compactedAt = before
    return true
  }

  /** The tree was compacted whole, and nothing has changed since. */
  get isCompacted(): boolean {
    return this.#compactedAt === this.#state()
  }

  #state(): string {
    return `${this.#tree.visibleSequence}/${this.#tree.stats().snapshots}`
  }

  /**
   * Moves what is alive in `files` to one new file; one that is still written to is ended first. Those that readers or other work need are
   * left alone. Returns how many were collected. Several may be under way, of different files: from the call on theirs are `moving`.
   */
  async relocate(files: readonly ValueLogFile[], options: RelocateFilesOptions): Promise<number> {
    const { moving } = this.#files
    const fitting = this.#files.fitting(files)
    if (fitting.length === 0) return 0
    for (const { number, recordBytes, liveBytes } of fitting) moving.set(number, recordBytes - liveBytes)
    try {
      return await this.#relocateMarked(fitting, options)
    } finally {
      for (const { number } of fitting) moving.delete(number)
    }
  }

  /** There are so many entries of run tables that pointers should be rewritten. */
  get isReaddressingDue(): boolean {
    return this.#readdressing.isDue((number) => this.#files.moving.has(number))
  }

  /** Logical files that pointers were rewritten away from, since open. */
  get filesReaddressed(): number {
    return this.#readdressing.retired
  }

  /**
   * Rewrites pointers beside passes over other files, until {@link isReaddressingDue} is false or somebody waits for the lock. What
   * is not referred to any more then goes with {@link removeDead}.
   */
  async readdress(signal: AbortSignal): Promise<void> {
    await this.#readdress({ signal, isEnough: () => this.isAwaited })
  }

  /** Rewrites pointers, if that is due, and removes what nothing refers to then. */
  async shortenRunTables({ signal, onProgress }: MaintenanceOptions): Promise<void> {
    if (!this.isReaddressingDue) return
    await this.#readdress({ signal, onProgress })
    await this.removeDead()
  }

  /** Bytes that the passes under way will give back. */
  get expectedGain(): number {
    return this.#files.expectedGain
  }

  /** Files whose garbage was kept for readers are looked at again. */
  forgetPinned(): void {
    this.#files.forgetPinned()
    this.ranges.forget()
  }

  // Inside.

  async #readdress(options: MovePointersOptions): Promise<void> {
    const rewritten = this.#readdressing.run((number) => this.#files.moving.has(number), options)
    publishGc(() => ({ dir: this.#dir, type: 'readdress', reason: 'run tables grow long', files: this.#readdressing.files }))
    await rewritten
  }

  async #relocateMarked(files: readonly ValueLogFile[], options: RelocateFilesOptions): Promise<number> {
    const wanted = new Set(files.map(({ number }) => number))
    if (this.#vlog.physicalFiles().some(({ number, sealed }) => wanted.has(number) && !sealed)) {
      await this.seal()
      await this.flush()
    }
    const victims = this.#vlog.physicalFiles().filter(({ number }) => wanted.has(number) && !this.#readdressing.has(number))
    const found = await this.ranges.get(victims.flatMap(({ logical }) => logical), () => this.#files.candidates(), options.signal)
    const ranges = new Map<number, RecordRanges>()
    const chosen: PhysicalFileInfo[] = []
    const kept: number[] = []
    for (const victim of victims) {
      const { number, logical, recordBytes } = victim
      const live = logical.map((fid) => found.get(fid))
      if (sumOf(live) > recordBytes * (1 - (options.leastDead ?? 0))) kept.push(number)
      else {
        chosen.push(victim)
        for (const [i, fid] of logical.entries()) ranges.set(fid, live[i] ?? NO_RANGES)
      }
    }
    const punched = new Map((await this.holes.punch(chosen, ranges)).map(({ number, bytes }) => [number, bytes]))
    const collected: number[] = []
    for (const { number, logical } of chosen) {
      const bytes = punched.get(number)
      if (bytes === undefined) collected.push(number)
      else {
        for (const fid of logical) ranges.delete(fid)
        this.bytesReclaimed += bytes
      }
    }
    for (const number of kept) this.#files.notePinned(number)
    if (kept.length > 0) publishGc(() => ({ dir: this.#dir, type: 'kept', reason: 'somebody may still read most of what is in them', files: kept }))
    if (ranges.size === 0) return punched.size
    const generation = Math.max(...files.map((file) => file.generation)) as Generation
    // What is alive can only become less: ranges read a while ago cover what is needed now.
    const log: RelocationLog = {
      files: () => this.#vlog.files(),
      dropLogical: (fids) => this.#vlog.dropLogical(fids),
      createRelocation: () => this.#vlog.createRelocation((query, signal) => this.#tree.runTask(copyTask, query, signal)),
    }
    const { signal, onProgress, bytesPerSecond, pace, sweep } = options
    const settings = { signal, onProgress, bytesPerSecond, pace, sweep, runtime: this.#runtime }
    const { bytesMoved, bytesReclaimed } = await relocate(log, [...ranges.keys()], (fid) => ranges.get(fid) ?? NO_RANGES, settings).catch((error: unknown) => {
      if (error instanceof CorruptionError) this.#files.noteDamage(files, error)
      throw error
    })
    if (bytesMoved === 0) onProgress?.({ phase: 'remove', done: collected.length, total: collected.length, bytes: bytesReclaimed })
    this.#files.noteGenerations(ranges, nextGeneration(generation))
    this.passes++
    this.filesCollected += collected.length
    this.bytesMoved += bytesMoved
    this.bytesReclaimed += bytesReclaimed
    publishGc(() => ({ dir: this.#dir, type: 'collected', reason: 'their live values were moved', files: collected, bytesMoved, bytesReclaimed }))
    return punched.size + collected.length
  }
}

const NO_RANGES: RecordRanges = { offsets: new Uint32Array(0), lengths: new Uint32Array(0) }

/** Bytes of the records; infinite where not all of them are known from tables. */
function sumOf(ranges: readonly (RecordRanges | undefined)[]): number {
  let bytes = 0
  for (const one of ranges) {
    if (one === undefined) return Infinity
    for (const length of one.lengths) bytes += length
  }
  return bytes
}
