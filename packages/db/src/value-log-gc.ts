/**
 * Gives the space of dead values back: by relocation, without an index lookup or an index write (`docs/design.md`).
 *
 * What is alive is the sum of what the tables of the current version and the memtables refer to, so it is exact after
 * any crash. A value log without a live byte and without a reader is deleted unread. From other victims the live
 * records are copied, as they are, into one new file that takes over their logical addresses.
 *
 * One pass at a time: explicit calls and the background (`space-keeper.ts`) take their turns at one lock. Here is what a
 * pass does; when the background runs one, and on what, is the keeper's and the plan's business.
 */
import { CorruptionError, GcRunningError, InvalidArgumentError, NoRewriteError, formatFileName, throwIfAborted } from '@wk/codec'
import type { Runtime } from '@wk/fs'
import { relocate } from '@wk/gc'
import type { GcReport, RelocationLog } from '@wk/gc'
import type { LsmTree, MovePointersOptions, RecordRanges } from '@wk/lsm'
import { copyTask } from '@wk/vlog'
import type { PhysicalFileInfo, ValueLog } from '@wk/vlog'
import { publishGc } from './gc-events.js'
import { GapCollector } from './gap-collector.js'
import { HiddenGarbage } from './hidden-garbage.js'
import { HoleCollector } from './hole-collector.js'
import { LiveRangeCache } from './live-range-cache.js'
import type { GcPlan } from './dry-run.js'
import { describeFiles, fittingVictims, nextGeneration, pickVictims } from './gc-victims.js'
import type { FileNotes, Generation, ValueLogFile } from './gc-victims.js'
import type { MaintenanceOptions } from './maintenance.js'
import { Readdressing } from './readdressing.js'
import { measureSpace } from './space-figures.js'
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

/** Records of files that are not victims yet, whose live ranges are read along with those of victims. */
const MOST_CANDIDATE_RECORDS = 1 << 18

/** Options of {@link ValueLogGc.bringOut}. */
export interface BringOutOptions {
  seal: boolean
  signal: AbortSignal
}

