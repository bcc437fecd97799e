/**
 * Gives the space of dead values back: by relocation, without an index lookup or an index write (`docs/design.md`).
 *
 * What is alive is the sum of what the tables of the current version and the memtables refer to, so it is exact after
 * any crash. A value log without a live byte and without a reader is deleted unread. From other victims the live
 * records are copied, as they are, into a new file that takes over their logical addresses.
 *
 * One pass at a time; garbage that is still hidden in the tree is brought out by a flush and a compaction.
 */
import { GcRunningError, InvalidArgumentError, NoRewriteError, WkError, throwIfAborted } from '@wk/codec'
import type { Runtime } from '@wk/fs'
import { relocate } from '@wk/gc'
import type { GcReport } from '@wk/gc'
import type { LsmTree } from '@wk/lsm'
import type { PhysicalFileInfo, ValueLog } from '@wk/vlog'
import type { MaintenanceOptions } from './maintenance.js'
import type { WriteQueue } from './write-queue.js'

/** A value-log file as the collector judges it. */
interface Candidate {
  file: PhysicalFileInfo
  liveBytes: number
  /** Bytes of dead records over bytes of all records. */
  deadRatio: number
}

/** A report while it is being made. */
type Pass = { -readonly [K in keyof GcReport]: GcReport[K] }

export class ValueLogGc {
  readonly #tree: LsmTree
  readonly #vlog: ValueLog
  readonly #queue: WriteQueue
  readonly #runtime: Runtime
  #running = false
  #tail: Promise<unknown> = Promise.resolve()
  #isStopped = false
  #unsubscribe: (() => void) | undefined
  /** The tree was compacted whole when it stood here: doing it again would bring out nothing new. */
  #compactedAt = ''

  /** Files removed or rewritten since open. */
  filesCollected = 0
  /** Bytes of live values copied since open. */
  bytesMoved = 0
  /** Bytes of disk given back since open. */
  bytesReclaimed = 0

  constructor(tree: LsmTree, vlog: ValueLog, queue: WriteQueue, runtime: Runtime) {
    this.#tree = tree
    this.#vlog = vlog
    this.#queue = queue
    this.#runtime = runtime
  }

