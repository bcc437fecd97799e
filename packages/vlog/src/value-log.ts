/**
 * The value log: the class that hosts use. Thin: it checks that the log is open and hands on to its parts.
 *
 * Two kinds of host. One with any index of its own uses the promise-based half (`append`, `read`, `iterate`, `discard`,
 * `retire`); the log then keeps its own lock and marks. An engine that has a write queue and durable marks uses the
 * staged half (`stage`, `writeStaged`, `readValueSync`, relocation) and decides itself when bytes go out.
 *
 * Every method may be called concurrently unless it says otherwise. Errors are `WkError`s; `ClosedError` after close.
 */
import { ClosedError, GcRunningError, InvalidArgumentError, checkFunction, isValuePointer, type ValuePointer } from '@wk/codec'
import { absoluteDirectory, type Lock } from '@wk/fs'
import type { Appended } from './appended.js'
import type { AppendEntry, AppendOptions } from './appender.js'
import { batchOf, checkArray, checkBatch, checkCount, checkLimits, checkPosition } from './arguments.js'
import { openDirectory } from './directory.js'
import { describeFiles, type VlogFileInfo } from './file-info.js'
import { checkFid, isWithin } from './file-map.js'
import { FileNumbers } from './file-numbers.js'
import { iterateFile, iterateFrom, verifyFiles, type IterateOptions, type PlacedEntry, type VerifyOptions, type VerifyReport } from './file-walk.js'
import { GapFiles } from './gap-files.js'
import { HolePuncher } from './hole-punching.js'
import { HostWrites } from './host-writes.js'
import { LogMarks } from './log-marks.js'
import { ManyReads } from './many-reads.js'
import { openLog, type OpenedLog } from './open-log.js'
import { resolveOptions, type ResolvedOptions, type ValueLogOptions } from './options.js'
import type { BatchReading } from './read-batch.js'
import { RecordBatch, type ValueBatch, type ValueRequest } from './record-batch.js'
import { streamRecords, type PointerSource, type StreamOptions } from './record-stream.js'
import { recountDiscards, type PointerLookup } from './recount.js'
import type { RelocationWriter, RunCopy } from './relocation-writer.js'
import { Relocations } from './relocations.js'
import { Retirement } from './retirement.js'
import type { LogPosition } from './sync-tracker.js'
import type { VlogEntry } from './vlog-entry.js'
import { VlogReader } from './vlog-reader.js'
import type { DirectPlaces, PhysicalFileInfo, VlogSet } from './vlog-set.js'
import { VlogWriter } from './vlog-writer.js'

export class ValueLog {
  /** Bytes of a torn tail that open cut (or, read-only, leaves unread). */
  readonly cutBytes: number
  /** Highest version that the scan at open saw; 0 if there was no scan. */
  readonly maxVersion: number
  /** With `salvage`: names of files of which it can't be told what lies where; `strayRecords` reads them. */
  readonly unreadable: readonly string[]
  /** Gives long dead ranges of files back in place. */
  readonly holes: HolePuncher
  /** Has new records written where nothing alive is left in older files. */
  readonly gaps: GapFiles
  /** What was appended since open, staged records included. */
  readonly appended: Appended
  readonly #options: ResolvedOptions
  readonly #set: VlogSet
  readonly #writer: VlogWriter
  readonly #reader: VlogReader
  readonly #many: ManyReads
  readonly #writes: HostWrites
  readonly #marks: LogMarks
  readonly #relocations: Relocations
  readonly #retirement: Retirement
  readonly #lock: Lock | undefined
  #recounting = false
  #closed = false
  #closing: Promise<void> | undefined

