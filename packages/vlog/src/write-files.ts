/**
 * The files that records go to, in order: those that are full and wait for their sync, the one that takes writes, the one that takes records.
 *
 * - Order on disk: create a file exclusively, write its header, sync it, sync the directory, only then records (CR2, CR5).
 * - In a log that stands alone the old file is synced before the new one takes records: then whatever is not in the newest
 *   file of the sequence is durable. For a host with durable marks the next file is made while the old one fills, and takes records while
 *   old ones are synced, two at once: up to `syncBehind` bytes of full files may not be durable (docs/adr/0013).
 * - The durable position never passes a file that is not durable as a whole.
 * - A file that is synced often has zeros ahead, which are cut off before it is sealed (`zeros-ahead.ts`).
 *
 * Which file comes next is in `files-ahead.ts`. What goes into the files is up to the writer.
 */
import { invariant } from '@wk/codec'
import type { File } from '@wk/fs'
import { handleOf, outputOf, type LogicalFile } from './file-map.js'
import { FilesAhead, type FilesAheadOptions } from './files-ahead.js'
import { FILE_HEADER_LENGTH } from './format.js'
import { gapBytesLeft, type GapPlace, type GapWriter } from './gap-files.js'
import { SyncTracker, type LogPosition } from './sync-tracker.js'
import type { VlogSet } from './vlog-set.js'
import type { WriteFailure } from './write-failure.js'
import type { WriteJobs } from './write-jobs.js'
import { ZerosAhead, cutZeros, zerosBehind } from './zeros-ahead.js'

/** Full files that wait for their sync at most: each has its handle open. */
const MOST_WAITING = 8

/**
 * Bytes that are written and not durable after which a sync begins in the background, on nobody's way: else whoever
 * syncs next, or writes after the file is full, waits for all of them (20 milliseconds for 16 MiB).
 */
const SYNC_AHEAD = 32 << 20
/** The same in the last part of a file, as long as {@link SYNC_AHEAD}: little is left to sync when it ends. */
const SYNC_AHEAD_NEAR_END = 4 << 20

export interface WriteFilesOptions extends FilesAheadOptions {
  /** Bytes of full files that may wait for their sync before a new file takes records; more if it is only one file. */
  syncBehind: number
  /** End of what is there, all of it durable. */
  end: LogPosition
}

export class WriteFiles implements GapWriter {
  readonly #set: VlogSet
  readonly #options: WriteFilesOptions
  readonly #failure: WriteFailure
  readonly #jobs: WriteJobs
  readonly #ahead: FilesAhead
  readonly #synced: SyncTracker
  readonly #zeros = new ZerosAhead()
  #active: LogicalFile | undefined
  #current: LogicalFile | undefined
  /** Begun here and not sealed: those that this sequence writes, and after a failure has to let go of. Another one may write to the same set. */
  readonly #begun = new Set<LogicalFile>()
  /** Files that are written to their end, oldest first: synced and sealed in order, on nobody's way. `done` once that has begun for one. */
  readonly #sealing: { readonly file: LogicalFile; done: Promise<void> | undefined }[] = []
  #sealAfter = 0
  #isSyncingAhead = false
  /** End of the newest file that is no longer active. */
  #last: LogPosition

  /** `jobs`: what one has written to the file that takes writes counts only at its end. */
  constructor(set: VlogSet, options: WriteFilesOptions, failure: WriteFailure, jobs: WriteJobs) {
    this.#set = set
    this.#options = options
    this.#failure = failure
    this.#jobs = jobs
    this.#ahead = new FilesAhead(set, options, failure)
    this.#synced = new SyncTracker(options.end)
    this.#last = options.end
  }

  /** Takes the next record; undefined = a new file has to be begun. */
  get active(): LogicalFile | undefined {
    return this.#active
  }

  /** Takes writes: the active file, or one that is no longer active and not written to its end, or waits to be sealed. */
  get current(): LogicalFile | undefined {
    return this.#current
  }

  /**
   * From now on full files wait until there are so many bytes of them, or somebody needs them durable: each sync costs the device
   * a commit of its journal, and writers feel it. 0, as at first: they do not wait. Not in a log that stands alone.
   */
  sealAfter(bytes: number): void {
    this.#sealAfter = bytes
    this.#sealIfDue()
  }

