/**
 * From a pointer to a verified value.
 *
 * Every read checks, in this order: the pointer against the bounds of its file (before anything is allocated), the
 * record's lengths against the pointer, the CRC of what is stored, then (decrypted where it is encrypted) key and
 * version (law 7). What fails is a `CorruptionError` with file and offset, never an empty value. Results are plain arrays of
 * the caller's own: the record is read to where its value may stay (`ResultMemory` of `@wk/codec`), or the value is copied.
 *
 * The synchronous path allocates nothing but the result. Staged records are read from memory.
 */
import { CorruptionError, NO_BYTES, ReadOnlyError, ResultMemory, allocateBytes } from '@wk/codec'
import { LoopGuard, isNotFound, readFullySync, type File, type Runtime } from '@wk/fs'
import { damage, locate, type LogicalFile } from './file-map.js'
import { readLongRecord } from './long-read.js'
import type { PhysicalFile } from './physical-file.js'
import { newRecordHeader, readRecordHeader, verifiesCrc } from './record.js'
import type { StagedPlace } from './staging.js'
import { openEntry, openValue, type FetchedRecord } from './stored-record.js'
import type { VlogEntry } from './vlog-entry.js'
import { shortFile, type VlogSet } from './vlog-set.js'

/** Records up to this many bytes are read synchronously also by {@link VlogReader.readValue}. */
export const SYNC_READ_LIMIT = 1 << 16
/**
 * Records up to this many bytes are, too, as long as that is quick: half a millisecond at most, where they are cached. Through the pool they
 * take up to twice the time, also with many reads at once.
 */
export const LONG_SYNC_READ_LIMIT = 1 << 20
/** After a slow one so many go through the pool: what is not cached had better be read beside other work. */
const POOLED_AFTER_SLOW = 32
/** Milliseconds of such reads in one turn of the event loop: further ones of that turn go through the pool. */
const LONG_READS_MS = 4
/** A read from the page cache takes less, in milliseconds and for each byte. */
const QUICK_MS = 0.08
const QUICK_MS_A_BYTE = 1e-6

/** Whether a read of this length was slower than the page cache is. */
export function wasSlow(ms: number, length: number): boolean {
  return ms > QUICK_MS + QUICK_MS_A_BYTE * length
}

/** Where records that are not yet with the operating system are found. */
export interface StagedSource {
  /** Why staged records are gone, if they are. */
  readonly failure: unknown
  find(fid: number, offset: number, length: number, out: StagedPlace): boolean
}

export class VlogReader {
  /** Where results go. */
  readonly memory = new ResultMemory()
  /** For answers that took no trip through the pool. */
  readonly guard: LoopGuard
  readonly #set: VlogSet
  readonly #staged: StagedSource
  readonly #runtime: Runtime
  #scratch: Uint8Array = NO_BYTES
  /** Long records that the pool reads before the calling thread reads one again. */
  #pooled = 0
  /** Milliseconds that long reads took on the calling thread in this turn of the event loop. */
  #heldMs = 0
  #isHolding = false
  readonly #header = newRecordHeader()
  /** The record fetched last; it holds on to nothing once it was opened. */
  readonly #record: FetchedRecord = { bytes: NO_BYTES, start: 0, hold: 'lent' }

  constructor(set: VlogSet, staged: StagedSource, runtime: Runtime) {
    this.#set = set
    this.#staged = staged
    this.#runtime = runtime
    this.guard = new LoopGuard(runtime)
  }

