/**
 * Copies live records of sealed logical files, byte for byte, into one new physical file, and makes it current.
 *
 * The file grows under a temporary name. `finish` writes the run table, syncs, renames, syncs the directory: the rename
 * is the commit (an unfinished file is an orphan that the next open removes). Then the map is switched in one turn
 * and what became empty is retired. Every record is verified before it is copied; damage ends the relocation and
 * leaves every file as it was (law 6). Source files stay in the directory meanwhile.
 */
import { ClosedError, InvalidArgumentError, invariant, tempName } from '@wk/codec'
import { readFully, writeFully, type File } from '@wk/fs'
import { damage, locate, type LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH } from './format.js'
import { PhysicalFile } from './physical-file.js'
import { newRecordHeader, readRecordHeader, verifiesCrc } from './record.js'
import { encodeRelocatedHeader, encodeRunTables, RunTableBuilder, type RelocatedLogical } from './run-table.js'
import { shortFile, type VlogSet } from './vlog-set.js'

/** Bytes read ahead in a source and collected for a write. */
const WINDOW = 1 << 18
const BUFFER = 1 << 19

export interface RelocationResult {
  /** Number of the new physical file; undefined if nothing was copied. */
  number: number | undefined
  /** Bytes of records copied. */
  bytesMoved: number
  /** Bytes of the physical files that were retired. */
  bytesFreed: number
}

/** Part of the log that a relocation needs besides the file set. */
export interface RelocationHost {
  /** @throws ReadOnlyError, ClosedError */
  checkWritable(): void
  /** Law 9: a commit of unknown outcome. */
  poison(error: unknown): void
  /** Called when records of these logical files have a new place, and nothing else of them is left. */
  moved(fids: readonly number[]): void
  /** Called once, when the relocation has ended either way. */
  ended(): void
}

interface Source {
  readonly logical: LogicalFile
  readonly physical: PhysicalFile
  readonly runs: RunTableBuilder
  /** End of the last record copied. */
  end: number
}

/** One relocation. Calls must not overlap. */
export class RelocationWriter {
  readonly #set: VlogSet
  readonly #host: RelocationHost
  readonly #physical: PhysicalFile
  readonly #tempPath: string
  readonly #header = newRecordHeader()
  readonly #sources: Source[] = []
  readonly #out = new Uint8Array(BUFFER)
  #outLength = 0
  #outOffset = 0
  #window = new Uint8Array(WINDOW)
  #windowFile: PhysicalFile | undefined
  #windowStart = 0
  #windowLength = 0
  #file: File | undefined
  #bytesMoved = 0
  #ended = false

  /** Use `ValueLog.createRelocation`. `number` is a fresh file number. */
  constructor(set: VlogSet, host: RelocationHost, number: number) {
    this.#set = set
    this.#host = host
    this.#physical = new PhysicalFile(set.dir, number, true, 0)
    this.#tempPath = tempName(this.#physical.path)
  }

  /** Creates the file under its temporary name. */
  async open(): Promise<void> {
    this.#file = await this.#set.fs.open(this.#tempPath, 'create')
    this.#append(encodeRelocatedHeader(this.#physical.number), 0, FILE_HEADER_LENGTH)
  }

  /**
   * Copies the records in `[offset, offset + len)` of a sealed logical file: one, or several that touch. Ranges
   * ascend within each file, and a file's ranges come together.
   *
   * @throws CorruptionError if a record does not verify, InvalidArgumentError for ranges out of order
   */
  async copy(fid: number, offset: number, len: number): Promise<void> {
    this.#checkOpen()
    const source = this.#sourceOf(fid, offset)
    const position = locate(source.logical, offset, len)
    let done = 0
    while (done < len) {
      const length = await this.#verifyAt(source, offset + done, position + done, len - done)
      const start = this.#outOffset + this.#outLength
      await this.#appendFromWindow(position + done, length)
      source.runs.add(offset + done, start, length)
      done += length
      source.end = offset + done
      this.#bytesMoved += length
    }
  }

