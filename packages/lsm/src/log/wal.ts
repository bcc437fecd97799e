/**
 * The write-ahead logs that are alive, one per memtable: groups go to them strictly in order.
 *
 * A log file is made when the first frame for its memtable is written; but while one fills that is no longer small its successor is made
 * already, so that no writer waits for a name to become durable. A log whose memtable is sealed is synced in the
 * background once its last frame is written, so that the promise in later frames moves on. The first failure of a
 * write or sync is reported in the same turn and ends all writing.
 *
 * The file of a memtable that is in tables goes once another log has a frame, or the tree is closed: beside nothing but an empty log, a table whose edit was
 * cut off the manifest would look like one whose log a crash has emptied.
 *
 * It leaves to others: when a memtable is full, when its log is not needed any more.
 */
import { IoError, ReadOnlyError, invariant, isOutOfResources } from '@wk/codec'
import type { WkError } from '@wk/codec'
import type { FileSystem } from '@wk/fs'
import type { Memtable } from '@wk/memtable'
import { asWkError } from '../failure.js'
import type { DependencyPosition } from '../options.js'
import { OPERATIONS_START } from '../write-group.js'
import type { StagedFrame, WalGroup } from '../write-group.js'
import type { WalFramePrefix } from './format.js'
import { LogWriter } from './log-writer.js'

/** A memtable and the log that holds the same operations. */
export class LoggedMemtable {
  readonly memtable: Memtable
  /** Absent until its first frame is written, and where there is no WAL. */
  log: LogWriter | undefined
  /** Frames staged and not yet written. */
  pendingFrames = 0
  /** End of the last frame of the log that holds more than deferred operations. */
  requiredEnd = 0
  /** Where the value log ended before the first operation was staged. */
  dependencyStart: DependencyPosition | undefined

  constructor(memtable: Memtable) {
    this.memtable = memtable
  }

  /** Whether nothing will be added and everything that was is in the log. */
  get isComplete(): boolean {
    return this.memtable.sealed && this.pendingFrames === 0
  }
}

export interface WriteAheadLogOptions {
  fs: FileSystem
  dir: string
  /** False: groups are only counted as written. */
  logged: boolean
  /** A file number that was never used. */
  allocateNumber: () => Promise<number>
  /** Called once, in the turn of the first failure; `firstSequence`: of the first operation that may be lost. */
  onFailure: (error: WkError, firstSequence: number | undefined) => void
  /** Called when the last frame for a sealed memtable was written. */
  onComplete: (target: LoggedMemtable) => void
  /** Called for a file that may go. */
  onObsolete: (number: number) => void
}

/**
 * Bytes of deferred operations that may be without a sync although something after them is durable: what a recovery then finds
 * in the value log only.
 */
const DEFERRED_UNSYNCED = 256 * 1024

/** Bytes up to which a group is written on the calling thread: beyond, the event loop would feel the copy. */
export const SYNC_WRITE_LIMIT = 512 * 1024

/** Bytes of a log from which on its successor is made: databases in which little happens have but one. */
export const PREPARED_FROM = 32 * 1024

/** A log for the next memtable. */
interface Spare {
  /** Absent until it is there. */
  log: LogWriter | undefined
  /** Ends, always well, when it is, or has failed. */
  made: Promise<void>
}

export class WriteAheadLog {
  readonly #options: WriteAheadLogOptions
  /** Memtables with a log, oldest first. */
  readonly #live: LoggedMemtable[] = []
  #spare: Spare | undefined
  /** There was no descriptor, or no room, for one: whoever needs it makes it. */
  #isSpareRefused = false
  /** File of a memtable that is in tables, as long as no other log has a frame. */
  #kept: number | undefined
  #writing = false
  #writtenSequence = 0
  #failure: WkError | undefined

  constructor(options: WriteAheadLogOptions) {
    this.#options = options
  }

