/**
 * The write side: records are staged in memory, handed to the operating system in groups, synced on demand.
 *
 * - Where a record goes, and when a file is left for another one, is decided in `rotation.ts`; how one file follows another is in `write-files.ts`.
 * - Asynchronous work runs one job at a time (`write-jobs.ts`); `stage` may go on meanwhile.
 * - Law 9: the first failure of a write, sync or create poisons the writer in the same turn (`write-failure.ts`).
 *
 * Recovery is not here: a writer never appends to a file that it did not create.
 */
import { crc32cRange, invariant, type ValuePointer } from '@wk/codec'
import { writeFully, writeFullySync, type Runtime } from '@wk/fs'
import { AppendedRecords } from './appended.js'
import { DirectValues, isWrittenInPlace } from './direct-values.js'
import { handleOf, outputOf, type LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH, MAX_FILE_END, META_LZ4, RECORD_CRC_LENGTH } from './format.js'
import type { GapWriter } from './gap-files.js'
import { PieceWriter } from './gap-pieces.js'
import { compressValue } from './lz4.js'
import { recordLength, writeHead, writeRecord, writeU32BE } from './record.js'
import { Rotation, type RotationOptions } from './rotation.js'
import { CHUNK_SIZE, Staging, type StagedPlace } from './staging.js'
import type { LogPosition } from './sync-tracker.js'
import type { StagedSource } from './vlog-reader.js'
import type { VlogSet } from './vlog-set.js'
import { WriteFailure, type WriteFailureOptions } from './write-failure.js'
import { WriteFiles, type WriteFilesOptions } from './write-files.js'
import { WriteJobs } from './write-jobs.js'

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

export interface WriterOptions extends RotationOptions, WriteFailureOptions, WriteFilesOptions {
  /** Values are stored compressed where it pays. */
  compress: boolean
  runtime: Runtime
}

export class VlogWriter implements StagedSource {
  readonly #set: VlogSet
  readonly #options: WriterOptions
  readonly #staging = new Staging()
  readonly #compress: boolean
  readonly #pieces: PieceWriter
  readonly appended: AppendedRecords
  readonly #failure: WriteFailure
  readonly #jobs: WriteJobs
  readonly #files: WriteFiles
  readonly #rotation: Rotation
  readonly #direct: DirectValues

