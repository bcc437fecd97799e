/**
 * The files that no record has a place in yet: those that are made ahead, those in gaps of older ones, and new ones when there are none.
 *
 * - For a host with durable marks the next files are made while the last one fills, so that nobody waits for a name to become durable. In a log that
 *   stands alone none are.
 * - Files in gaps (`gap-files.ts`) are taken before a new one is. Numbers ascend all the same: what is passed over is sealed as it is,
 *   and files made ahead that bear a lower number go.
 *
 * A file that was taken is its taker's (`write-files.ts`), who also says when the next ones are due.
 */
import type { File } from '@wk/fs'
import { FileMaker, type FileMakerOptions } from './file-maker.js'
import type { LogicalFile } from './file-map.js'
import type { FileNumbers } from './file-numbers.js'
import { gapBytesLeft, isUnread, type GapPlace } from './gap-files.js'
import type { VlogSet } from './vlog-set.js'
import type { WriteFailure } from './write-failure.js'

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

export interface FilesAheadOptions extends FileMakerOptions {
  /** Nobody but the log says what of it is durable: a file begins after the one before is durable. */
  standalone: boolean
  /** Bytes before the end of a file at which the next one is made. */
  prepareAhead: number
  /** Where file numbers come from. */
  numbers: FileNumbers
}

export class FilesAhead {
  readonly #set: VlogSet
  readonly #options: FilesAheadOptions
  readonly #failure: WriteFailure
  readonly #maker: FileMaker
  /** Made ahead, ascending. */
  readonly #next: LogicalFile[] = []
  /** In gaps of older files, ascending. */
  #gaps: LogicalFile[] = []
  /** Numbers for new files, below those of files in gaps, ascending. */
  #kept: number[] = []
  #isClosed = false
  /** Files were made ahead: the log is not one of those that stay small. */
  #hasPrepared = false
  /** Some records have files of their own. */
  #hasLone = false
  #preparing: Promise<void> = Promise.resolve()

  constructor(set: VlogSet, options: FilesAheadOptions, failure: WriteFailure) {
    this.#set = set
    this.#options = options
    this.#failure = failure
    this.#maker = new FileMaker(set, options)
  }

  /** Ends, always well, when all that are being made, those included that were taken meanwhile, exist or have failed. */
  get preparing(): Promise<void> {
    return this.#preparing
  }

  /** Takes the file for a record of `length` bytes, and adds it to the log. A new one need not exist yet. @throws IoError if one in gaps cannot be opened */
  take(length: number): LogicalFile {
    const file = this.#gaps.find((one) => isReady(one, length)) ?? this.#plainFile()
    this.#passOver(file.fid)
    if (file.gaps !== undefined) file.gaps.output = this.#openOutput(file)
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
    for (const file of this.#gaps) if (file.fid < fid) sealUnused(file)
    this.#gaps = this.#gaps.filter((file) => file.fid > fid)
    this.#kept = this.#kept.filter((number) => number > fid)
    const passed = this.#next.filter((file) => file.fid < fid)
    if (passed.length === 0) return
    this.#next.splice(0, passed.length)
    // They may be about to be made. A failure is kept by the writer.
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

  /** Only now: many files may be waiting with their gaps. @throws IoError */
  #openOutput({ physical: { path } }: LogicalFile): File {
    try {
      return this.#set.fs.openSync(path, 'update')
    } catch (error) {
      throw this.#failure.tell(error)
    }
  }

  /** Whether {@link take} gives one that exists, so that nobody has to wait. */
  get isThere(): boolean {
    return this.hasReadyGaps || this.#next[0]?.physical.file !== undefined
  }

  /** Whether there are files in gaps that may be taken now. */
  get hasReadyGaps(): boolean {
    return this.#gaps.some((file) => isReady(file, 0))
  }

  /** Bytes of their gaps. */
  get gapBytes(): number {
    let bytes = 0
    for (const { runs } of this.#gaps) bytes += runs?.bytes ?? 0
    return bytes
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

  /** Files in gaps that records may go to. Those that come too late, because file `last` was taken, are sealed. */
  offer(files: readonly LogicalFile[], last: number): void {
    for (const file of files) {
      if (file.fid > last && !this.#isClosed) this.#gaps.push(file)
      else sealUnused(file)
    }
    this.#gaps.sort((a, b) => a.fid - b.fid)
  }

  /** Seals the files in gaps. */
  giveUpGaps(): void {
    for (const file of this.#gaps.splice(0)) sealUnused(file)
  }

  /** The next file that is taken bears a higher number than any so far, those included that were made ahead or kept. */
  skipNumbers(): void {
    this.#passOver(this.#options.numbers.next)
  }

  /** From now on some records have files of their own. */
  expectLone(): void {
    this.#hasLone = true
  }

  /** Makes the next files if the active one is near the end that it is to have at `limit` bytes. */
  prepare(active: LogicalFile, limit: number): void {
    const { prepareAhead } = this.#options
    if (!this.#mayPrepare || limit < prepareAhead * LEAST_PREPARED || (active.gaps !== undefined && gapBytesLeft(active) > prepareAhead)) return
    const count = this.#hasLone ? MOST_PREPARED : Math.max(1, Math.min(MOST_PREPARED, Math.floor(PREPARED_BYTES / limit)))
    const least = this.#hasLone ? LEAST_LEFT_LONE : LEAST_LEFT
    // A short file may be full before its successors are there: they are begun while there are still others.
    const isDue = count > 1 && this.#hasPrepared ? this.#next.length < least : this.#next.length === 0 && (active.gaps !== undefined || active.end >= limit - prepareAhead)
    if (!isDue) return
    const files = this.#planNext(count)
    // The writer keeps a failure, and the next call meets it.
    this.#preparing = this.#preparing.then(() => this.#create(files)).catch((error: unknown) => void this.#failure.tell(error))
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

  /** Makes a file that was taken, and that records wait for. Requires that it is none of those in {@link preparing}. @throws IoError */
  async make(logical: LogicalFile): Promise<void> {
    // Names of several are made durable in the time that one takes.
    const hasOthers = this.#hasLone && this.#next.length === 0 && this.#mayPrepare
    const created = this.#create(hasOthers ? [logical, ...this.#planNext(MOST_PREPARED)] : [logical])
    this.#preparing = this.#preparing.then(() => created).catch(() => undefined)
    await created
  }

  async #create(files: readonly LogicalFile[]): Promise<void> {
    this.#failure.checkWritable()
    await this.#maker.create(files)
    for (const { fid } of files) this.#set.noteDurable(fid)
  }

  /** Waits for those that are being made, and takes no more offers. Resolves with those made ahead, which stay, empty; their handles are the caller's. */
  async close(): Promise<readonly LogicalFile[]> {
    await this.#preparing
    this.#isClosed = true
    this.giveUpGaps()
    return this.#next
  }
}

/** Whether a file in gaps may be begun with a record of `length` bytes. */
function isReady(file: LogicalFile, length: number): boolean {
  return file.gaps !== undefined && file.runs !== undefined && file.runs.longest >= length && isUnread(file, file.gaps)
}

function sealUnused(file: LogicalFile): void {
  file.gaps = undefined
  file.sealed = true
}