  /** Sequence number of the last operation that is with the operating system; 0 before the first. */
  get writtenSequence(): number {
    return this.#writtenSequence
  }

  /** Bytes in all live logs. */
  get bytes(): number {
    return this.#live.reduce((sum, { log }) => sum + (log?.end ?? 0), 0)
  }

  /**
   * Writes a group on the calling thread, or does nothing and returns false if that would block: a log has to be made,
   * or the group is large. Requires that no write is under way.
   */
  writeGroupSync(group: WalGroup, dependency: DependencyPosition): boolean {
    this.#begin()
    if (this.#options.logged && (group.bytes > SYNC_WRITE_LIMIT || !this.#hasLogsFor(group))) return false
    try {
      for (const frame of group.frames) {
        // Only in its turn: what is promised in frames before is nothing of it.
        if (this.#options.logged && frame.target.log === undefined) this.#takeSpare(frame.target)
        frame.target.log?.appendSync(this.#prefix(frame, dependency), frame.bytes, OPERATIONS_START, frame.end)
        this.#written(frame)
      }
    } catch (error) {
      throw this.#fail(error, group.firstSequence)
    }
    return true
  }

  /** Writes a group, making log files where they are missing. Requires that no write is under way. */
  async writeGroup(group: WalGroup, dependency: DependencyPosition): Promise<void> {
    this.#begin()
    this.#writing = true
    try {
      for (const frame of group.frames) {
        const log = await this.#logOf(frame.target)
        await log?.append(this.#prefix(frame, dependency), frame.bytes, OPERATIONS_START, frame.end)
        this.#written(frame)
      }
    } catch (error) {
      throw this.#fail(error, group.firstSequence)
    } finally {
      this.#writing = false
    }
  }

  /**
   * Makes everything durable that was written before the call, in every live log. Frames of nothing but deferred operations
   * do not need it while nothing else is behind the last sync: the value log tells what they say.
   */
  async sync(): Promise<void> {
    this.#check()
    if (!this.#live.some(({ log, requiredEnd }) => log !== undefined && (log.syncedEnd < requiredEnd || log.end - log.syncedEnd > DEFERRED_UNSYNCED))) return
    // A log that is being made holds nothing yet.
    const logs = this.#live.map(({ log }) => log).filter((log) => log !== undefined && !log.isSynced)
    try {
      await Promise.all(logs.map((log) => log?.sync()))
    } catch (error) {
      throw this.#fail(error, undefined)
    }
  }

  /** Up to where the logs are durable: this file up to `offset`, every lower live one wholly. */
  durablePosition(): { file: number; offset: number } {
    let position = { file: 0, offset: 0 }
    for (const { log } of this.#live) {
      if (log === undefined) continue
      position = { file: log.number, offset: log.syncedEnd }
      if (!log.isSynced) break
    }
    return position
  }

  /** Lets go of the log of a memtable that is in durable tables now. */
  async retire({ log }: LoggedMemtable): Promise<void> {
    const at = this.#live.findIndex((one) => one.log === log)
    if (at >= 0) this.#live.splice(at, 1)
    if (log === undefined) return
    await log.retire()
    if (this.#spare !== undefined && this.#live.length === 0) this.#kept = log.number
    else this.#options.onObsolete(log.number)
  }

  /** Gives up the log that was made ahead, and the one that it kept. Requires that nothing is written any more. */
  async dropSpare(): Promise<void> {
    const log = await this.#closeSpare()
    if (log !== undefined) this.#options.onObsolete(log.number)
    this.#dropKept()
  }

  #dropKept(): void {
    if (this.#kept !== undefined) this.#options.onObsolete(this.#kept)
    this.#kept = undefined
  }

  async #closeSpare(): Promise<LogWriter | undefined> {
    const spare = this.#spare
    await spare?.made
    this.#spare = undefined
    await spare?.log?.close()
    return spare?.log
  }

  /** Closes the files; syncs nothing. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([...this.#live.splice(0).map(({ log }) => log?.close()), this.#closeSpare()])
  }

  async #logOf(target: LoggedMemtable): Promise<LogWriter | undefined> {
    if (!this.#options.logged || target.log !== undefined) return target.log
    await this.#spare?.made
    this.#check()
    if (!this.#takeSpare(target)) this.#startLog(target, await this.#create())
    return target.log
  }

  async #create(): Promise<LogWriter> {
    return LogWriter.create(this.#options.fs, this.#options.dir, await this.#options.allocateNumber())
  }

  /** Whether every memtable of the group has a log, but for one that the log made ahead is for. */
  #hasLogsFor({ frames }: WalGroup): boolean {
    let without: LoggedMemtable | undefined
    for (const { target } of frames) {
      if (target.log !== undefined || target === without) continue
      if (without !== undefined || this.#spare?.log === undefined) return false
      without = target
    }
    return true
  }

  /** Makes the next log beside everything else. */
  #prepare(): void {
    const spare: Spare = { log: undefined, made: Promise.resolve() }
    this.#spare = spare
    spare.made = this.#create().then(
      (log) => void (spare.log = log),
      (error: unknown) => {
        if (!isRefused(error)) return void this.#fail(error, undefined)
        this.#isSpareRefused = true
        this.#spare = undefined
      },
    )
  }

  /** Begins the log that was made ahead, if it is there. */
  #takeSpare(target: LoggedMemtable): boolean {
    const log = this.#spare?.log
    if (log === undefined) return false
    this.#spare = undefined
    this.#startLog(target, log)
    return true
  }

  #startLog(target: LoggedMemtable, log: LogWriter): void {
    const before = this.#live.at(-1)?.log
    invariant(before === undefined || before.number < log.number, 'log numbers grow')
    target.log = log
    this.#isSpareRefused = false
    this.#live.push(target)
  }

  #prefix(frame: StagedFrame, dependency: DependencyPosition): WalFramePrefix {
    const { file, offset } = this.durablePosition()
    return {
      firstSequence: frame.firstSequence,
      count: frame.count,
      walFile: file,
      walOffset: offset,
      dependencyFid: dependency.fid,
      dependencyOffset: dependency.offset,
    }
  }