  /**
   * Makes the copies durable and current. What they replace is retired and unlinked as soon as no read needs it. With
   * nothing copied it is an {@link abort}. A failure up to the rename changes nothing; a failed directory sync behind
   * it poisons the log. Either way the new file may be found by the next open, which is right: it holds every record
   * that was live, and records never change.
   */
  async finish(): Promise<RelocationResult> {
    this.#checkOpen()
    if (this.#sources.length === 0) {
      await this.abort()
      return { number: undefined, bytesMoved: 0, bytesFreed: 0 }
    }
    const files = this.#sources.map(({ logical, runs }): RelocatedLogical => {
      const { fid, end, keyId, baseIv } = logical
      return { fid, end, keyId, baseIv, runs: runs.build() }
    })
    files.sort((a, b) => a.fid - b.fid)
    try {
      const tail = encodeRunTables(files, this.#physical.number, this.#outOffset + this.#outLength)
      await this.#flush()
      const file = this.#requireFile()
      await writeFully(file, tail, 0, tail.length, this.#outOffset)
      this.#physical.size = this.#outOffset + tail.length
      this.#physical.overhead = FILE_HEADER_LENGTH + tail.length
      await file.sync()
      await file.close()
      this.#file = undefined
      this.#host.checkWritable()
      await this.#set.fs.rename(this.#tempPath, this.#physical.path)
    } catch (error) {
      await this.#abandon().catch(() => undefined)
      throw error
    }
    try {
      await this.#set.fs.syncDir(this.#set.dir)
    } catch (error) {
      this.#host.poison(error)
      this.#end()
      throw error
    }
    const bytesFreed = this.#set.relocate(this.#physical, files)
    this.#host.moved(files.map(({ fid }) => fid))
    this.#end()
    this.#set.noteDurable(this.#physical.number)
    await this.#set.sweep()
    return { number: this.#physical.number, bytesMoved: this.#bytesMoved, bytesFreed }
  }

  /** Removes what was written. Idempotent; does nothing after `finish`. */
  async abort(): Promise<void> {
    if (this.#ended) return
    await this.#abandon()
  }

  async #abandon(): Promise<void> {
    this.#end()
    const file = this.#file
    this.#file = undefined
    try {
      await file?.close()
    } finally {
      if (file !== undefined || this.#physical.size > 0) await this.#set.fs.remove(this.#tempPath)
    }
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    for (const { physical } of this.#sources) this.#set.unpin(physical)
    this.#host.ended()
  }

  #checkOpen(): void {
    if (this.#ended) throw new ClosedError('the relocation has ended')
    this.#host.checkWritable()
  }

  #requireFile(): File {
    invariant(this.#file !== undefined, 'the relocated file is open')
    return this.#file
  }

  #sourceOf(fid: number, offset: number): Source {
    const last = this.#sources.at(-1)
    if (last?.logical.fid === fid) {
      if (offset < last.end) throw new InvalidArgumentError(`ranges of value-log file ${fid} overlap or descend`)
      return last
    }
    if (this.#sources.some(({ logical }) => logical.fid === fid)) {
      throw new InvalidArgumentError(`ranges of value-log file ${fid} are not together`)
    }
    const logical = this.#set.requireSealed(fid)
    const { physical } = logical
    this.#set.pin(physical)
    const source = { logical, physical, runs: new RunTableBuilder(), end: 0 }
    this.#sources.push(source)
    return source
  }

  /** Length of the record at a place, which then lies in the window as a whole and is verified. */
  async #verifyAt(source: Source, offset: number, position: number, limit: number): Promise<number> {
    const header = this.#header
    await this.#show(source, position, Math.min(limit, WINDOW), limit)
    let at = position - this.#windowStart
    let visible = Math.min(this.#windowLength, at + limit)
    if (!readRecordHeader(this.#window, at, visible, at + limit, header)) throw damage(source.logical, offset, 'no record')
    if (header.length > visible - at) {
      await this.#show(source, position, header.length, limit)
      at = position - this.#windowStart
      visible = Math.min(this.#windowLength, at + limit)
    }
    if (!verifiesCrc(this.#window, at, header)) throw damage(source.logical, offset, 'the checksum does not match')
    return header.length
  }

  /** Brings at least `length` bytes at `position` into the window, unless a plausible header is visible already. */
  async #show(source: Source, position: number, length: number, limit: number): Promise<void> {
    const { physical } = source
    const from = position - this.#windowStart
    const isHere = this.#windowFile === physical && from >= 0
    const visible = isHere ? this.#windowLength - from : 0
    if (visible >= length || (isHere && this.#showsRecord(from, visible, limit))) return
    const size = Math.max(WINDOW, length)
    if (size > this.#window.length) this.#window = new Uint8Array(size)
    this.#windowFile = undefined
    const wanted = Math.min(size, physical.size - position)
    const file = this.#set.handles.acquire(physical)
    try {
      const count = await readFully(file, this.#window, 0, wanted, position)
      if (count < length) throw shortFile(physical, position + length)
      this.#windowLength = count
    } finally {
      this.#set.handles.release(physical)
    }
    this.#windowFile = physical
    this.#windowStart = position
  }

  #showsRecord(from: number, visible: number, limit: number): boolean {
    const header = this.#header
    const end = from + visible
    return readRecordHeader(this.#window, from, end, from + limit, header) && header.length <= visible
  }

  async #appendFromWindow(position: number, length: number): Promise<void> {
    const start = position - this.#windowStart
    if (length > BUFFER) {
      await this.#flush()
      await writeFully(this.#requireFile(), this.#window, start, length, this.#outOffset)
      this.#outOffset += length
      return
    }
    if (this.#outLength + length > BUFFER) await this.#flush()
    this.#append(this.#window, start, length)
  }

  #append(bytes: Uint8Array, start: number, length: number): void {
    this.#out.set(bytes.subarray(start, start + length), this.#outLength)
    this.#outLength += length
  }

  async #flush(): Promise<void> {
    const length = this.#outLength
    if (length === 0) return
    await writeFully(this.#requireFile(), this.#out, 0, length, this.#outOffset)
    this.#outOffset += length
    this.#outLength = 0
  }
}
