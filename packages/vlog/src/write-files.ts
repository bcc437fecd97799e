/**
 * The files that records go to, in order: those that are full and wait for their sync, the one that takes writes, the next one.
 *
 * - Order on disk: create a file exclusively, write its header, sync it, sync the directory, only then records (CR2, CR5).
 * - In a log that stands alone the old file is synced before the new one takes records: then whatever is not in the newest
 *   file of the sequence is durable. For a host with durable marks the next file is made while the old one fills, and takes records while
 *   old ones are synced, two at once: up to `syncBehind` bytes of full files may not be durable (docs/adr/0013).
 * - Where there are files in gaps of older ones (`gap-files.ts`), they are written before a new one is begun. Numbers ascend all the same: what is
 *   passed over is sealed as it is, and files made ahead that bear a lower number go.
 * - The durable position never passes a file that is not durable as a whole.
 * - A file that is synced often has zeros ahead, which are cut off before it is sealed (`zeros-ahead.ts`).
 *
 * What goes into the files, and what a failure means, is up to the writer.
 */
import { invariant } from '@wk/codec'
import type { File } from '@wk/fs'
import { FileMaker, type FileMakerOptions } from './file-maker.js'
import type { LogicalFile } from './file-map.js'
import type { FileNumbers } from './file-numbers.js'
import { FILE_HEADER_LENGTH } from './format.js'
import { isUnread, type GapPlace, type GapWriter } from './gap-files.js'
import { SyncTracker, type LogPosition } from './sync-tracker.js'
import type { VlogSet } from './vlog-set.js'
import { ZerosAhead, cutZeros, zerosBehind } from './zeros-ahead.js'

/** Files shorter than so many times the room at which their successor is made do without: it would lie about empty too often. */
const LEAST_PREPARED = 2
/**
 * Files are made for so many bytes at once, at most {@link MOST_PREPARED}: to make a name durable is a commit of the device's journal,
 * which writers feel more than everything else here.
 */
const PREPARED_BYTES = 1 << 27
const MOST_PREPARED = 8
/** Of files that are left the next ones are made when there are fewer: as many are begun while names are made durable. */
const LEAST_LEFT = 2
/** The same where some records have files of their own: each begins two. */
const LEAST_LEFT_LONE = 6
/** Numbers kept for new files that records go to before those in gaps are ready, which have higher ones. */
const KEPT_NUMBERS = 8
/** Full files that wait for their sync at most: each has its handle open. */
const MOST_WAITING = 8

export interface WriteFilesOptions extends FileMakerOptions {
  /** Nobody but the log says what of it is durable: a file begins after the one before is durable. */
  standalone: boolean
  /** Bytes before the end of a file at which the next one is made. */
  prepareAhead: number
  /** Bytes of full files that may wait for their sync before a new file takes records; more if it is only one file. */
  syncBehind: number
  /** Where file numbers come from. */
  numbers: FileNumbers
  /** End of what is there, all of it durable. */
  end: LogPosition
}

/** The writer, for its files. */
export interface WriteHost {
  /** @throws ReadOnlyError once nothing may be written */
  checkWritable(): void
  /** Takes note of a failure in its turn, and returns it. */
  fail(error: unknown): unknown
  /** Whether a job may be writing to the file that takes writes: what it has written counts only at its end. */
  isWriting(): boolean
}

export class WriteFiles implements GapWriter {
  readonly #set: VlogSet
  readonly #options: WriteFilesOptions
  readonly #host: WriteHost
  readonly #maker: FileMaker
  readonly #synced: SyncTracker
  readonly #zeros = new ZerosAhead()
  #active: LogicalFile | undefined
  #current: LogicalFile | undefined
  /** Begun here and not sealed: those that this sequence writes, and after a failure has to let go of. Another one may write to the same set. */
  readonly #begun = new Set<LogicalFile>()
  /** Files that are written to their end, oldest first: synced and sealed in order, on nobody's way. `done` once that has begun for one. */
  readonly #sealing: { readonly file: LogicalFile; done: Promise<void> | undefined }[] = []
  #sealAfter = 0
  /** Made ahead, ascending; no record has a place in them yet. */
  readonly #next: LogicalFile[] = []
  /** In gaps of older files, ascending; no record has a place in them yet. */
  #gaps: LogicalFile[] = []
  /** Numbers for new files, below those of files in gaps, ascending. */
  #kept: number[] = []
  #isClosed = false
  /** Files were made ahead: the log is not one of those that stay small. */
  #hasPrepared = false
  /** Some records have files of their own. */
  #hasLone = false
  /** Ends, always well, when all of `#next`, and those that they became, exist or have failed. */
  #preparing: Promise<void> = Promise.resolve()
  /** End of the newest file that is no longer active. */
  #last: LogPosition

