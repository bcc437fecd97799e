/**
 * The write side: records are staged in memory, handed to the operating system in groups, synced on demand, and files
 * are rotated.
 *
 * - Rotation is decided at the end of a group, after the bytes that pass `fileSize` or `maxEntries`, as Badger does.
 *   Order on disk: sync the old file, create the new one exclusively, write its header, sync it, sync the directory,
 *   only then records (CR2, CR5). So whatever is not in the newest file is durable.
 * - Asynchronous work runs one job at a time; `stage` may go on meanwhile.
 * - Law 9: the first failure of a write, sync or create poisons the writer in the same turn. Staged bytes are
 *   forgotten, nothing is ever written again, later calls fail with `ReadOnlyError`.
 *
 * Recovery is not here: a writer never appends to a file that it did not create.
 */
import { NotSupportedError, ReadOnlyError, crc32c, crc32cRange, invariant, type ValuePointer } from '@wk/codec'
import { writeFully, writeFullySync, type File } from '@wk/fs'
import type { LogicalFile } from './file-map.js'
import { BASE_IV_LENGTH, FILE_HEADER_LENGTH, MAX_FID, MAX_FILE_END, META_LZ4, RECORD_CRC_LENGTH, encodeFileHeader } from './format.js'
import { PhysicalFile } from './physical-file.js'
import type { KeyRegistry } from './key-registry.js'
import { compressValue } from './lz4.js'
import { recordLength, writeHead, writeRecord, writeU32BE } from './record.js'
import { CHUNK_SIZE, Staging, type StagedPlace } from './staging.js'
import { SyncTracker, type LogPosition } from './sync-tracker.js'
import type { StagedSource } from './vlog-reader.js'
import type { VlogSet } from './vlog-set.js'

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
/** Most bytes of a group that goes out synchronously with such values: to stage them would hold the event loop as long. */
const DIRECT_WRITE_LIMIT = 8 << 20
/**
 * Bytes that are written and not durable after which a sync begins in the background, on nobody's way: else whoever
 * syncs next, or writes after the file is full, waits for all of them (20 milliseconds for 16 MiB).
 */
const SYNC_AHEAD = 32 << 20
/** The same in the last part of a file, as long as {@link SYNC_AHEAD}: little is left to sync when it ends. */
const SYNC_AHEAD_NEAR_END = 4 << 20

export interface WriterOptions {
  fileSize: number
  maxEntries: number
  readOnly: boolean
  randomBytes: (length: number) => Uint8Array
  /** Values are stored compressed where it pays. */
  compress: boolean
  /** Data keys for new files. */
  registry: KeyRegistry
  /** Seconds after which a new file gets a new data key. */
  encryptionKeyRotationDuration: number
  /** Unix time, in milliseconds. */
  now: () => number
  /** The first file number to give out. */
  nextNumber: number
  /** End of what is there, all of it durable. */
  end: LogPosition
  /** See {@link ValueLogOptions.onFailure}. */
  onFailure: ((error: unknown) => void) | undefined
}

export class VlogWriter implements StagedSource {
  readonly #set: VlogSet
  readonly #options: WriterOptions
  readonly #staging = new Staging()
  readonly #compress: boolean
  #nextNumber: number
  #failure: unknown
  /** Whether the owner was told of the failure, or told us. */
  #told = false
  /** Takes the next record; undefined = a new file has to be begun. */
  #active: LogicalFile | undefined
  #activeEntries = 0
  #fileLimit = Infinity
  /** The newest file that exists, while it is not sealed. */
  #current: LogicalFile | undefined
  /** End of the newest file that is no longer active. */
  #last: LogPosition
  readonly #synced: SyncTracker
  #isSyncingAhead = false
  #jobs: Promise<unknown> = Promise.resolve()
  #jobCount = 0

  constructor(set: VlogSet, options: WriterOptions) {
    this.#set = set
    this.#options = options
    this.#compress = options.compress
    this.#nextNumber = options.nextNumber
    this.#last = options.end
    this.#synced = new SyncTracker(options.end)
  }

  /** What poisoned the writer. */
  get failure(): unknown {
    return this.#failure
  }