/** A report while it is being made. */
type Pass = { -readonly [K in keyof GcReport]: GcReport[K] }

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
  #running = false
  #tail: Promise<unknown> = Promise.resolve()
  #locks = 0
  /** The tree was compacted whole when it stood here: doing it again would bring out nothing new. */
  #compactedAt = ''
  readonly #generations = new Map<number, Generation>()
  /** Files that passes are copying from, with the bytes that this will give back. */
  readonly #moving = new Map<number, number>()
  readonly #damaged = new Set<number>()
  readonly #pinned = new Set<number>()
  readonly #ranges: LiveRangeCache
  readonly #readdressing: Readdressing
  readonly #mostRuns: number

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
    this.#ranges = new LiveRangeCache(tree)
    this.#readdressing = new Readdressing(tree, vlog, runtime, mostRuns)
    this.#mostRuns = mostRuns
    this.holes = new HoleCollector(dir, tree, vlog, leastHole)
    this.gaps = new GapCollector(vlog, this.#ranges, { dir, runtime, least: leastGap, leastHole, mostRuns, moving: this.#moving, seal: () => this.seal() })
    this.hidden = new HiddenGarbage(tree, runtime)
  }

  /** One pass: dead files go, and the worst file whose dead part is at least `ratio` is rewritten. `WK_NO_REWRITE` if there is neither. */
  async collectWorst(ratio: number, options: MaintenanceOptions): Promise<GcReport> {
    if (typeof ratio !== 'number' || !(ratio > 0 && ratio < 1)) throw new InvalidArgumentError('the discard ratio must lie between 0 and 1, both excluded')
    return this.#explicit(async (report) => {
      await this.#flush()
      await this.#dropDead(report, options)
      let victim = this.#worst(ratio)
      if (victim === undefined && (await this.#compact(options))) {
        await this.#dropDead(report, options)
        victim = this.#worst(ratio)
      }
      throwIfAborted(options.signal)
      if (victim !== undefined) await this.#rewrite([victim], report, options)
      await this.#shortenRunTables(options)
      if (report.filesCollected === 0) throw new NoRewriteError('no value log holds enough garbage')
    })
  }

  /** Passes until disk bytes over live bytes are at most `maxSpaceAmp`, or every file that was there was looked at. */
  async collectTo(maxSpaceAmp: number, options: MaintenanceOptions): Promise<GcReport> {
    return this.#explicit(async (report) => {
      await this.#flush()
      await this.#dropDead(report, options)
      if (this.spaceAmp() > maxSpaceAmp || (await this.#hidesMore(maxSpaceAmp))) {
        if (await this.#compact(options)) await this.#dropDead(report, options)
      }
      const left = new Set(this.#vlog.physicalFiles().map(({ number }) => number))
      while (this.spaceAmp() > maxSpaceAmp && left.size > 0) {
        throwIfAborted(options.signal)
        const [worst] = this.#ranked().filter(({ number, deadRatio }) => deadRatio > 0 && left.has(number))
        if (worst === undefined) break
        // What is of the same age goes along into the same new file.
        const others = pickVictims(this.files().filter(({ number, generation }) => left.has(number) && generation === worst.generation && number !== worst.number), {
          leastDead: worst.deadRatio / 2,
          liveBytes: Math.max(0, worst.size - worst.liveBytes),
          deadBytes: Infinity,
        })
        const victims = [worst, ...others]
        for (const { number } of victims) left.delete(number)
        await this.#rewrite(victims, report, options)
        await this.#shortenRunTables(options)
      }
    })
  }

  /** What {@link collectTo} would do now. Changes nothing. */
  async plan(maxSpaceAmp: number, background: string): Promise<GcPlan> {
    const share = await this.hidden.share()
    const { spaceAmp, hiddenBytes } = measureSpace(this.#tree, this.#vlog, share)
    const dead = new Set(this.#deadFids())
    const files = this.files()
    const isOver = spaceAmp > maxSpaceAmp
    const rewrites = isOver ? this.#ranked().filter(({ deadRatio, logical }) => deadRatio > 0 && !logical.every((fid) => dead.has(fid))) : []
    const punched = await this.holes.wouldPunch(rewrites)
    return {
      spaceAmp,
      hiddenBytes,
      compacts: isOver && this.#compactedAt !== this.#state(),
      removes: files.filter(({ logical }) => logical.every((fid) => dead.has(fid))),
      rewrites: rewrites.filter(({ number }) => !punched.has(number)),
      punches: rewrites.filter(({ number }) => punched.has(number)),
      background,
    }
  }

  /** Every value-log file, by number. */
  files(): ValueLogFile[] {
    const notes: FileNotes = { generations: this.#generations, moving: this.#moving, readdressing: this.#readdressing, damaged: this.#damaged, pinned: this.#pinned, mostRuns: this.#mostRuns }
    return describeFiles(this.#tree, this.#vlog, notes)
  }

  /** Bytes on disk for each byte of keys and values, as far as is known; 1 for an empty database. */
  spaceAmp(): number {
    return measureSpace(this.#tree, this.#vlog, 0).knownSpaceAmp
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

  /** Runs after everything that was started before. Meanwhile no file goes. */
  locked<T>(work: () => Promise<T>): Promise<T> {
    this.#locks++
    const result = this.#tail.then(work).finally(() => this.#locks--)
    this.#tail = result.catch(() => {})
    return result
  }

  // Steps of the background. They require the lock.

  /** Removes files without a reference, and finishes what a crash left of holes. Returns how many physical files went. */
  async removeDead(): Promise<number> {
    await this.#vlog.holes.finish()
    const dead = this.#deadFids()
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

  /**
   * Moves what is alive in `files`, which are sealed, to one new file. Returns how many were collected. Several may be under way,
   * of different files: from the call on theirs are `moving`.
   */
  async relocate(files: readonly ValueLogFile[], options: RelocateFilesOptions): Promise<number> {
    const report: Pass = { filesCollected: 0, bytesMoved: 0, bytesReclaimed: 0, spaceAmp: 1 }
    await this.#rewrite(files, report, options)
    return report.filesCollected
  }

  /** There are so many entries of run tables that pointers should be rewritten. */
  get isReaddressingDue(): boolean {
    return this.#readdressing.isDue((number) => this.#moving.has(number))
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

  /** Bytes that the passes under way will give back. */
  get expectedGain(): number {
    let bytes = 0
    for (const gain of this.#moving.values()) bytes += gain
    return bytes
  }

  /** Files whose garbage was kept for readers are looked at again. */
  forgetPinned(): void {
    this.#pinned.clear()
    this.#ranges.forget()
  }

  // Inside.

  async #explicit(work: (report: Pass) => Promise<void>): Promise<GcReport> {
    if (this.#running) throw new GcRunningError('a value-log GC is running already')
    this.#running = true
    try {
      return await this.locked(async () => {
        this.#ranges.forget()
        await this.gaps.end()
        const reclaimedBefore = this.bytesReclaimed
        const report: Pass = { filesCollected: 0, bytesMoved: 0, bytesReclaimed: 0, spaceAmp: 1 }
        await work(report)
        report.bytesReclaimed = this.bytesReclaimed - reclaimedBefore
        report.spaceAmp = this.spaceAmp()
        return report
      })
    } finally {
      this.#running = false
    }
  }

  async #readdress(options: MovePointersOptions): Promise<void> {
    const rewritten = this.#readdressing.run((number) => this.#moving.has(number), options)
    publishGc(() => ({ dir: this.#dir, type: 'readdress', reason: 'run tables grow long', files: this.#readdressing.files }))
    await rewritten
  }

  /** {@link readdress} within an explicit call, if it is due. */
  async #shortenRunTables({ signal, onProgress }: MaintenanceOptions): Promise<void> {
    if (!this.isReaddressingDue) return
    await this.#readdress({ signal, onProgress })
    await this.removeDead()
  }

  /** Removes dead files, the only step of many a call, and tells so. */
  async #dropDead(report: Pass, { onProgress }: MaintenanceOptions): Promise<void> {
    const before = this.bytesReclaimed
    const removed = await this.removeDead()
    report.filesCollected += removed
    if (removed > 0) onProgress?.({ phase: 'remove', done: removed, total: removed, bytes: this.bytesReclaimed - before })
  }

  async #flush(): Promise<void> {
    await this.#queue.barrier()
    await this.#tree.flush()
  }

  async #hidesMore(maxSpaceAmp: number): Promise<boolean> {
    const share = await this.hidden.share()
    return measureSpace(this.#tree, this.#vlog, share).spaceAmp > maxSpaceAmp
  }

  #state(): string {
    return `${this.#tree.visibleSequence}/${this.#tree.stats().snapshots}`
  }

  /** Compacts the whole tree, unless that was done and nothing has changed since. Returns whether it did. */
  async #compact(options: MaintenanceOptions): Promise<boolean> {
    const before = this.#state()
    if (this.#compactedAt === before) return false
    await this.#tree.compact({ signal: options.signal })
    this.#compactedAt = before
    return true
  }

  /** Sealed logical files that nothing refers to, no older view either. */
  #deadFids(): number[] {
    const referenced = this.#tree.pinnedFids()
    for (const fid of this.#tree.liveReferences().keys()) referenced.add(fid)
    const dead: number[] = []
    for (const { number, sealed, logical } of this.#vlog.physicalFiles()) {
      // A pass that copies from a file deals with all of it; jobs may be about to refer to one whose pointers are rewritten.
      if (sealed && !this.#moving.has(number) && !this.#readdressing.has(number)) for (const fid of logical) if (!referenced.has(fid)) dead.push(fid)
    }
    return dead
  }

  /** Every file, the largest dead part first, damaged ones last. */
  #ranked(): ValueLogFile[] {
    const isLast = ({ state }: ValueLogFile): number => (state === 'damaged' ? 1 : 0)
    return this.files().sort((a, b) => isLast(a) - isLast(b) || b.deadRatio - a.deadRatio)
  }

  #worst(ratio: number): ValueLogFile | undefined {
    return this.#ranked().find(({ deadRatio }) => deadRatio >= ratio)
  }

  /** Moves what is alive in `files` to a new one. A file that a pinned memtable still refers to is left alone. */
  async #rewrite(victims: readonly ValueLogFile[], report: Pass, options: RelocateFilesOptions): Promise<void> {
    const files = fittingVictims(victims, this.files(), { moving: this.#moving, mostRuns: this.#mostRuns })
    if (files.length === 0) return
    for (const { number, recordBytes, liveBytes } of files) this.#moving.set(number, recordBytes - liveBytes)
    try {
      await this.#rewriteMarked(files, report, options)
    } finally {
      for (const { number } of files) this.#moving.delete(number)
    }
  }

  async #rewriteMarked(files: readonly ValueLogFile[], report: Pass, options: RelocateFilesOptions): Promise<void> {
    const wanted = new Set(files.map(({ number }) => number))
    if (this.#vlog.physicalFiles().some(({ number, sealed }) => wanted.has(number) && !sealed)) {
      await this.seal()
      await this.#flush()
    }
    const victims = this.#vlog.physicalFiles().filter(({ number }) => wanted.has(number) && !this.#readdressing.has(number))
    const found = await this.#ranges.get(victims.flatMap(({ logical }) => logical), () => this.#candidates(), options.signal)
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
        report.filesCollected++
      }
    }
    for (const number of kept) this.#pinned.add(number)
    if (kept.length > 0) publishGc(() => ({ dir: this.#dir, type: 'kept', reason: 'somebody may still read most of what is in them', files: kept }))
    if (ranges.size === 0) return
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
      if (error instanceof CorruptionError) this.#noteDamage(files, error)
      throw error
    })
    if (bytesMoved === 0) onProgress?.({ phase: 'remove', done: collected.length, total: collected.length, bytes: bytesReclaimed })
    this.#noteGenerations(ranges, nextGeneration(generation))
    report.filesCollected += collected.length
    report.bytesMoved += bytesMoved
    this.passes++
    this.filesCollected += collected.length
    this.bytesMoved += bytesMoved
    this.bytesReclaimed += bytesReclaimed
    publishGc(() => ({ dir: this.#dir, type: 'collected', reason: 'their live values were moved', files: collected, bytesMoved, bytesReclaimed }))
  }

  /** Logical files that may become victims before the tables change. */
  #candidates(): number[] {
    const fids: number[] = []
    let records = 0
    for (const { state, logical, liveRecords } of this.files()) {
      if (state !== 'collectable' || (records += liveRecords) > MOST_CANDIDATE_RECORDS) continue
      fids.push(...logical)
    }
    return fids
  }

  /** Law 6: a damaged file is kept as it is, and others are collected before it is tried again. */
  #noteDamage(files: readonly ValueLogFile[], { file }: CorruptionError): void {
    const named = files.filter(({ number, relocated }) => formatFileName(relocated ? 'relocated' : 'vlog', number) === file)
    for (const { number } of named.length > 0 ? named : files) this.#damaged.add(number)
  }

  #noteGenerations(moved: ReadonlyMap<number, unknown>, generation: Generation): void {
    const physical = this.#vlog.physicalFiles()
    const present = new Set(physical.map(({ number }) => number))
    for (const number of this.#generations.keys()) if (!present.has(number)) this.#generations.delete(number)
    for (const { number, relocated, logical } of physical) if (relocated && logical.some((fid) => moved.has(fid))) this.#generations.set(number, generation)
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