  /** One pass: dead files go, and the worst file whose dead part is at least `ratio` is rewritten. `WK_NO_REWRITE` if there is neither. */
  async collectWorst(ratio: number, options: MaintenanceOptions): Promise<GcReport> {
    if (typeof ratio !== 'number' || !(ratio > 0 && ratio < 1)) throw new InvalidArgumentError('the discard ratio must lie between 0 and 1, both excluded')
    return this.#explicit(async (report) => {
      await this.#flush()
      report.filesCollected += await this.#removeDead()
      let victim = this.#worst(ratio)
      if (victim === undefined && (await this.#compact(options))) {
        report.filesCollected += await this.#removeDead()
        victim = this.#worst(ratio)
      }
      throwIfAborted(options.signal)
      if (victim !== undefined) await this.#rewrite([victim.file], report, options)
      if (report.filesCollected === 0) throw new NoRewriteError('no value log holds enough garbage')
    })
  }

  /** Passes until disk bytes over live bytes are at most `maxSpaceAmp`, or every file that was there was looked at. */
  async collectTo(maxSpaceAmp: number, options: MaintenanceOptions): Promise<GcReport> {
    return this.#explicit(async (report) => {
      await this.#flush()
      report.filesCollected += await this.#removeDead()
      if (this.spaceAmp() > maxSpaceAmp && (await this.#compact(options))) report.filesCollected += await this.#removeDead()
      let left = this.#vlog.physicalFiles().map(({ number }) => number)
      while (this.spaceAmp() > maxSpaceAmp && left.length > 0) {
        throwIfAborted(options.signal)
        const worst = this.#candidates().find(({ file, deadRatio }) => deadRatio > 0 && left.includes(file.number))
        if (worst === undefined) break
        left = left.filter((number) => number !== worst.file.number)
        await this.#rewrite([worst.file], report, options)
      }
    })
  }

  /** From now on removes files that nothing refers to any more, now and after each change of the tables. */
  sweepAfterChanges(onError: (error: WkError) => void): void {
    let isWanted = false
    const sweep = (): void => {
      if (isWanted) return
      isWanted = true
      void this.#locked(async () => {
        isWanted = false
        if (!this.#isStopped) await this.#removeDead()
      }).catch((error: unknown) => onError(asWkError(error)))
    }
    this.#unsubscribe = this.#tree.onVersionChange(sweep)
    sweep()
  }

  /** Waits for the pass that is running and starts no other. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#unsubscribe?.()
    await this.#tail
  }

  /** Bytes on disk for each live byte, keys and tables included; 1 for an empty database. */
  spaceAmp(): number {
    const tables = this.#tree.stats().tableBytes
    let live = tables
    for (const { bytes } of this.#tree.liveReferences().values()) live += bytes
    let disk = tables
    for (const { size } of this.#vlog.physicalFiles()) disk += size
    return live === 0 ? 1 : disk / live
  }

  async #explicit(work: (report: Pass) => Promise<void>): Promise<GcReport> {
    if (this.#running) throw new GcRunningError('a value-log GC is running already')
    this.#running = true
    try {
      return await this.#locked(async () => {
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

  /** Runs after everything that was started before. */
  #locked<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work)
    this.#tail = result.catch(() => {})
    return result
  }

  async #flush(): Promise<void> {
    await this.#queue.barrier()
    await this.#tree.flush()
  }

  /** Compacts the whole tree, unless that was done and nothing has changed since. Returns whether it did. */
  async #compact(options: MaintenanceOptions): Promise<boolean> {
    const state = (): string => `${this.#tree.visibleSequence}/${this.#tree.stats().snapshots}`
    if (this.#compactedAt === state()) return false
    const before = state()
    await this.#tree.compact({ signal: options.signal })
    this.#compactedAt = before
    return true
  }

  /** Removes files without a reference. Returns how many physical files went. */
  async #removeDead(): Promise<number> {
    const referenced = this.#tree.pinnedFids()
    for (const fid of this.#tree.liveReferences().keys()) referenced.add(fid)
    const dead: number[] = []
    for (const { sealed, logical } of this.#vlog.physicalFiles()) {
      if (sealed) for (const fid of logical) if (!referenced.has(fid)) dead.push(fid)
    }
    if (dead.length === 0) return 0
    const before = this.#vlog.physicalFiles().length
    this.bytesReclaimed += await this.#vlog.dropLogical(dead)
    const removed = Math.max(0, before - this.#vlog.physicalFiles().length)
    this.filesCollected += removed
    return removed
  }

  /** Every file that could be rewritten, the largest dead part first. */
  #candidates(): Candidate[] {
    const live = this.#tree.liveReferences()
    return this.#vlog
      .physicalFiles()
      .map((file) => {
        let liveBytes = 0
        for (const fid of file.logical) liveBytes += live.get(fid)?.bytes ?? 0
        const { recordBytes } = file
        return { file, liveBytes, deadRatio: recordBytes === 0 ? 0 : Math.max(0, 1 - liveBytes / recordBytes) }
      })
      .sort((a, b) => b.deadRatio - a.deadRatio)
  }

  #worst(ratio: number): Candidate | undefined {
    return this.#candidates().find(({ deadRatio }) => deadRatio >= ratio)
  }

  /** Moves what is alive in `files` to a new one. A file that a pinned memtable still refers to is left alone. */
  async #rewrite(files: PhysicalFileInfo[], report: Pass, options: MaintenanceOptions): Promise<void> {
    if (files.some(({ sealed }) => !sealed)) {
      await this.#queue.exclusive(() => this.#vlog.seal())
      await this.#flush()
    }
    const victims: number[] = []
    let before = 0
    for (const { number, logical } of this.#vlog.physicalFiles()) {
      if (!files.some((file) => file.number === number)) continue
      if (logical.some((fid) => this.#tree.liveRanges(fid) === undefined)) continue
      victims.push(...logical)
      before++
    }
    if (victims.length === 0) return
    const disk = this.#diskBytes()
    const { bytesMoved } = await relocate(this.#vlog, victims, (fid) => this.#tree.liveRanges(fid) ?? [], {
      signal: options.signal,
      onProgress: options.onProgress,
      runtime: this.#runtime,
    })
    report.filesCollected += before
    report.bytesMoved += bytesMoved
    this.filesCollected += before
    this.bytesMoved += bytesMoved
    this.bytesReclaimed += Math.max(0, disk - this.#diskBytes())
  }

  #diskBytes(): number {
    return this.#vlog.physicalFiles().reduce((sum, { size }) => sum + size, 0)
  }
}

function asWkError(error: unknown): WkError {
  return error instanceof WkError ? error : new WkError('WK_IO', `garbage collection failed: ${String(error)}`, { cause: error })
}
