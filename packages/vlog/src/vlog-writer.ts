/**
 * The write side: records are staged in memory, handed to the operating system in groups, synced on demand.
 *
 * - Rotation is decided at the end of a group, after the bytes that pass `fileSize` or `maxEntries`, as Badger does; how
 *   one file follows another is in `write-files.ts`. A file in gaps of an older one is left when they are full. A record that is to have a
 *   file of its own begins one, and the next record another.
 * - Asynchronous work runs one job at a time; `stage` may go on meanwhile.
 * - Law 9: the first failure of a write, sync or create poisons the writer in the same turn. Staged bytes are
 *   forgotten, nothing is ever written again, later calls fail with `ReadOnlyError`.
 *
 * Recovery is not here: a writer never appends to a file that it did not create.
 */
import { ReadOnlyError, crc32cRange, invariant, type ValuePointer } from '@wk/codec'
import { writeFully, writeFullySync, type Runtime } from '@wk/fs'
import { AppendedRecords } from './appended.js'
import { DirectValues, isWrittenInPlace } from './direct-values.js'
import type { LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH, MAX_FILE_END, META_LZ4, RECORD_CRC_LENGTH } from './format.js'
import { GapCursor } from './gap-cursor.js'
import type { GapWriter } from './gap-files.js'
import { PieceWriter } from './gap-pieces.js'
import { compressValue } from './lz4.js'
import { LoneRecords } from './lone-records.js'
import { recordLength, writeHead, writeRecord, writeU32BE } from './record.js'
import { CHUNK_SIZE, Staging, type StagedPlace } from './staging.js'
import type { LogPosition } from './sync-tracker.js'
import type { StagedSource } from './vlog-reader.js'
import type { VlogSet } from './vlog-set.js'
import { WriteFiles, handleOf, outputOf, type WriteFilesOptions } from './write-files.js'

/**
 * Most bytes that {@link VlogWriter.writeStagedSync} writes, a group of 1 MiB of values with their headers: about half a
 * millisecond. Above, the thread pool takes the copy off the event loop.
 */
export const SYNC_WRITE_LIMIT = CHUNK_SIZE

/**
 * Values from this many bytes on are written from where they are. A shorter one is cheaper copied (50 microseconds a MiB) into one
 * write with its neighbours: many small writes cost the kernel up to twice the time of a large one.
 */
export const DIRECT_FROM = 1 << 17
/** Most bytes of a group that goes out synchronously, piece by piece: more would hold the event loop for longer than 20 milliseconds. A longer value goes out alone, where that is quick. */
export const DIRECT_WRITE_LIMIT = 8 << 20
/** Bytes of records for gaps that are written at the call: each has a write of its own in any case, and is still in the processor's cache. */
const FILL_AT_ONCE = 1 << 16
/**
 * Bytes that are written and not durable after which a sync begins in the background, on nobody's way: else whoever
 * syncs next, or writes after the file is full, waits for all of them (20 milliseconds for 16 MiB).
 */
const SYNC_AHEAD = 32 << 20
/** The same in the last part of a file, as long as {@link SYNC_AHEAD}: little is left to sync when it ends. */
const SYNC_AHEAD_NEAR_END = 4 << 20

export interface WriterOptions extends WriteFilesOptions {
  fileSize: number
  maxEntries: number
  readOnly: boolean
  /** Values are stored compressed where it pays. */
  compress: boolean
  runtime: Runtime
  /** See {@link ValueLogOptions.onFailure}. */
  onFailure: ((error: unknown) => void) | undefined
  /** What another writer of the same log has failed with: then this one writes nothing more either. Default: there is none. */
  failedBeside?: () => unknown
}

export class VlogWriter implements StagedSource {
  readonly #set: VlogSet
  readonly #options: WriterOptions
  readonly #staging = new Staging()
  readonly #compress: boolean
  readonly #pieces: PieceWriter
  readonly appended: AppendedRecords
  #failure: unknown
  /** Whether the owner was told of the failure, or told us. */
  #told = false
  readonly #files: WriteFiles
  /** In the active file, if that lies in gaps. */
  readonly #cursor = new GapCursor()
  #fileLimit = Infinity
  readonly #lone = new LoneRecords()
  readonly #direct: DirectValues
  #isSyncingAhead = false
  #jobs: Promise<unknown> = Promise.resolve()
  #jobCount = 0