  /** Whether a record of this length had better be read on the calling thread. */
  readsAtOnce(len: number): boolean {
    return len <= SYNC_READ_LIMIT || (len <= LONG_SYNC_READ_LIMIT && this.#pooled === 0 && this.#heldMs < LONG_READS_MS)
  }

  /** Whether this record is there and verifies. @throws IoError, CorruptionError if its file has gone meanwhile */
  holds(fid: number, offset: number, len: number, key: Uint8Array, version: number): boolean {
    try {
      this.readValueSync(fid, offset, len, key, version)
      return true
    } catch (error) {
      if (error instanceof CorruptionError && !isNotFound(error.cause)) return false
      throw error
    }
  }

  /** The verified value of a record of this key and version. Blocks for one read. */
  readValueSync(fid: number, offset: number, len: number, key: Uint8Array, version: number): Uint8Array {
    const logical = this.#set.map.require(fid)
    const record = this.#fetch(logical, offset, len)
    const value = this.openValue(logical, offset, len, record, key, version)
    record.bytes = NO_BYTES
    return value
  }

  /** {@link readValueSync}, through the thread pool if the record is long. The file stays while the read goes on. */
  async readValue(fid: number, offset: number, len: number, key: Uint8Array, version: number): Promise<Uint8Array> {
    if (this.readsAtOnce(len)) return this.readValueSync(fid, offset, len, key, version)
    const logical = this.#set.map.require(fid)
    const record = await this.#fetchAsync(logical, offset, len)
    return this.openValue(logical, offset, len, record, key, version)
  }

  /** The whole record, verified by its CRC alone: whose it is, is for the caller to judge. */
  readEntrySync(fid: number, offset: number, len: number): VlogEntry {
    const logical = this.#set.map.require(fid)
    const record = this.#fetch(logical, offset, len)
    const entry = this.openEntry(logical, offset, len, record)
    record.bytes = NO_BYTES
    return entry
  }

  async readEntry(fid: number, offset: number, len: number): Promise<VlogEntry> {
    if (this.readsAtOnce(len)) {
      const entry = this.readEntrySync(fid, offset, len)
      const turn = this.guard.due()
      if (turn !== undefined) await turn
      return entry
    }
    const logical = this.#set.map.require(fid)
    const record = await this.#fetchAsync(logical, offset, len)
    return this.openEntry(logical, offset, len, record)
  }

  /** Memory of `length` bytes for one synchronous read: whatever is to stay is copied out of it at once. */
  scratch(length: number): Uint8Array {
    if (this.#scratch.length < length) this.#scratch = allocateBytes(length)
    return this.#scratch
  }

  /** Verifies a record that was fetched; its value. @throws CorruptionError */
  openValue(logical: LogicalFile, offset: number, len: number, record: FetchedRecord, key: Uint8Array, version: number): Uint8Array {
    this.#verify(logical, offset, len, record)
    return openValue(logical, offset, record, this.#header, this.memory, key, version)
  }

  /** Verifies a record that was fetched; the whole of it. @throws CorruptionError */
  openEntry(logical: LogicalFile, offset: number, len: number, record: FetchedRecord): VlogEntry {
    this.#verify(logical, offset, len, record)
    return openEntry(logical, offset, record, this.#header, this.memory)
  }

  /**
   * Fills a record, whose memory nobody else holds, with what lies at `position` of an open file, and verifies its checksum meanwhile.
   * @throws CorruptionError, IoError
   */
  async readLong(logical: LogicalFile, offset: number, physical: PhysicalFile, file: File, position: number, record: FetchedRecord): Promise<void> {
    const { bytes } = record
    const { count, isIntact } = await readLongRecord(file, bytes, position, this.guard)
    if (count < bytes.length) throw shortFile(physical, position + bytes.length)
    if (!isIntact) throw damage(logical, offset, 'the checksum does not match')
    record.hold = 'verified'
  }

  #verify(logical: LogicalFile, offset: number, len: number, { bytes, start, hold }: FetchedRecord): void {
    const header = this.#header
    const end = start + len
    if (!readRecordHeader(bytes, start, end, end, header) || header.length !== len) {
      throw damage(logical, offset, 'no record of this length')
    }
    if (hold !== 'verified' && !verifiesCrc(bytes, start, header)) throw damage(logical, offset, 'the checksum does not match')
  }

  /** Finds a record in memory. False if it is in its file. @throws if it is nowhere */
  findStaged(logical: LogicalFile, offset: number, len: number, out: StagedPlace): boolean {
    if (offset + len <= logical.written) return false
    if (this.#staged.find(logical.fid, offset, len, out)) return true
    const { failure } = this.#staged
    if (failure !== undefined) throw new ReadOnlyError('the record was lost by a failed write', { cause: failure })
    throw damage(logical, offset, 'a pointer to bytes that were never written')
  }

  #fetch(logical: LogicalFile, offset: number, len: number): FetchedRecord {
    const position = locate(logical, offset, len)
    const record = this.#record
    if (this.findStaged(logical, offset, len, record)) {
      record.hold = 'lent'
      return record
    }
    const { memory } = this
    memory.reserve(len)
    const file = this.#set.handles.use(logical.physical)
    const isLong = len > SYNC_READ_LIMIT
    const before = isLong ? this.#runtime.monotonic() : 0
    const count = readFullySync(file, memory.bytes, memory.start, len, position)
    if (isLong) this.#noteLong(this.#runtime.monotonic() - before, len)
    if (count < len) throw shortFile(logical.physical, position + len)
    record.bytes = memory.bytes
    record.start = memory.start
    record.hold = 'reserved'
    return record
  }

  #noteLong(ms: number, len: number): void {
    if (wasSlow(ms, len)) this.#pooled = POOLED_AFTER_SLOW
    this.#heldMs += ms
    if (this.#isHolding) return
    this.#isHolding = true
    void this.#runtime.yield().then(() => {
      this.#isHolding = false
      this.#heldMs = 0
    })
  }

  async #fetchAsync(logical: LogicalFile, offset: number, len: number): Promise<FetchedRecord> {
    const position = locate(logical, offset, len)
    const record: FetchedRecord = { bytes: NO_BYTES, start: 0, hold: 'own' }
    if (this.findStaged(logical, offset, len, record)) {
      // The chunk may be recycled once this turn is over.
      record.bytes = record.bytes.slice(record.start, record.start + len)
      record.start = 0
      return record
    }
    if (this.#pooled > 0) this.#pooled--
    const { physical } = logical
    const { handles } = this.#set
    this.#set.pin(physical)
    try {
      const file = handles.acquire(physical)
      try {
        record.bytes = allocateBytes(len)
        await this.readLong(logical, offset, physical, file, position, record)
      } finally {
        handles.release(physical)
      }
    } finally {
      this.#set.unpin(physical)
    }
    // Several reads may have ended in this turn.
    await this.guard.pass()
    return record
  }
}