  constructor(set: VlogSet, options: WriteFilesOptions, host: WriteHost) {
    this.#set = set
    this.#options = options
    this.#host = host
    this.#maker = new FileMaker(set, options)
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

  get isSealing(): boolean {
    return this.#sealing.length > 0
  }

  /**
   * From now on full files wait until there are so many bytes of them, or somebody needs them durable: each sync costs the device
   * a commit of its journal, and writers feel it. 0, as at first: they do not wait. Not in a log that stands alone.
   */
  sealAfter(bytes: number): void {
    this.#sealAfter = bytes
    this.sealIfDue()
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

  /** Whether something before this place is not durable yet. */
  isBehind(fid: number, offset: number): boolean {
    return this.#synced.isBehind(fid, offset)
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
    const file = this.#gaps.find((one) => isReady(one, length)) ?? this.#plainFile()
    this.#passOver(file.fid)
    if (file.gaps !== undefined) file.gaps.output = this.#openOutput(file)
    this.#begun.add(file)
    this.#active = file
    return file
  }

  #plainFile(): LogicalFile {
    const file = this.#next.shift() ?? this.#maker.plan(this.#takeNumber())
    this.#set.addPhysical(file.physical)
    this.#set.map.add(file)
    return file
  }

  #takeNumber(): number {
    return this.#kept.shift() ?? this.#options.numbers.take()
  }