  constructor(set: VlogSet, options: WriterOptions) {
    this.#set = set
    this.#options = options
    this.#compress = options.compress
    this.#direct = new DirectValues(options.runtime)
    this.#pieces = new PieceWriter(options.runtime)
    this.appended = new AppendedRecords(this.#pieces)
    this.#files = new WriteFiles(set, options, {
      checkWritable: () => this.checkWritable(),
      fail: (error) => this.#failAlone(error),
      isWriting: () => this.#jobCount > 0,
    })
  }

  /** What poisoned the writer. */
  get failure(): unknown {
    return this.#failure
  }

  get stagedBytes(): number {
    return this.#staging.bytes
  }

  /** Bytes of zeros behind records. */
  get zeroBytes(): number {
    return this.#files.zeroBytes
  }

  /** The files that records go to, for whoever offers some in gaps. */
  get files(): GapWriter {
    return this.#files
  }

  /** End of everything staged. */
  position(): LogPosition {
    return this.#files.position()
  }

  /** Everything before this is with the operating system. */
  writtenPosition(): LogPosition {
    return this.#files.writtenPosition()
  }

  /** Everything before this is durable, all lower files included. */
  syncedPosition(): LogPosition {
    return this.#files.syncedPosition()
  }

  find(fid: number, offset: number, length: number, out: StagedPlace): boolean {
    return this.#staging.find(fid, offset, length, out)
  }

  /** @throws ReadOnlyError if nothing may be written */
  checkWritable(): void {
    if (this.#options.readOnly) throw new ReadOnlyError('the value log was opened read-only')
    const failure = this.#failure ?? this.#options.failedBeside?.()
    if (failure !== undefined) throw new ReadOnlyError('the value log is read-only after a failure', { cause: failure })
  }

  /**
   * Encodes a record into memory and fills `out` with where it will lie; compresses its value where that is wanted and
   * pays. Readable at once. A long value is written now where that is possible, everything else is not yet with the operating
   * system. Requires valid arguments. @throws ReadOnlyError, IoError
   */
  stage(
    key: Uint8Array,
    version: number,
    meta: number,
    userMeta: number,
    expiresAt: number,
    value: Uint8Array,
    out: ValuePointer,
  ): void {
    if (this.#failure !== undefined || this.#options.readOnly) this.checkWritable()
    const packed = this.#compress ? compressValue(value) : undefined
    const stored = packed ?? value
    const storedMeta = packed === undefined ? meta : meta | META_LZ4
    if (stored.length < DIRECT_FROM || !this.#takesNow(stored, recordLength(key.length, stored.length, expiresAt))) {
      this.stageStored(key, version, storedMeta, userMeta, expiresAt, stored, out)
      if (this.#staging.bytes >= FILL_AT_ONCE && this.#files.active?.gaps !== undefined) this.writeStagedSync()
      return
    }
    this.putSync(key, version, storedMeta, userMeta, expiresAt, stored, out)
    // Found in its file from here on, for nobody finds half a record in memory.
    this.flushSync()
  }

  /** Whether a record of this value and length may be written at the call. To stage it would hold the event loop as long, and takes memory of its own. */
  #takesNow(value: Uint8Array, length: number): boolean {
    if (this.#jobCount > 0) return false
    const files = this.#files
    if (files.active !== undefined && this.#lone.keepsApart(files.active, length)) {
      // Among gaps the first that fits is to be found.
      if (files.gapBytes > 0) return false
      this.#leaveActive()
    }
    if (files.active === undefined && this.writeStagedSync()) files.advance()
    const { current } = files
    if (current === undefined || current !== files.active || current.gaps !== undefined || this.#staging.bytes > SYNC_WRITE_LIMIT) return false
    return current.end + length <= MAX_FILE_END && (length <= DIRECT_WRITE_LIMIT || (length <= this.#direct.most && isWrittenInPlace(value, current)))
  }

  /** {@link stage} of a value in its stored form; `meta` says whether it is compressed. Requires a writable log. */
  stageStored(
    key: Uint8Array,
    version: number,
    meta: number,
    userMeta: number,
    expiresAt: number,
    value: Uint8Array,
    out: ValuePointer,
  ): void {
    const length = recordLength(key.length, value.length, expiresAt)
    const file = this.#fileFor(length)
    const chunk = this.#staging.reserve(file.fid, file.end, length)
    writeRecord(chunk.bytes, chunk.length, key, version, meta, userMeta, expiresAt, value, file.cipher, file.end)
    this.#staging.filled(chunk, length)
    out.fid = file.fid
    out.offset = file.end
    out.len = length
    file.end += length
    this.#appended(file, length)
  }

  /** The active file, its end where the next record of `length` bytes begins. */
  #fileFor(length: number): LogicalFile {
    let file = this.#files.active
    if (file !== undefined && this.#lone.keepsApart(file, length)) file = this.#beginFile(length)
    while (file === undefined || !this.#place(file, length)) file = this.#beginFile(length)
    return file
  }

  /** Whether the active file takes a record of `length` bytes; in gaps its end moves to where. */
  #place(file: LogicalFile, length: number): boolean {
    if (file.gaps === undefined || file.runs === undefined) return file.end + length <= MAX_FILE_END
    const offset = this.#cursor.place(file.fid, file.runs, file.end, length)
    if (offset === -1) return false
    file.end = offset
    return true
  }

  #appended(file: LogicalFile, length: number): void {
    const isLone = this.#lone.note(file, length)
    if (isLone) this.#files.expectLone()
    this.appended.add(file, length, isLone)
  }

  /**
   * Begins a group of `short` bytes with values below {@link DIRECT_FROM}, and `long` with others. Tells whether
   * {@link putSync} may take it: the file must exist with nothing on its way to it, and it must not be too much for the event loop.
   */
  beginGroup(short: number, long: number): boolean {
    this.#staging.expect(short)
    const current = this.#files.current
    if (current === undefined || current.gaps !== undefined || current !== this.#files.active || this.#lone.isIn(current) || this.#jobCount > 0 || this.#staging.bytes > 0) return false
    return short <= SYNC_WRITE_LIMIT && short + long <= DIRECT_WRITE_LIMIT && short + long < this.#lone.from && current.end + short + long <= MAX_FILE_END
  }

  /**
   * Writes a record now, or stages it beside its neighbours; {@link flushSync} ends the group. A long plain value goes
   * from the caller's memory to the operating system without a copy here. The value is in its stored form. Requires
   * {@link beginGroup}, and no other call in between. @throws IoError
   */
  putSync(key: Uint8Array, version: number, meta: number, userMeta: number, expiresAt: number, value: Uint8Array, out: ValuePointer): void {
    const file = this.#files.active
    if (file === undefined || value.length < DIRECT_FROM || !isWrittenInPlace(value, file)) {
      this.stageStored(key, version, meta, userMeta, expiresAt, value, out)
      return
    }
    const length = recordLength(key.length, value.length, expiresAt)
    const offset = file.end
    const headLength = length - value.length - RECORD_CRC_LENGTH
    const chunk = this.#staging.reserve(file.fid, offset, headLength)
    const headEnd = writeHead(chunk.bytes, chunk.length, key, version, meta, userMeta, expiresAt, value.length)
    const seed = crc32cRange(chunk.bytes, headEnd - headLength, headEnd)
    this.#staging.filled(chunk, headLength)
    file.end = offset + length
    this.#appended(file, length)
    // Nothing counts as written that is not a whole record: marks of what is durable are ends of records.
    this.#flushChunks(file, false, offset)
    let sum: number
    try {
      sum = this.#direct.write(handleOf(file), value, offset + headLength, seed)
    } catch (error) {
      throw this.#fail(error)
    }
    const tail = this.#staging.reserve(file.fid, file.end - RECORD_CRC_LENGTH, RECORD_CRC_LENGTH)
    writeU32BE(tail.bytes, tail.length, sum)
    this.#staging.filled(tail, RECORD_CRC_LENGTH)
    out.fid = file.fid
    out.offset = offset
    out.len = length
  }

  /** Writes what {@link putSync} staged. False, with the rest still staged, if it may stop and blocks of gaps have to be read first. @throws IoError */
  flushSync(mayStop = false): boolean {
    const current = this.#files.current
    if (current === undefined) return true
    if (!this.#flushChunks(current, mayStop)) return false
    if (this.#files.active === undefined) this.#files.advance()
    else this.#wrote(current)
    return true
  }

  /** Whole records end at `end`, if that comes before the end of what is staged. */
  #flushChunks(current: LogicalFile, mayStop: boolean, end = Infinity): boolean {
    const file = handleOf(current)
    const staging = this.#staging
    try {
      for (let chunk = staging.first; chunk !== undefined; chunk = staging.first) {
        invariant(chunk.fid === current.fid, 'what is staged belongs to the file that takes writes')
        if (current.runs === undefined) writeFullySync(file, chunk.bytes, 0, chunk.length, chunk.offset)
        else if (!this.#pieces.writeSync(file, chunk, current.runs, mayStop)) return false
        this.#noteWritten(current, Math.min(chunk.end, end))
        staging.release()
      }
    } catch (error) {
      throw this.#fail(error)
    }
    return true
  }

  /**
   * From now on files end at `bytes` as well, if that is less than their size; full ones wait for `waiting` bytes before they are sealed; records of `alone` bytes
   * get files of their own, for which whoever writes them waits.
   */
  limitFiles(bytes: number, waiting: number, alone: number): void {
    this.#fileLimit = bytes
    this.#lone.from = alone
    this.#files.sealAfter(waiting)
  }

  /** Ends a group: here a file that has passed its limits is left for a new one, and any for gaps. */
  endGroup(): void {
    const file = this.#files.active
    if (file === undefined || file.gaps !== undefined) return
    const entries = this.appended.countIn(file)
    if (!this.#lone.isIn(file) && file.end <= this.#limit && entries <= this.#options.maxEntries && !this.#files.isFillingDue) return
    this.#leaveActive()
    // Otherwise whoever writes what is staged goes on.
    if (this.#staging.first === undefined && this.#jobCount === 0) this.#files.advance()
  }

  get #limit(): number {
    return Math.min(this.#options.fileSize, this.#fileLimit)
  }

  /**
   * Hands all staged bytes to the operating system with synchronous writes. False, with what is left still staged, if that takes
   * a new file, is too much at once, would hold the event loop, or a job is under way. @throws IoError, ReadOnlyError
   */
  writeStagedSync(): boolean {
    this.checkWritable()
    const staging = this.#staging
    const first = staging.first
    if (first === undefined) return true
    const current = this.#files.current
    if (this.#jobCount > 0 || current === undefined || outputOf(current) === undefined || staging.bytes > SYNC_WRITE_LIMIT) return false
    if (first.fid !== current.fid || staging.chunks[staging.chunks.length - 1]?.fid !== current.fid) return false
    if (current.gaps !== undefined && this.#pieces.isCold) return false
    return this.flushSync(true)
  }

  /** {@link writeStagedSync} through the thread pool; creates and rotates files as needed. Covers what was staged before its turn came. */
  async writeStaged(): Promise<void> {
    await this.#run(() => this.#writeAll())
  }

  /** Makes everything written so far durable. Bytes that are only staged are not covered. */
  async sync(): Promise<void> {
    this.checkWritable()
    await this.#files.sync()
  }

  /** Ends the active file: writes what is staged, syncs, seals. The next record goes to a new file. */
  async seal(): Promise<void> {
    this.checkWritable()
    // An empty file that took over the highest number waits for records: ended, it would be one more that holds nothing. A host with marks
    // may want to drop it.
    if (!this.#options.standalone || (this.#files.active?.end ?? 0) > FILE_HEADER_LENGTH) this.#leaveActive()
    await this.#run(async () => {
      await this.#writeAll()
      await this.#files.sealAll()
    })
  }

  /** Makes the file that takes the next record exist, so that the one with the highest number so far may go (law 11). */
  async createSuccessor(): Promise<void> {
    await this.#run(async () => {
      await this.#writeAll()
      // What came meanwhile may have filled its file. Whoever writes it makes the next one, and a sweep follows.
      if (this.#staging.first !== undefined) return
      const files = this.#files
      if (files.active === undefined) files.skipNumbers()
      // Nothing may come between: a file that is begun and left again without a record would never be made.
      const next = files.active ?? this.#beginFile(0)
      if (files.current !== next) await files.goOnTo(next)
    })
  }

  /** Writes, syncs and lets go of the files, unless poisoned. Always ends with every handle closed. */
  async close(): Promise<void> {
    try {
      if (this.#failure === undefined && !this.#options.readOnly) await this.seal()
      else await this.#jobs
    } finally {
      await this.#files.close()
    }
  }

  #beginFile(length: number): LogicalFile {
    this.#staging.detach()
    return this.#files.begin(length)
  }

  #leaveActive(): void {
    this.#files.leaveActive()
    this.#staging.detach()
  }

  async #writeAll(): Promise<void> {
    const staging = this.#staging
    staging.detach()
    for (let left = staging.chunks.length; left > 0; left--) {
      const chunk = staging.first
      invariant(chunk !== undefined, 'chunks leave one by one')
      const logical = this.#set.map.require(chunk.fid)
      if (this.#files.current !== logical) await this.#files.goOnTo(logical)
      if (logical.runs === undefined) await writeFully(handleOf(logical), chunk.bytes, 0, chunk.length, chunk.offset)
      else await this.#pieces.write(handleOf(logical), chunk, logical.runs, () => this.checkWritable())
      // A sync may have failed meanwhile: whoever waits for these bytes is to be rejected.
      this.checkWritable()
      this.#noteWritten(logical, chunk.end)
      staging.release()
    }
    if (this.#files.current !== undefined) this.#wrote(this.#files.current)
  }

  /** After a write through the thread pool: more may be staged. */
  #wrote(current: LogicalFile): void {
    if (current !== this.#files.active) {
      this.#files.sealCurrent()
      return
    }
    this.#files.sealIfDue()
    this.#syncAhead(current)
    this.#files.prepareNext(current, this.#limit)
  }

  #syncAhead({ fid, written }: LogicalFile): void {
    if (this.#files.isSealing) return
    const allowed = this.#options.standalone && written > this.#limit - SYNC_AHEAD ? SYNC_AHEAD_NEAR_END : SYNC_AHEAD
    if (this.#isSyncingAhead || !this.#files.isBehind(fid, written - allowed)) return
    this.#isSyncingAhead = true
    // A failure is kept by the writer and met by the next call.
    void this.sync().catch(() => undefined).finally(() => (this.#isSyncingAhead = false))
  }

  /** Runs jobs one after another. */
  async #run(job: () => Promise<void>): Promise<void> {
    this.checkWritable()
    const begin = async (): Promise<void> => {
      try {
        this.checkWritable()
        await job()
      } catch (error) {
        throw this.#failAlone(error)
      } finally {
        this.#jobCount--
      }
    }
    const run = this.#jobCount++ === 0 ? begin() : this.#jobs.then(begin)
    this.#jobs = run.catch(() => undefined)
    await run
  }

  /** Law 9, in the turn of the failure. */
  #fail(error: unknown): unknown {
    if (this.#failure === undefined && !(error instanceof ReadOnlyError)) {
      this.#failure = error
      this.#staging.drop()
    }
    return error
  }

  /** A failure that may have no caller, or one that looks away: whoever owns the log is told in the same turn. */
  #failAlone(error: unknown): unknown {
    this.#fail(error)
    if (this.#failure === undefined || this.#told) return error
    this.#told = true
    this.#options.onFailure?.(this.#failure)
    return error
  }

  /** Poisons the writer for a failure elsewhere in the log's own files. */
  poison(error: unknown): void {
    this.#failAlone(error)
  }

  /** Poisons the writer for a failure of its owner. */
  abandon(error: unknown): void {
    this.#told = true
    this.#fail(error)
  }

  #noteWritten(logical: LogicalFile, end: number): void {
    logical.written = end
    if (logical.runs === undefined) logical.physical.size = end
  }
}