  /** End of all records. */
  position(): LogPosition {
    const active = this.#active
    return active === undefined ? { ...this.#last } : { fid: active.fid, offset: active.end }
  }

  /** Everything before this is with the operating system: the end of a record, while none is being written. */
  writtenPosition(): LogPosition {
    const file = this.#current ?? this.#sealing.at(-1)?.file
    return file === undefined ? this.#synced.position : { fid: file.fid, offset: file.written }
  }

  /** Everything before this is durable, all lower files included. */
  syncedPosition(): LogPosition {
    return this.#synced.position
  }

  /** Bytes of zeros behind records. */
  get zeroBytes(): number {
    let sum = 0
    for (const { file } of this.#sealing) sum += zerosBehind(file)
    return this.#current === undefined ? sum : sum + zerosBehind(this.#current)
  }

  /** Makes another file the active one, for a record of `length` bytes. A new one need not exist yet. @throws IoError if one in gaps cannot be opened */
  begin(length: number): LogicalFile {
    this.leaveActive()
    const file = this.#ahead.take(length)
    this.#begun.add(file)
    this.#active = file
    return file
  }

  /** Records go into gaps now. */
  get isFilling(): boolean {
    return this.#active?.gaps !== undefined
  }

  /** The active file had better be left for gaps, so that the log grows no more. */
  get isFillingDue(): boolean {
    return !this.isFilling && this.#ahead.hasReadyGaps
  }

  /** Bytes of gaps that records may still go to. */
  get gapBytes(): number {
    const active = this.#active
    return active?.gaps === undefined ? this.#ahead.gapBytes : this.#ahead.gapBytes + gapBytesLeft(active)
  }

  /** Empty files with the next numbers in gaps. */
  planInGaps(places: readonly GapPlace[]): LogicalFile[] {
    return this.#ahead.planInGaps(places)
  }

  /** Files in gaps that records may go to. Those that come too late, because a later one was begun, are sealed. */
  offer(files: readonly LogicalFile[]): void {
    this.#ahead.offer(files, this.position().fid)
  }

  /** Seals the files in gaps that no record went to. */
  giveUpGaps(): void {
    this.#ahead.giveUpGaps()
  }

  /** The next file that is begun bears a higher number than any so far, those included that were made ahead or kept. */
  skipNumbers(): void {
    this.#ahead.skipNumbers()
  }

  /** From now on some records have files of their own. */
  expectLone(): void {
    this.#ahead.expectLone()
  }

  /** The active file takes no more records. */
  leaveActive(): void {
    const file = this.#active
    if (file === undefined) return
    this.#last = { fid: file.fid, offset: file.end }
    this.#active = undefined
  }

  /** Makes `logical` the file that takes writes; the old one must be written to its end. @throws IoError, ReadOnlyError */
  async goOnTo(logical: LogicalFile): Promise<void> {
    this.#sealCurrent()
    invariant(this.#current === undefined, 'the old file is written before a new one takes records')
    while (this.#isFarBehind) {
      void this.#startSealing()
      await this.#sealing[0]?.done
    }
    if (outputOf(logical) === undefined) await this.#ahead.preparing
    this.#failure.checkWritable()
    if (outputOf(logical) === undefined) await this.#ahead.make(logical)
    this.#current = logical
    if (this.#sealing.length === 0) this.#synced.note(logical.fid, FILE_HEADER_LENGTH)
  }

  /** Whether a new file has to wait for the sync of an old one. */
  get #isFarBehind(): boolean {
    const { standalone, syncBehind } = this.#options
    if (standalone || this.#sealing.length < 2) return standalone && this.#sealing.length > 0
    return this.#sealingBytes > syncBehind
  }

  get #sealingBytes(): number {
    let sum = 0
    for (const { file } of this.#sealing) sum += file.end
    return sum
  }

  /** Seals the file that took writes and goes on to the next one, if that is there: nobody has to wait. Requires that nothing is active. */
  advance(): void {
    this.#sealCurrent()
    if (this.#current !== undefined || this.#isFarBehind) return
    if (this.#ahead.isThere) this.#current = this.begin(0)
  }

  /**
   * Something was written to the file that takes writes; meanwhile more may have been staged. Begins what is due: to seal it, or to sync, and to make
   * the next files where the active one is to end at `limit` bytes. Nobody waits for it.
   */
  wrote(limit: number): void {
    const current = this.#current
    if (current === undefined) return
    if (current !== this.#active) {
      this.#sealCurrent()
      return
    }
    this.#sealIfDue()
    this.#syncAhead(current, limit)
    this.#ahead.prepare(current, limit)
  }

  #syncAhead({ fid, written }: LogicalFile, limit: number): void {
    if (this.#sealing.length > 0) return
    const allowed = this.#options.standalone && written > limit - SYNC_AHEAD ? SYNC_AHEAD_NEAR_END : SYNC_AHEAD
    if (this.#isSyncingAhead || !this.#synced.isBehind(fid, written - allowed)) return
    this.#isSyncingAhead = true
    // The writer keeps a failure, and the next call meets it.
    void this.sync().catch(() => undefined).finally(() => (this.#isSyncingAhead = false))
  }

  /** Begins to seal the file that took writes, if it is no longer active and all its bytes are written. */
  #sealCurrent(): void {
    const file = this.#current
    if (file === undefined || file === this.#active || file.written !== file.end) return
    this.#current = undefined
    this.#sealing.push({ file, done: undefined })
    this.#sealIfDue()
  }

  /** Begins to sync full files that wait, if with what was written since they are many bytes. */
  #sealIfDue(): void {
    if (this.#sealing.length === 0) return
    const bytes = this.#sealingBytes + (this.#current?.written ?? 0)
    if (this.#options.standalone || this.#sealing.length >= MOST_WAITING || bytes >= this.#sealAfter) void this.#startSealing()
  }

  /** Begins to sync the files that wait. Resolves when all are durable. */
  #startSealing(): Promise<void> | undefined {
    let before: Promise<void> | undefined
    let twoBefore: Promise<void> | undefined
    for (const one of this.#sealing) {
      if (one.done === undefined) {
        one.done = this.#seal(one.file, before, twoBefore)
        // The writer keeps a failure, and the next call meets it.
        one.done.catch(() => undefined)
      }
      twoBefore = before
      before = one.done
    }
    return before
  }

  /** Seals every file that is no longer active. Requires that they are written. @throws IoError, ReadOnlyError */
  async sealAll(): Promise<void> {
    this.#sealCurrent()
    await this.#startSealing()
  }

  /** Makes everything written so far durable. @throws IoError, ReadOnlyError */
  async sync(): Promise<void> {
    await this.#synced.reach(this.writtenPosition(), () => this.#syncWritten(), () => this.#failure.checkWritable())
  }

  /** Waits for what is under way and closes every handle; a file made ahead stays, empty. @throws the first error of a close */
  async close(): Promise<void> {
    const unused = await this.#ahead.close()
    await this.#sealing.at(-1)?.done?.catch(() => undefined)
    // After a failure also such as were left before anything of theirs was written.
    const left = [...this.#begun, ...unused]
    const files: File[] = []
    for (const logical of left) {
      const file = outputOf(logical)
      if (file === undefined) continue
      files.push(file)
      if (logical.gaps === undefined) logical.physical.file = undefined
      else logical.gaps = undefined
    }
    const outcomes = await Promise.allSettled(files.map((file) => file.close()))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason as Error
  }

  /** Two files are synced at once: they share a commit of the journal. Each is sealed after the one `before`. */
  async #seal(logical: LogicalFile, before: Promise<void> | undefined, twoBefore: Promise<void> | undefined): Promise<void> {
    const file = handleOf(logical)
    await twoBefore
    try {
      if (logical.gaps === undefined) await cutZeros(logical)
      await Promise.all([file.sync(), before])
      this.#failure.checkWritable()
    } catch (error) {
      throw this.#failure.tell(error)
    }
    this.#synced.note(logical.fid, logical.end)
    this.#sealing.shift()
    // The header of its successor was durable before the first record.
    const next = this.#sealing[0]?.file ?? this.#current
    if (next !== undefined) this.#synced.note(next.fid, FILE_HEADER_LENGTH)
    logical.sealed = true
    this.#begun.delete(logical)
    if (logical.gaps === undefined) this.#set.handles.adopt(logical.physical, file)
    else {
      logical.gaps = undefined
      // Durable and read through another handle: nothing depends on how this ends.
      await file.close().catch(() => undefined)
    }
  }

  async #syncWritten(): Promise<void> {
    const sealed = this.#startSealing()
    const current = this.#current
    if (current === undefined) return sealed
    const { physical, written } = current
    // It may be sealed meanwhile, and its handle closed for another one.
    physical.busy++
    try {
      // A log that stands alone has none: there what lies behind a torn record tells damage from a crash.
      if (!this.#options.standalone && current.gaps === undefined && !this.#jobs.isBusy) this.#zeros.beforeSync(current, this.#synced.position)
      // In parallel; what is durable here counts only with everything before it.
      await Promise.all([handleOf(current).sync(), sealed])
    } catch (error) {
      throw this.#failure.tell(error)
    } finally {
      physical.busy--
    }
    this.#synced.note(current.fid, written)
  }
}