  /** Numbers ascend in the order of writing: files below `fid` that no record went to take none any more. */
  #passOver(fid: number): void {
    for (const file of this.#gaps) if (file.fid < fid) this.#sealUnused(file)
    this.#gaps = this.#gaps.filter((file) => file.fid > fid)
    this.#kept = this.#kept.filter((number) => number > fid)
    const passed = this.#next.filter((file) => file.fid < fid)
    if (passed.length === 0) return
    this.#next.splice(0, passed.length)
    // They may be about to be made. A failure is kept by the host.
    this.#preparing = this.#preparing.then(async () => {
      for (const { physical } of passed) {
        const { file } = physical
        physical.file = undefined
        this.#set.leave(physical)
        // Nothing was written to it.
        await file?.close().catch(() => undefined)
      }
    })
  }

  #sealUnused(file: LogicalFile): void {
    file.gaps = undefined
    file.sealed = true
  }

  /** Only now: many files may be waiting with their gaps. @throws IoError */
  #openOutput({ physical: { path } }: LogicalFile): File {
    try {
      return this.#set.fs.openSync(path, 'update')
    } catch (error) {
      throw this.#host.fail(error)
    }
  }

  /** Empty files with the next numbers in gaps. */
  planInGaps(places: readonly GapPlace[]): LogicalFile[] {
    const { numbers } = this.#options
    // Until they are ready records go to new files, which would be younger.
    while (this.#kept.length < KEPT_NUMBERS && numbers.left > KEPT_NUMBERS) this.#kept.push(numbers.take())
    return places.map(({ physical, runs }) => {
      const file = this.#maker.planInGaps(numbers.take(), physical, runs)
      // A record that is to have a file of its own may come between any two.
      if (this.#hasLone && numbers.left > KEPT_NUMBERS) this.#kept.push(numbers.take())
      return file
    })
  }

  /** Files in gaps that records may go to. Those that come too late, because a later one was begun, are sealed. */
  offer(files: readonly LogicalFile[]): void {
    const { fid } = this.position()
    for (const file of files) {
      if (file.fid > fid && !this.#isClosed) this.#gaps.push(file)
      else this.#sealUnused(file)
    }
    this.#gaps.sort((a, b) => a.fid - b.fid)
  }

  /** Seals the files in gaps that no record went to. */
  giveUpGaps(): void {
    for (const file of this.#gaps.splice(0)) this.#sealUnused(file)
  }

  /** The next file that is begun bears a higher number than any so far, those included that were made ahead or kept. */
  skipNumbers(): void {
    this.#passOver(this.#options.numbers.next)
  }

  /** Records go into gaps now. */
  get isFilling(): boolean {
    return this.#active?.gaps !== undefined
  }

  /** The active file had better be left for gaps, so that the log grows no more. */
  get isFillingDue(): boolean {
    return !this.isFilling && this.#hasReadyGaps
  }

  get #hasReadyGaps(): boolean {
    return this.#gaps.some((file) => isReady(file, 0))
  }

  /** Bytes of gaps that records may still go to. */
  get gapBytes(): number {
    let bytes = 0
    for (const { runs } of this.#gaps) bytes += runs?.bytes ?? 0
    const active = this.#active
    return active?.gaps === undefined ? bytes : bytes + gapBytesLeft(active)
  }

  /** From now on some records have files of their own. */
  expectLone(): void {
    this.#hasLone = true
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
    this.sealCurrent()
    invariant(this.#current === undefined, 'the old file is written before a new one takes records')
    while (this.#isFarBehind) {
      void this.#startSealing()
      await this.#sealing[0]?.done
    }
    if (outputOf(logical) === undefined) await this.#preparing
    this.#host.checkWritable()
    if (outputOf(logical) === undefined) await this.#createNow(logical)
    this.#current = logical
    if (!this.isSealing) this.#synced.note(logical.fid, FILE_HEADER_LENGTH)
  }

  /** Makes a file that records wait for. @throws IoError */
  async #createNow(logical: LogicalFile): Promise<void> {
    // Names of several are made durable in the time that one takes.
    const hasOthers = this.#hasLone && this.#next.length === 0 && this.#mayPrepare
    const created = this.#create(hasOthers ? [logical, ...this.#planNext(MOST_PREPARED)] : [logical])
    this.#preparing = this.#preparing.then(() => created).catch(() => undefined)
    await created
  }

  /** Whether a new file has to wait for the sync of an old one. */
  get #isFarBehind(): boolean {
    const { standalone, syncBehind } = this.#options
    if (standalone || this.#sealing.length < 2) return standalone && this.isSealing
    return this.#sealingBytes > syncBehind
  }

  get #sealingBytes(): number {
    let sum = 0
    for (const { file } of this.#sealing) sum += file.end
    return sum
  }

  /** Seals the file that took writes and goes on to the next one, if that is there: nobody has to wait. Requires that nothing is active. */
  advance(): void {
    this.sealCurrent()
    if (this.#current !== undefined || this.#isFarBehind) return
    if (this.#hasReadyGaps || this.#next[0]?.physical.file !== undefined) this.#current = this.begin(0)
  }

  /** Makes the next files if the active one is near the end that it is to have at `limit` bytes. */
  prepareNext(active: LogicalFile, limit: number): void {
    const { prepareAhead } = this.#options
    if (!this.#mayPrepare || limit < prepareAhead * LEAST_PREPARED || (active.gaps !== undefined && gapBytesLeft(active) > prepareAhead)) return
    const count = this.#hasLone ? MOST_PREPARED : Math.max(1, Math.min(MOST_PREPARED, Math.floor(PREPARED_BYTES / limit)))
    const least = this.#hasLone ? LEAST_LEFT_LONE : LEAST_LEFT
    // A short file may be full before its successors are there: they are begun while there are still others.
    const isDue = count > 1 && this.#hasPrepared ? this.#next.length < least : this.#next.length === 0 && (active.gaps !== undefined || active.end >= limit - prepareAhead)
    if (!isDue) return
    const files = this.#planNext(count)
    // The host keeps a failure, and the next call meets it.
    this.#preparing = this.#preparing.then(() => this.#create(files)).catch((error: unknown) => void this.#host.fail(error))
  }

  /** Whether files may be made ahead: not in a log that stands alone, nor before gaps, which would be passed over, nor where numbers end. */
  get #mayPrepare(): boolean {
    const { standalone, numbers } = this.#options
    return !standalone && this.#gaps.length === 0 && numbers.left > MOST_PREPARED
  }

  /** The next files, to be made by the caller. */
  #planNext(count: number): LogicalFile[] {
    this.#hasPrepared = true
    const files = Array.from({ length: count }, () => this.#maker.plan(this.#takeNumber()))
    this.#next.push(...files)
    return files
  }

  /** Begins to seal the file that took writes, if it is no longer active and all its bytes are written. */
  sealCurrent(): void {
    const file = this.#current
    if (file === undefined || file === this.#active || file.written !== file.end) return
    this.#current = undefined
    this.#sealing.push({ file, done: undefined })
    this.sealIfDue()
  }

  /** Begins to sync full files that wait, if with what was written since they are many bytes. */
  sealIfDue(): void {
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
        // The host keeps a failure, and the next call meets it.
        one.done.catch(() => undefined)
      }
      twoBefore = before
      before = one.done
    }
    return before
  }

  /** Seals every file that is no longer active. Requires that they are written. @throws IoError, ReadOnlyError */
  async sealAll(): Promise<void> {
    this.sealCurrent()
    await this.#startSealing()
  }

  /** Makes everything written so far durable. @throws IoError, ReadOnlyError */
  async sync(): Promise<void> {
    await this.#synced.reach(this.writtenPosition(), () => this.#syncWritten(), () => this.#host.checkWritable())
  }

  /** Waits for what is under way and closes every handle; a file made ahead stays, empty. @throws the first error of a close */
  async close(): Promise<void> {
    await this.#preparing
    this.#isClosed = true
    this.giveUpGaps()
    await this.#sealing.at(-1)?.done?.catch(() => undefined)
    // After a failure also such as were left before anything of theirs was written.
    const left = [...this.#begun, ...this.#next]
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

  async #create(files: readonly LogicalFile[]): Promise<void> {
    this.#host.checkWritable()
    await this.#maker.create(files)
    for (const { fid } of files) this.#set.noteDurable(fid)
  }

  /** Two files are synced at once: they share a commit of the journal. Each is sealed after the one `before`. */
  async #seal(logical: LogicalFile, before: Promise<void> | undefined, twoBefore: Promise<void> | undefined): Promise<void> {
    const file = handleOf(logical)
    await twoBefore
    try {
      if (logical.gaps === undefined) await cutZeros(logical)
      await Promise.all([file.sync(), before])
      this.#host.checkWritable()
    } catch (error) {
      throw this.#host.fail(error)
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
      if (!this.#options.standalone && current.gaps === undefined && !this.#host.isWriting()) this.#zeros.beforeSync(current, this.#synced.position)
      // In parallel; what is durable here counts only with everything before it.
      await Promise.all([handleOf(current).sync(), sealed])
    } catch (error) {
      throw this.#host.fail(error)
    } finally {
      physical.busy--
    }
    this.#synced.note(current.fid, written)
  }
}

/** What a file that takes writes is written through, once it exists. */
export function outputOf({ gaps, runs, physical }: LogicalFile): File | undefined {
  return runs === undefined ? physical.file : gaps?.output
}

/** Whether a file in gaps may be begun with a record of `length` bytes. */
function isReady(file: LogicalFile, length: number): boolean {
  return file.gaps !== undefined && file.runs !== undefined && file.runs.longest >= length && isUnread(file, file.gaps)
}

function gapBytesLeft({ runs, end }: LogicalFile): number {
  return runs === undefined ? 0 : runs.end - end
}

/** The open handle of a file that takes writes. */
export function handleOf(logical: LogicalFile): File {
  const file = outputOf(logical)
  invariant(file !== undefined, 'the file that is written is open')
  return file
}