  constructor(set: VlogSet, options: WriterOptions) {
    this.#set = set
    this.#options = options
    this.#compress = options.compress
    this.#direct = new DirectValues(options.runtime)
    this.#pieces = new PieceWriter(options.runtime)
    this.appended = new AppendedRecords(this.#pieces)
    this.#failure = new WriteFailure(this.#staging, options)
    this.#jobs = new WriteJobs(this.#failure)
    this.#files = new WriteFiles(set, options, this.#failure, this.#jobs)
    this.#rotation = new Rotation(this.#files, this.appended, options)
  }

  /** What poisoned the writer. */
  get failure(): unknown {
    return this.#failure.cause
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
    this.#failure.checkWritable()
  }

  /** Poisons the writer for a failure elsewhere in the log's own files. */
  poison(error: unknown): void {
    this.#failure.tell(error)
  }

  /** Poisons the writer for a failure of its owner. */
  abandon(error: unknown): void {
    this.#failure.abandon(error)
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
    if (this.#failure.cause !== undefined || this.#options.readOnly) this.checkWritable()
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
    if (this.#jobs.isBusy) return false
    const files = this.#files
    if (this.#rotation.keepsApart(length)) {
      // Among gaps the first that fits is to be found.
      if (files.gapBytes > 0) return false
      files.leaveActive()
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
    const file = this.#rotation.fileFor(length)
    const chunk = this.#staging.reserve(file.fid, file.end, length)
    writeRecord(chunk.bytes, chunk.length, key, version, meta, userMeta, expiresAt, value, file.cipher, file.end)
    this.#staging.filled(chunk, length)
    out.fid = file.fid
    out.offset = file.end
    out.len = length
    file.end += length
    this.#rotation.note(file, length)
  }

  /**
   * Begins a group of `short` bytes with values below {@link DIRECT_FROM}, and `long` with others. Tells whether
   * {@link putSync} may take it: the file must exist with nothing on its way to it, and it must not be too much for the event loop.
   */
  beginGroup(short: number, long: number): boolean {
    this.#staging.expect(short)
    const current = this.#files.current
    if (current === undefined || current.gaps !== undefined || current !== this.#files.active || this.#jobs.isBusy || this.#staging.bytes > 0) return false
    return short <= SYNC_WRITE_LIMIT && short + long <= DIRECT_WRITE_LIMIT && this.#rotation.takesTogether(current, short + long)
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
    this.#rotation.note(file, length)
    // Nothing counts as written that is not a whole record: marks of what is durable are ends of records.
    this.#flushChunks(file, false, offset)
    let sum: number
    try {
      sum = this.#direct.write(handleOf(file), value, offset + headLength, seed)
    } catch (error) {
      throw this.#failure.note(error)
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
    else this.#files.wrote(this.#rotation.limit)
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
      throw this.#failure.note(error)
    }
    return true
  }

  /**
   * From now on files end at `bytes` as well, if that is less than their size; full ones wait for `waiting` bytes before they are sealed; records of `alone` bytes
   * get files of their own, for which whoever writes them waits.
   */
  limitFiles(bytes: number, waiting: number, alone: number): void {
    this.#rotation.limitFiles(bytes, alone)
    this.#files.sealAfter(waiting)
  }

  /** Ends a group: here a file that has passed its limits is left for a new one, and any for gaps. */
  endGroup(): void {
    if (!this.#rotation.isDue) return
    this.#files.leaveActive()
    // Otherwise whoever writes what is staged goes on.
    if (this.#staging.first === undefined && !this.#jobs.isBusy) this.#files.advance()
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
    if (this.#jobs.isBusy || current === undefined || outputOf(current) === undefined || staging.bytes > SYNC_WRITE_LIMIT) return false
    if (first.fid !== current.fid || staging.chunks[staging.chunks.length - 1]?.fid !== current.fid) return false
    if (current.gaps !== undefined && this.#pieces.isCold) return false
    return this.flushSync(true)
  }

  /** {@link writeStagedSync} through the thread pool; creates and rotates files as needed. Covers what was staged before its turn came. */
  async writeStaged(): Promise<void> {
    await this.#jobs.run(() => this.#writeAll())
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
    if (!this.#options.standalone || (this.#files.active?.end ?? 0) > FILE_HEADER_LENGTH) this.#files.leaveActive()
    await this.#jobs.run(async () => {
      await this.#writeAll()
      await this.#files.sealAll()
    })
  }

  /** Makes the file that takes the next record exist, so that the one with the highest number so far may go (law 11). */
  async createSuccessor(): Promise<void> {
    await this.#jobs.run(async () => {
      await this.#writeAll()
      // What came meanwhile may have filled its file. Whoever writes it makes the next one, and a sweep follows.
      if (this.#staging.first !== undefined) return
      const files = this.#files
      if (files.active === undefined) files.skipNumbers()
      // Nothing may come between: a file that is begun and left again without a record would never be made.
      const next = files.active ?? files.begin(0)
      if (files.current !== next) await files.goOnTo(next)
    })
  }

  /** Writes, syncs and lets go of the files, unless poisoned. Always ends with every handle closed. */
  async close(): Promise<void> {
    try {
      if (this.#failure.cause === undefined && !this.#options.readOnly) await this.seal()
      else await this.#jobs.settled()
    } finally {
      await this.#files.close()
    }
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
    this.#files.wrote(this.#rotation.limit)
  }

  #noteWritten(logical: LogicalFile, end: number): void {
    logical.written = end
    if (logical.runs === undefined) logical.physical.size = end
  }
}