  #written(frame: StagedFrame): void {
    const { target } = frame
    target.pendingFrames--
    if (!frame.isDeferred) target.requiredEnd = target.log?.end ?? 0
    this.#writtenSequence = frame.firstSequence + frame.count - 1
    if (this.#kept !== undefined) this.#dropKept()
    if (this.#spare === undefined && !this.#isSpareRefused && target.log !== undefined && target.log.end >= PREPARED_FROM) this.#prepare()
    this.completeIfDone(target)
  }

  /** To be called when a memtable is sealed: it may be complete at once. */
  completeIfDone(target: LoggedMemtable): void {
    if (!target.isComplete) return
    // The log is final: its sync is on nobody's way, but until it is durable no later frame can promise anything.
    target.log?.sync().catch((error: unknown) => this.#fail(error, undefined))
    this.#options.onComplete(target)
  }

  /** Ends all writing after a failure elsewhere. */
  stop(error: WkError): void {
    this.#failure ??= error
  }

  #begin(): void {
    this.#check()
    invariant(!this.#writing, 'groups are written one at a time')
  }

  #check(): void {
    if (this.#failure !== undefined) throw new ReadOnlyError('the write-ahead log failed before', { cause: this.#failure })
  }

  #fail(error: unknown, firstSequence: number | undefined): WkError {
    const failure = asWkError(error)
    if (this.#failure === undefined) {
      this.#failure = failure
      this.#options.onFailure(failure, firstSequence)
    }
    return failure
  }
}

/** Whether a file was not made for want of descriptors or room: nothing was written to it, nothing has been lost. */
function isRefused(error: unknown): boolean {
  return error instanceof IoError && (error.operation === 'open' || error.operation === 'create') && isOutOfResources(error)
}