  private constructor(options: ResolvedOptions, opened: OpenedLog, lock: Lock | undefined) {
    const { set, state, tail, end, registry } = opened
    const { readOnly, runtime, standalone, fileSize } = options
    this.cutBytes = tail.cutBytes
    this.maxVersion = tail.maxVersion
    this.unreadable = opened.unreadable
    this.#options = options
    this.#set = set
    this.#lock = lock
    const numbers = new FileNumbers(opened.nextNumber)
    const writerOptions = { ...options, registry, now: () => runtime.now(), numbers, end }
    this.#writer = new VlogWriter(set, writerOptions)
    this.appended = this.#writer.appended
    const host = { checkWritable: () => this.#checkWritable(), poison: (error: unknown) => this.#writer.poison(error), moved: (fids: readonly number[]) => this.#moved(fids) }
    this.holes = new HolePuncher(set, host)
    this.gaps = new GapFiles(set, host, this.#writer.files, standalone)
    this.#reader = new VlogReader(set, this.#writer, runtime)
    this.#many = new ManyReads(set, this.#reader, runtime, options.readHelper)
    this.#marks = new LogMarks(set, this.#writer, { numbers, state, isPersistent: standalone && !readOnly, fileSize })
    this.#writes = new HostWrites(set, this.#writer, this.#marks, { options, writerOptions, runtime, guard: this.#reader.guard })
    this.#relocations = new Relocations(set, host, numbers, runtime)
    this.#retirement = new Retirement(set, this.#writes, this.#marks)
  }

  /**
   * Opens the value log of a directory. Creates no file: the first record does.
   *
   * @throws LockedError, NotFoundError (no directory), CorruptionError (damage that is no torn tail; nothing was changed),
   * WrongKeyError, NotSupportedError (no lz4), InvalidArgumentError, IoError
   */
  static async open(dir: string, options: ValueLogOptions = {}): Promise<ValueLog> {
    const resolved = resolveOptions(options)
    const place = absoluteDirectory(dir, resolved.fs)
    const { lock, names } = await openDirectory(place, resolved)
    try {
      const log = new ValueLog(resolved, await openLog(place, resolved, names), lock)
      await log.#marks.opened()
      return log
    } catch (error) {
      await lock?.release()
      throw error
    }
  }

  // ---- For any host ----

  /**
   * Appends records as one group; resolves with their pointers, in order, when the bytes are with the operating system,
   * with `sync` when they are on the device. The bytes may be reused as soon as this returns. Calls of one turn of the event loop share
   * a write, and its failure. A rejected group may exist after a restart as a whole, in part, or not at all; nothing points to it.
   *
   * @throws InvalidArgumentError, ReadOnlyError (also after an earlier failure, its `cause`), IoError
   */
  async append(entries: readonly AppendEntry[], options: AppendOptions = {}): Promise<ValuePointer[]> {
    this.#checkOpen()
    return this.#writes.append(entries, options)
  }

  /** The record at `pointer`. @throws CorruptionError if it is not there or does not verify */
  async read(pointer: ValuePointer): Promise<VlogEntry> {
    this.#checkPointer(pointer)
    return this.#reader.readEntry(pointer.fid, pointer.offset, pointer.len)
  }

  /** {@link read}; blocks the thread for one read. */
  readSync(pointer: ValuePointer): VlogEntry {
    this.#checkPointer(pointer)
    return this.#reader.readEntrySync(pointer.fid, pointer.offset, pointer.len)
  }

  /** {@link read} of many, in the caller's order; neighbours are read together. */
  async readMany(pointers: readonly ValuePointer[]): Promise<VlogEntry[]> {
    this.#checkOpen()
    const batch = new RecordBatch()
    for (const pointer of checkArray('pointers', pointers)) {
      this.#checkPointer(pointer)
      batch.addPointer(pointer)
    }
    return this.#many.entries(batch)
  }

  /** The logical files, ascending. */
  files(): VlogFileInfo[] {
    this.#checkOpen()
    return describeFiles(this.#set, this.#options.standalone ? this.#marks.stats : undefined)
  }

  /**
   * {@link read} of many, one after another in their order, fetched ahead while the caller works. Pointers may come from
   * an iterable that is still being made (an index scan). The caller keeps the files (`pin`) for as long as it lasts.
   * @throws InvalidArgumentError at once; the stream throws what `read` throws, and AbortedError
   */
  stream(pointers: PointerSource, options: StreamOptions = {}): AsyncGenerator<VlogEntry, void, undefined> {
    this.#checkOpen()
    return streamRecords({ readMany: (batch) => this.readMany(batch), checkOpen: () => this.#checkOpen() }, pointers, options)
  }

  /**
   * The records of one file in order, as far as they were appended when it began. Ends at a torn tail.
   * @throws CorruptionError at damage (unless asked to go on), or if there is no such file
   */
  async *iterate(fid: number, options: IterateOptions = {}): AsyncGenerator<PlacedEntry, void, undefined> {
    this.#checkOpen()
    await this.#writes.settled()
    for await (const placed of iterateFile(this.#set, this.#options.runtime, this.#set.map.require(fid), options)) {
      yield placed
      this.#checkOpen()
    }
  }

  /** Tells that the record is dead. Counts towards its file's garbage; call it once per record. A file that is gone is ignored, and a place that is in none of the log's. */
  discard(pointer: ValuePointer): void {
    this.#checkPointer(pointer)
    const logical = this.#set.map.get(pointer.fid)
    // A place outside the file's records says nothing of them: counted, it would pass a file for garbage that has none.
    if (logical === undefined || logical.retired || !isWithin(logical, pointer.offset, pointer.len)) return
    this.#marks.stats.add(logical, pointer)
  }

  /** Replaces a file's figure of garbage by what a recount found, at most the bytes of its records. A file that is gone is ignored. @throws InvalidArgumentError */
  setDiscarded(fid: number, records: number, bytes: number): void {
    this.#checkOpen()
    checkFid(fid)
    checkCount('records', records)
    checkCount('bytes', bytes)
    const logical = this.#set.map.get(fid)
    if (logical !== undefined) this.#marks.stats.set(logical, { records, bytes })
  }

  /**
   * Rebuilds the figures of garbage from the host's index: a record that `lookup` does not point to is dead. Records that
   * the host overwrites meanwhile are told by `discard` as always, right after its index; one whose pointer is not in the index yet counts as dead. Resolves with the garbage of
   * all files. One at a time. @throws CorruptionError, AbortedError, what `lookup` throws; figures of files that were done stay
   */
  async recountDiscards(lookup: PointerLookup, options: VerifyOptions = {}): Promise<{ records: number; bytes: number }> {
    this.#checkOpen()
    if (this.#recounting) throw new GcRunningError('a recount is under way')
    this.#recounting = true
    try {
      await this.#writes.settled()
      return await recountDiscards(this.#set, this.#options.runtime, this.#marks.stats, lookup, options)
    } finally {
      this.#recounting = false
    }
  }

  /** Makes every earlier append durable; opened read-only, there is none. @throws IoError, then ReadOnlyError for ever */
  async sync(): Promise<void> {
    this.#checkOpen()
    await this.#writes.sync()
  }

  /** Ends the active file, and the one that takes survivors, durably: the next record goes to a new one. In a log that stands alone a file without records stays active. */
  async seal(): Promise<void> {
    this.#checkOpen()
    await this.#writes.seal()
  }

  /** Reads and checks every record. Resolves with `ok: false` on damage. */
  async verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    this.#checkOpen()
    await this.#writes.settled()
    return verifyFiles(this.#set, this.#options.runtime, options)
  }

  /** Keeps a file readable after it is retired, until {@link unpin}. Pins count. */
  pin(fid: number): void {
    this.#checkOpen()
    this.#retirement.pin(fid)
  }

  unpin(fid: number): void {
    this.#retirement.unpin(fid)
  }

  /**
   * Gives a sealed file up: no reference to it is left. It is unlinked as soon as nothing pins it; the decision is
   * durable when this resolves and survives a restart. Whatever was appended before is made durable first, so that what
   * replaces the file is. Resolves with the bytes that go. On a full disk, which has no room for the decision, a file that can be unlinked
   * at once is; any other stays, and the log goes on. @throws InvalidArgumentError for a file that is not sealed, IoError
   */
  async retire(fid: number): Promise<number> {
    this.#checkWritable()
    return this.#retirement.retire(fid)
  }

  /** Waits for writes, makes everything durable, saves the marks, closes. After a failure it writes nothing. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    this.#closing ??= this.#closeOnce()
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // ---- For an engine with a write queue of its own ----

  /** Bytes staged and not yet with the operating system. */
  get stagedBytes(): number {
    return this.#writer.stagedBytes
  }

  /**
   * Encodes a record into memory now and fills `out`; readable at once. One of 128 KiB and more is written instead, after what was staged
   * before it, if its file takes writes and none is on its way there; one of more than 8 MiB (64 at most) as long as the last ones took less than 20
   * milliseconds for as many bytes. Arguments are not checked: key at most 65,000 bytes, value at most 1 GiB, numbers safe integers. @throws IoError if the write fails, ReadOnlyError after a failure
   */
  stage(key: Uint8Array, version: number, meta: number, userMeta: number, expiresAt: number, value: Uint8Array, out: ValuePointer): void {
    if (this.#closed) this.#checkOpen()
    this.#writer.stage(key, version, meta, userMeta, expiresAt, value, out)
  }

  /** Ends a write group: rotation is decided here. */
  endGroup(): void {
    this.#writer.endGroup()
  }

  /**
   * Ends files at `bytes` from now on, where that is less than the option `fileSize`: a host that collects garbage wants files that are small beside what
   * it lets lie. `waiting`: so many bytes of full files may wait before they are synced and sealed, unless somebody asks for it; fewer syncs are felt less. Default 0.
   * Records of `alone` bytes get files of their own. Default: none do. Only with durable marks of the host's. @throws InvalidArgumentError
   */
  limitFiles(bytes: number, waiting = 0, alone = Infinity): void {
    checkLimits(bytes, waiting, alone)
    this.#writer.limitFiles(bytes, waiting, alone)
  }

  /** Hands staged bytes to the operating system now. False, having done nothing, if that takes {@link writeStaged}. */
  writeStagedSync(): boolean {
    this.#checkOpen()
    return this.#writer.writeStagedSync()
  }

  /** Hands staged bytes to the operating system, creating and rotating files as needed. */
  async writeStaged(): Promise<void> {
    this.#checkOpen()
    await this.#writer.writeStaged()
  }

  /** Everything below is durable, lower files included. */
  syncedPosition(): LogPosition {
    return this.#writes.syncedPosition()
  }

  /** Every record before this is with the operating system. */
  writtenPosition(): LogPosition {
    return this.#writer.writtenPosition()
  }

  /**
   * The records from a place on ({@link writtenPosition} of any time, or the end of a record), in the order in which they were
   * written, as far as they were when it began, values as they are stored. Files that were relocated or got holes or gaps meanwhile are left out, and what lies in gaps. For recovery.
   * @throws InvalidArgumentError at once for what is no place; the generator throws CorruptionError at damage
   */
  recordsFrom(position: LogPosition): AsyncGenerator<PlacedEntry, void, undefined> {
    this.#checkOpen()
    return iterateFrom(this.#set, this.#options.runtime, checkPosition(position))
  }

  /** End of everything written and staged. */
  position(): LogPosition {
    return this.#writer.position()
  }

  /** The verified value of `key` at `version`, a copy. Hot path: one read, nothing else allocated, arguments not checked. @throws CorruptionError */
  readValueSync(fid: number, offset: number, len: number, key: Uint8Array, version: number): Uint8Array {
    if (this.#closed) this.#checkOpen()
    return this.#reader.readValueSync(fid, offset, len, key, version)
  }

  /** Whether a record of this length had better be read on the calling thread: up to 64 KiB, or 1 MiB while such reads turn out quick. */
  readsAtOnce(len: number): boolean {
    return this.#reader.readsAtOnce(len)
  }

  /** {@link readValueSync}, arguments not checked either, through the thread pool for a record that is not {@link readsAtOnce}. */
  async readValue(fid: number, offset: number, len: number, key: Uint8Array, version: number): Promise<Uint8Array> {
    this.#checkOpen()
    return this.#reader.readValue(fid, offset, len, key, version)
  }

  /** Many values, in the caller's order; neighbours are read together. @throws InvalidArgumentError, CorruptionError */
  async readValues(requests: readonly ValueRequest[]): Promise<Uint8Array[]> {
    this.#checkOpen()
    const batch = batchOf(requests)
    await this.readBatch(batch)
    return batch.values as Uint8Array[]
  }

  /** {@link readValueSync} of a batch, into its slots; neighbours are read together. `undefined` if it is done already. */
  readBatch(batch: ValueBatch): Promise<void> | undefined {
    this.#checkOpen()
    return this.#many.beginValues(checkBatch(batch)).finish()
  }

  /** {@link readBatch} in two steps, between which another thread (option `readHelper`) may read. */
  beginBatch(batch: ValueBatch): BatchReading {
    this.#checkOpen()
    return this.#many.beginValues(checkBatch(batch))
  }

  /** Whether this record is there and verifies. For recovery; arguments are not checked. @throws IoError, CorruptionError if its file has gone meanwhile */
  checkPointer(fid: number, offset: number, len: number, key: Uint8Array, version: number): boolean {
    this.#checkOpen()
    return this.#reader.holds(fid, offset, len, key, version)
  }

  hasFile(fid: number): boolean {
    return this.#set.map.get(fid) !== undefined
  }

  /** Bytes on disk that are in no file of {@link physicalFiles}: copies being made, files on their way out, zeros ahead of synced records. */
  get passingBytes(): number {
    return this.#set.leavingBytes + this.#writer.zeroBytes + this.#relocations.bytes
  }

  physicalFiles(): PhysicalFileInfo[] {
    this.#checkOpen()
    return this.#set.physicalFiles()
  }

  /**
   * A second address for every record of a relocated logical file: the file that holds it, and the place there. Records and run table are
   * durable. It holds until a relocation moves the file, which keeps only what it is told of: until the host refers to the new
   * places, it must neither relocate the target nor drop it. `undefined` for a file that has none: it is not relocated, is encrypted, or
   * lies out of a pointer's reach. The arrays may be shared with other threads.
   */
  directPlaces(fid: number): DirectPlaces | undefined {
    this.#checkOpen()
    checkFid(fid)
    return this.#set.directPlaces(fid)
  }

  /**
   * Gives up sealed logical files to which no live reference remains; unlinks each physical file that becomes empty, as soon as no read
   * needs it. Not remembered across a restart. Unknown files are ignored. Resolves with the bytes freed. @throws InvalidArgumentError for a file that is not sealed, and what is no file number
   */
  async dropLogical(fids: readonly number[]): Promise<number> {
    this.#checkWritable()
    for (const fid of checkArray('fids', fids)) checkFid(fid)
    return this.#retirement.drop(fids)
  }

  /** Unlinks the empty files at or below the mark `durable`, which opening left: nothing that the host refers to was missing. */
  async removeStrays(): Promise<void> {
    this.#checkOpen()
    await this.#set.sweep()
  }

  /**
   * The host failed elsewhere: from now on nothing is written or synced here either, `close` included; what is only
   * staged is forgotten. Reads of what was written go on.
   */
  abandon(cause: unknown): void {
    this.#writes.abandon(cause)
  }

  /**
   * Starts copying live records into a new physical file. Several may be under way, of different logical files. `runCopy` runs
   * {@link copyTask} elsewhere, in a worker; default: on this thread, in slices.
   */
  async createRelocation(runCopy?: RunCopy): Promise<RelocationWriter> {
    this.#checkWritable()
    checkFunction('runCopy', runCopy)
    return this.#relocations.begin(runCopy)
  }

  // ---- Inside ----

  async #closeOnce(): Promise<void> {
    try {
      await this.#retirement.settled()
      await this.#writes.close()
      if (this.#writer.failure === undefined && !this.#options.readOnly) await this.#marks.saveClean(this.#writes.end())
    } finally {
      try {
        await this.#set.close()
      } finally {
        await this.#lock?.release()
      }
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new ClosedError('the value log is closed')
  }

  #checkWritable(): void {
    this.#checkOpen()
    this.#writer.checkWritable()
  }

  #moved(fids: readonly number[]): void {
    for (const fid of fids) this.#marks.stats.forget(fid)
  }

  #checkPointer(pointer: ValuePointer): void {
    this.#checkOpen()
    if (!isValuePointer(pointer)) throw new InvalidArgumentError('not a value pointer')
  }
}