  get stagedBytes(): number {
    return this.#staging.bytes
  }

  get nextNumber(): number {
    return this.#nextNumber
  }

  /** The logical file that may still grow. */
  get activeFid(): number | undefined {
    return this.#active?.fid
  }

  /** End of everything staged. */
  position(): LogPosition {
    const active = this.#active
    return active === undefined ? { ...this.#last } : { fid: active.fid, offset: active.end }
  }

  /** Everything before this is durable, all lower files included. */
  syncedPosition(): LogPosition {
    return this.#synced.position
  }

  find(fid: number, offset: number, length: number, out: StagedPlace): boolean {
    return this.#staging.find(fid, offset, length, out)
  }

  /** @throws ReadOnlyError if nothing may be written */
  checkWritable(): void {
    if (this.#options.readOnly) throw new ReadOnlyError('the value log was opened read-only')
    if (this.#failure !== undefined) {
      throw new ReadOnlyError('the value log is read-only after a failure', { cause: this.#failure })
    }
  }

  /** Takes a file number. Numbers never come back (law 11). */
  takeNumber(): number {
    if (this.#nextNumber > MAX_FID) throw new NotSupportedError('the value log has used up its file numbers')
    return this.#nextNumber++
  }

  /**
   * Encodes a record into memory and fills `out` with where it will lie; compresses its value where that is wanted and
   * pays. Readable at once; not yet with the operating system. Requires valid arguments. @throws ReadOnlyError
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
    const stored = this.#compress ? compressValue(value) : undefined
    if (stored === undefined) this.stageStored(key, version, meta, userMeta, expiresAt, value, out)
    else this.stageStored(key, version, meta | META_LZ4, userMeta, expiresAt, stored, out)
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
    let file = this.#active
    if (file === undefined || file.end + length > MAX_FILE_END) file = this.#beginFile()
    const chunk = this.#staging.reserve(file.fid, file.end, length)
    writeRecord(chunk.bytes, chunk.length, key, version, meta, userMeta, expiresAt, value, file.cipher, file.end)
    this.#staging.filled(chunk, length)
    out.fid = file.fid
    out.offset = file.end
    out.len = length
    file.end += length
    this.#activeEntries++
  }

  /**
   * Begins a group of `short` bytes with values below {@link DIRECT_FROM}, and `long` with others. Tells whether
   * {@link putSync} may take it: the file must exist with nothing on its way to it, and it must not be too much for the event loop.
   */
  beginGroup(short: number, long: number): boolean {
    this.#staging.expect(short)
    const current = this.#current
    if (current === undefined || current !== this.#active || this.#jobCount > 0 || this.#staging.bytes > 0) return false
    return short <= SYNC_WRITE_LIMIT && short + long <= DIRECT_WRITE_LIMIT && current.end + short + long <= MAX_FILE_END
  }

  /**
   * Writes a record now, or stages it beside its neighbours; {@link flushSync} ends the group. A long plain value goes
   * from the caller's memory to the operating system without a copy here. The value is in its stored form. Requires
   * {@link beginGroup}, and no other call in between. @throws IoError
   */
  putSync(key: Uint8Array, version: number, meta: number, userMeta: number, expiresAt: number, value: Uint8Array, out: ValuePointer): void {
    const file = this.#active
    if (file === undefined || value.length < DIRECT_FROM || file.cipher !== undefined || value.buffer instanceof SharedArrayBuffer) {
      this.stageStored(key, version, meta, userMeta, expiresAt, value, out)
      return
    }
    const length = recordLength(key.length, value.length, expiresAt)
    const offset = file.end
    const headLength = length - value.length - RECORD_CRC_LENGTH
    const chunk = this.#staging.reserve(file.fid, offset, headLength)
    const headEnd = writeHead(chunk.bytes, chunk.length, key, version, meta, userMeta, expiresAt, value.length)
    const sum = crc32c(value, crc32cRange(chunk.bytes, headEnd - headLength, headEnd))
    this.#staging.filled(chunk, headLength)
    file.end = offset + length
    this.#activeEntries++
    this.flushSync()
    try {
      writeFullySync(handleOf(file), value, 0, value.length, offset + headLength)
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

  /** Writes what {@link putSync} staged. @throws IoError */
  flushSync(): void {
    const current = this.#current
    if (current === undefined) return
    const file = handleOf(current)
    const staging = this.#staging
    try {
      for (let chunk = staging.first; chunk !== undefined; chunk = staging.first) {
        writeFullySync(file, chunk.bytes, 0, chunk.length, chunk.offset)
        this.#noteWritten(current, chunk.offset + chunk.length)
        staging.release()
      }
    } catch (error) {
      throw this.#fail(error)
    }
    if (current !== this.#active) this.#sealLater()
    else this.#syncAhead(current)
  }

  /** From now on files end at `bytes` as well, if that is less than their size. */
  limitFiles(bytes: number): void {
    this.#fileLimit = bytes
  }

  /** Ends a group: here a file that has passed its limits is left for a new one. */
  endGroup(): void {
    const file = this.#active
    if (file === undefined) return
    const { fileSize, maxEntries } = this.#options
    if (file.end > Math.min(fileSize, this.#fileLimit) || this.#activeEntries > maxEntries) this.#leaveActive()
  }

  /**
   * Hands all staged bytes to the operating system with synchronous writes. False, having done nothing, if that takes
   * a new file, is too much at once, or a job is under way. @throws IoError, ReadOnlyError
   */
  writeStagedSync(): boolean {
    this.checkWritable()
    const staging = this.#staging
    const first = staging.first
    if (first === undefined) return true
    const current = this.#current
    if (this.#jobCount > 0 || current?.physical.file === undefined || staging.bytes > SYNC_WRITE_LIMIT) return false
    if (first.fid !== current.fid || staging.chunks[staging.chunks.length - 1]?.fid !== current.fid) return false
    this.flushSync()
    return true
  }

  /** {@link writeStagedSync} through the thread pool; creates and rotates files as needed. Covers what was staged before its turn came. */
  async writeStaged(): Promise<void> {
    await this.#run(() => this.#writeAll())
  }

  /** Makes everything written so far durable. Bytes that are only staged are not covered. */
  async sync(): Promise<void> {
    this.checkWritable()
    const current = this.#current
    const target = current === undefined ? this.#synced.position : { fid: current.fid, offset: current.written }
    await this.#synced.reach(target, () => this.#syncCurrent(), () => this.checkWritable())
  }

  /** Ends the active file: writes what is staged, syncs, seals. The next record goes to a new file. */
  async seal(): Promise<void> {
    this.checkWritable()
    this.#leaveActive()
    await this.#run(async () => {
      await this.#writeAll()
      await this.#sealCurrent()
    })
  }

  /** Makes the file that takes the next record exist, so that the one with the highest number so far may go (law 11). */
  async createSuccessor(): Promise<void> {
    await this.#run(async () => {
      if (this.#active === undefined) this.#beginFile()
      await this.#writeAll()
      if (this.#active !== undefined && this.#current === undefined) await this.#createFile(this.#active)
    })
  }

  /** Writes, syncs and lets go of the file, unless poisoned. Always ends with the handle closed. */
  async close(): Promise<void> {
    try {
      if (this.#failure === undefined && !this.#options.readOnly) await this.seal()
      else await this.#jobs
    } finally {
      const file = this.#current?.physical.file
      if (this.#current !== undefined) this.#current.physical.file = undefined
      await file?.close()
    }
  }

  #beginFile(): LogicalFile {
    this.#leaveActive()
    const { registry, randomBytes, now, encryptionKeyRotationDuration } = this.#options
    const fid = this.takeNumber()
    const physical = new PhysicalFile(this.#set.dir, fid, false, 0)
    const keyId = registry.encrypts ? registry.current(now() / 1000, encryptionKeyRotationDuration) : 0
    const baseIv = randomBytes(BASE_IV_LENGTH)
    const file: LogicalFile = {
      fid,
      physical,
      runs: undefined,
      end: FILE_HEADER_LENGTH,
      written: FILE_HEADER_LENGTH,
      sealed: false,
      keyId,
      baseIv,
      cipher: registry.cipherOf(keyId, baseIv, physical.name),
      hostPins: 0,
      retired: false,
    }
    this.#set.addPhysical(physical)
    this.#set.map.add(file)
    this.#active = file
    this.#activeEntries = 0
    return file
  }

  #leaveActive(): void {
    const file = this.#active
    if (file === undefined) return
    this.#last = { fid: file.fid, offset: file.end }
    this.#active = undefined
    this.#staging.detach()
  }

  async #writeAll(): Promise<void> {
    const staging = this.#staging
    staging.detach()
    for (let left = staging.chunks.length; left > 0; left--) {
      const chunk = staging.first
      invariant(chunk !== undefined, 'chunks leave one by one')
      const logical = this.#set.map.require(chunk.fid)
      if (this.#current !== logical) {
        await this.#sealCurrent()
        invariant(this.#current === undefined, 'the old file is sealed before a new one is created')
        await this.#createFile(logical)
      }
      await writeFully(handleOf(logical), chunk.bytes, 0, chunk.length, chunk.offset)
      // A sync may have failed meanwhile: whoever waits for these bytes is to be rejected.
      this.checkWritable()
      this.#noteWritten(logical, chunk.offset + chunk.length)
      staging.release()
    }
    const current = this.#current
    if (current === undefined) return
    if (current !== this.#active) this.#sealLater()
    else this.#syncAhead(current)
  }

  async #createFile(logical: LogicalFile): Promise<void> {
    const { fs, dir } = this.#set
    const { physical } = logical
    // Before the file: a header that names a data key which a crash took away would be damage.
    await this.#options.registry.save()
    const file = await fs.open(physical.path, 'create')
    physical.file = file
    this.#current = logical
    const header = encodeFileHeader(logical)
    await writeFully(file, header, 0, header.length, 0)
    // CR2: header and name are durable before any record, so that a record that survives is found.
    await file.sync()
    await fs.syncDir(dir)
    this.#noteWritten(logical, FILE_HEADER_LENGTH)
    this.#synced.note(logical.fid, FILE_HEADER_LENGTH)
    this.#set.noteDurable(logical.fid)
  }

  /** Ends the file that exists, if its successor is active and all its bytes are written. */
  async #sealCurrent(): Promise<void> {
    const current = this.#current
    if (current === undefined || current === this.#active) return
    if (current.written !== current.end) return
    const file = handleOf(current)
    await file.sync()
    this.#synced.note(current.fid, current.end)
    current.sealed = true
    this.#current = undefined
    this.#set.handles.adopt(current.physical, file)
  }

  /** Seals as a job of its own: the group that filled the file need not wait for it, the next one will. */
  #sealLater(): void {
    // A failure is kept by the writer and met by the next call.
    void this.#run(() => this.#sealCurrent()).catch(() => undefined)
  }

  #syncAhead({ fid, written }: LogicalFile): void {
    const allowed = written > this.#options.fileSize - SYNC_AHEAD ? SYNC_AHEAD_NEAR_END : SYNC_AHEAD
    if (this.#isSyncingAhead || !this.#synced.isBehind(fid, written - allowed)) return
    this.#isSyncingAhead = true
    // A failure is kept by the writer and met by the next call.
    void this.sync().catch(() => undefined).finally(() => (this.#isSyncingAhead = false))
  }

  async #syncCurrent(): Promise<void> {
    const current = this.#current
    if (current === undefined) return
    const { written } = current
    try {
      await handleOf(current).sync()
    } catch (error) {
      throw this.#failAlone(error)
    }
    this.#synced.note(current.fid, written)
  }

  /** Runs jobs one after another. */
  async #run(job: () => Promise<void>): Promise<void> {
    this.checkWritable()
    this.#jobCount++
    const run = this.#jobs.then(async () => {
      try {
        this.checkWritable()
        await job()
      } catch (error) {
        throw this.#failAlone(error)
      } finally {
        this.#jobCount--
      }
    })
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
    logical.physical.size = end
  }
}

function handleOf(logical: LogicalFile): File {
  const { file } = logical.physical
  invariant(file !== undefined, 'the file that is written is open')
  return file
}
