/**
 * From a pointer to a verified value.
 *
 * Every read checks, in this order: the pointer against the bounds of its file (before anything is allocated), the
 * record's lengths against the pointer, the CRC of what is stored, then (decrypted where it is encrypted) key and
 * version (law 7). What fails is a `CorruptionError` with
 * file and offset, never an empty value. Results are plain arrays of the caller's own: a copy, or for a longer record
 * a view into a buffer that nobody else holds.
 *
 * The synchronous path allocates nothing but the result. Staged records are read from memory.
 */
import { ReadOnlyError } from '@wk/codec'
import { readFully, readFullySync } from '@wk/fs'
import { damage, locate, type LogicalFile } from './file-map.js'
import { newRecordHeader, readRecordHeader, verifiesCrc, type RecordHeader } from './record.js'
import type { StagedPlace } from './staging.js'
import { openEntry, openValue } from './stored-record.js'
import type { VlogEntry } from './vlog-entry.js'
import { shortFile, type VlogSet } from './vlog-set.js'

/**
 * Records up to this many bytes are read into a reused buffer and their value copied out; from there on the copy costs
 * more than a fresh buffer, of which the value is then a view.
 */
export const SCRATCH_LIMIT = 1 << 11
/** Records up to this many bytes are read synchronously also by {@link VlogReader.readValue}. */
export const SYNC_READ_LIMIT = 1 << 16

/** Where records that are not yet with the operating system are found. */
export interface StagedSource {
  /** Why staged records are gone, if they are. */
  readonly failure: unknown
  find(fid: number, offset: number, length: number, out: StagedPlace): boolean
}

export class VlogReader {
  readonly #set: VlogSet
  readonly #staged: StagedSource
  readonly #header = newRecordHeader()
  /** Where the record fetched last lies. */
  readonly #place: StagedPlace = { bytes: new Uint8Array(0), start: 0 }
  readonly #scratch = new Uint8Array(SCRATCH_LIMIT)

  constructor(set: VlogSet, staged: StagedSource) {
    this.#set = set
    this.#staged = staged
  }

  /** The verified value of a record of this key and version. Blocks for one read. */
  readValueSync(fid: number, offset: number, len: number, key: Uint8Array, version: number): Uint8Array {
    const logical = this.#set.map.require(fid)
    const isOwn = this.#fetch(logical, offset, len)
    const { bytes, start } = this.#place
    this.verify(logical, offset, len, bytes, start, this.#header)
    return openValue(logical, offset, bytes, start, this.#header, isOwn, key, version)
  }

  /** {@link readValueSync}, through the thread pool if the record is long. The file stays while the read goes on. */
  async readValue(fid: number, offset: number, len: number, key: Uint8Array, version: number): Promise<Uint8Array> {
    if (len <= SYNC_READ_LIMIT) return this.readValueSync(fid, offset, len, key, version)
    const logical = this.#set.map.require(fid)
    const header = newRecordHeader()
    const { bytes, start, isOwn } = await this.#fetchAsync(logical, offset, len)
    this.verify(logical, offset, len, bytes, start, header)
    return openValue(logical, offset, bytes, start, header, isOwn, key, version)
  }

  /** The whole record, verified by its CRC alone: whose it is, is for the caller to judge. */
  readEntrySync(fid: number, offset: number, len: number): VlogEntry {
    const logical = this.#set.map.require(fid)
    const isOwn = this.#fetch(logical, offset, len)
    const { bytes, start } = this.#place
    this.verify(logical, offset, len, bytes, start, this.#header)
    return openEntry(logical, offset, bytes, start, this.#header, isOwn)
  }

  async readEntry(fid: number, offset: number, len: number): Promise<VlogEntry> {
    if (len <= SYNC_READ_LIMIT) return this.readEntrySync(fid, offset, len)
    const logical = this.#set.map.require(fid)
    const header = newRecordHeader()
    const { bytes, start, isOwn } = await this.#fetchAsync(logical, offset, len)
    this.verify(logical, offset, len, bytes, start, header)
    return openEntry(logical, offset, bytes, start, header, isOwn)
  }

  /** Checks the record at `start` and fills `header`. @throws CorruptionError */
  verify(logical: LogicalFile, offset: number, len: number, bytes: Uint8Array, start: number, header: RecordHeader): void {
    const end = start + len
    if (!readRecordHeader(bytes, start, end, end, header) || header.length !== len) {
      throw damage(logical, offset, 'no record of this length')
    }
    if (!verifiesCrc(bytes, start, header)) throw damage(logical, offset, 'the checksum does not match')
  }

  /** Finds a record in memory. False if it is in its file. @throws if it is nowhere */
  findStaged(logical: LogicalFile, offset: number, len: number, out: StagedPlace): boolean {
    if (offset + len <= logical.written) return false
    if (this.#staged.find(logical.fid, offset, len, out)) return true
    const { failure } = this.#staged
    if (failure !== undefined) throw new ReadOnlyError('the record was lost by a failed write', { cause: failure })
    throw damage(logical, offset, 'a pointer to bytes that were never written')
  }

  /** Brings a record to `#place`. True if the memory is the caller's to keep. */
  #fetch(logical: LogicalFile, offset: number, len: number): boolean {
    const position = locate(logical, offset, len)
    const place = this.#place
    if (this.findStaged(logical, offset, len, place)) return false
    const isOwn = len > SCRATCH_LIMIT
    const bytes = isOwn ? allocate(len) : this.#scratch
    const file = this.#set.handles.use(logical.physical)
    const count = readFullySync(file, bytes, 0, len, position)
    if (count < len) throw shortFile(logical.physical, position + len)
    place.bytes = bytes
    place.start = 0
    return isOwn
  }

  async #fetchAsync(logical: LogicalFile, offset: number, len: number): Promise<StagedPlace & { isOwn: boolean }> {
    const position = locate(logical, offset, len)
    const place = { bytes: new Uint8Array(0), start: 0, isOwn: false }
    if (this.findStaged(logical, offset, len, place)) {
      // The chunk may be recycled once this turn is over.
      return { bytes: place.bytes.slice(place.start, place.start + len), start: 0, isOwn: true }
    }
    const { physical } = logical
    const { handles } = this.#set
    this.#set.pin(physical)
    try {
      const file = handles.acquire(physical)
      try {
        const bytes = allocate(len)
        const count = await readFully(file, bytes, 0, len, position)
        if (count < len) throw shortFile(physical, position + len)
        return { bytes, start: 0, isOwn: true }
      } finally {
        handles.release(physical)
      }
    } finally {
      this.#set.unpin(physical)
    }
  }
}

/** Memory for a read: not zeroed, and a plain array. */
export function allocate(length: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
}
