/**
 * Copies live records of sealed logical files, byte for byte, into one new physical file, and makes it current.
 *
 * The file grows under a temporary name. `finish` writes the run table, syncs, renames, syncs the directory: the rename
 * is the commit (an unfinished file is an orphan that the next open removes). Then the map is switched in one turn
 * and what became empty is retired. Every record is verified before it is copied (`copy-task.ts`, which another thread may
 * run); damage ends the relocation and leaves every file as it was (law 6). Source files stay in the directory meanwhile.
 */
import { ClosedError, GcRunningError, InvalidArgumentError, invariant, tempName } from '@wk/codec'
import { writeFully, type File } from '@wk/fs'
import { copyTask, type CopyQuery } from './copy-task.js'
import { locate, type LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH } from './format.js'
import { PhysicalFile } from './physical-file.js'
import { encodeRelocatedHeader, encodeRunTables, RunTableBuilder, type RelocatedLogical } from './run-table.js'
import type { VlogSet } from './vlog-set.js'

export interface RelocationResult {
  /** Number of the new physical file; undefined if nothing was copied. */
  number: number | undefined
  /** Bytes of records copied. */
  bytesMoved: number
  /** Bytes of the physical files that were retired. */
  bytesFreed: number
}

/** Records of a logical file. `offsets` ascend; `lengths[i]` belongs to `offsets[i]`: a record, or several that touch. */
export interface RecordRanges {
  readonly offsets: Uint32Array
  readonly lengths: Uint32Array
}

/** Runs the copying: {@link copyTask} here or elsewhere. */
export type RunCopy = (query: CopyQuery, signal: AbortSignal | undefined) => Promise<number>

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
  runCopy: RunCopy
}

interface Source {
  readonly logical: LogicalFile
  readonly physical: PhysicalFile
  readonly runs: RunTableBuilder
  /** End of the last record copied. */
  end: number
}

/** Bytes copied after which they are synced while copying goes on. Less is not worth a sync of its own. */
const SYNC_AHEAD = 8 << 20

/** One relocation. Calls must not overlap. */
export class RelocationWriter {
  readonly #set: VlogSet
  readonly #host: RelocationHost
  readonly #physical: PhysicalFile
  readonly #tempPath: string
  readonly #sources: Source[] = []
  #end = FILE_HEADER_LENGTH
  #file: File | undefined
  #bytesMoved = 0
  #isSyncing = false
  #syncedAhead = 0
  #syncing: Promise<void> = Promise.resolve()
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
    try {
      await writeFully(this.#file, encodeRelocatedHeader(this.#physical.number), 0, FILE_HEADER_LENGTH, 0)
    } catch (error) {
      await this.#abandon().catch(() => undefined)
      throw error
    }
  }

  /** Bytes of the file that is being made. */
  get size(): number {
    return this.#end
  }

  /** {@link copyMany} of one range. */
  async copy(fid: number, offset: number, len: number): Promise<void> {
    await this.copyMany(fid, { offsets: Uint32Array.of(offset), lengths: Uint32Array.of(len) })
  }

  /**
   * Copies records of a sealed logical file. Ranges ascend within each file, and a file's ranges come together.
   *
   * @throws CorruptionError if a record does not verify, InvalidArgumentError for ranges out of order and files that were begun later than this, GcRunningError for a file
   * that another relocation copies, AbortedError
   */
  async copyMany(fid: number, { offsets, lengths }: RecordRanges, signal?: AbortSignal): Promise<void> {
    this.#checkOpen()
    const { logical, physical, runs, end } = this.#sourceOf(fid)
    const positions = new Float64Array(offsets.length)
    let last = end
    for (let i = 0; i < offsets.length; i++) {
      const offset = offsets[i]!
      if (offset < last) throw new InvalidArgumentError(`ranges of value-log file ${fid} overlap or descend`)
      positions[i] = locate(logical, offset, lengths[i]!)
      last = offset + lengths[i]!
    }
    const query = { source: physical.path, sourceName: physical.name, positions, lengths, target: this.#tempPath, targetOffset: this.#end }
    const copied = await this.#host.runCopy(query, signal)
    this.#checkOpen()
    let target = this.#end
    for (let i = 0; i < offsets.length; i++) {
      runs.add(offsets[i]!, target, lengths[i]!)
      target += lengths[i]!
    }
    invariant(copied === target - this.#end, 'everything was copied')
    this.#source(fid)!.end = last
    this.#end = target
    this.#bytesMoved += copied
    this.#syncAhead()
  }

  /** While the next records are copied, so that {@link finish} has little left to sync. */
  #syncAhead(): void {
    if (this.#isSyncing || this.#end - this.#syncedAhead < SYNC_AHEAD) return
    this.#syncedAhead = this.#end
    this.#isSyncing = true
    this.#syncing = this.#requireFile().sync().then(() => {
      this.#isSyncing = false
    })
    // Met by finish.
    this.#syncing.catch(() => undefined)
  }

  /**
   * Makes the copies durable and current. What they replace is retired and unlinked as soon as no read needs it. With
   * nothing copied it is an {@link abort}. A failure up to the rename changes nothing; a failed directory sync behind
   * it poisons the log. Without `sweep` the unlinks go on when it has resolved. Either way the new file may be found by the next open, which is right: it holds every record
   * that was live, and records never change.
   */
  async finish({ sweep = true }: { sweep?: boolean } = {}): Promise<RelocationResult> {
    this.#checkOpen()
    if (this.#bytesMoved === 0) {
      await this.abort()
      return { number: undefined, bytesMoved: 0, bytesFreed: 0 }
    }
    const files = this.#sources.map(({ logical, runs }): RelocatedLogical => {
      const { fid, end, keyId, baseIv, direct } = logical
      return { fid, end, keyId, baseIv, direct, runs: runs.build() }
    })
    try {
      const tail = encodeRunTables(files, this.#physical.number, this.#end)
      const file = this.#requireFile()
      await writeFully(file, tail, 0, tail.length, this.#end)
      await this.#syncing
      this.#physical.size = this.#end + tail.length
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
      this.#close()
      throw error
    }
    const bytesFreed = this.#set.relocate(this.#physical, files)
    this.#host.moved(files.map(({ fid }) => fid))
    this.#close()
    this.#set.noteDurable(this.#physical.number)
    if (sweep) await this.#set.sweep()
    else this.#set.sweepLater()
    return { number: this.#physical.number, bytesMoved: this.#bytesMoved, bytesFreed }
  }

  /** Removes what was written. Idempotent; does nothing after `finish`. */
  async abort(): Promise<void> {
    if (this.#ended) return
    await this.#abandon()
  }

  async #abandon(): Promise<void> {
    this.#close()
    const file = this.#file
    this.#file = undefined
    try {
      await file?.close()
    } finally {
      if (file !== undefined || this.#physical.size > 0) await this.#set.fs.remove(this.#tempPath)
    }
  }

  #close(): void {
    if (this.#ended) return
    this.#ended = true
    for (const { logical, physical } of this.#sources) {
      this.#set.moving.delete(logical.fid)
      this.#set.unpin(physical)
    }
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

  #source(fid: number): Source | undefined {
    return this.#sources.find(({ logical }) => logical.fid === fid)
  }

  #sourceOf(fid: number): Source {
    const last = this.#sources.at(-1)
    if (last?.logical.fid === fid) return last
    if (this.#source(fid) !== undefined) throw new InvalidArgumentError(`ranges of value-log file ${fid} are not together`)
    const logical = this.#set.requireSealed(fid)
    // In the table of this one it would be out of order.
    if (fid > this.#physical.number) throw new InvalidArgumentError(`value-log file ${fid} is younger than the relocation`)
    // Either copy would be right, and one of them for nothing.
    if (this.#set.moving.has(fid)) throw new GcRunningError(`value-log file ${fid} is being relocated`)
    this.#set.moving.add(fid)
    this.#set.hasRelocated = true
    const { physical } = logical
    this.#set.pin(physical)
    const source = { logical, physical, runs: new RunTableBuilder(), end: 0 }
    this.#sources.push(source)
    return source
  }
}

/** Copies on the calling thread, in slices. */
export function copyHere(set: VlogSet, runtime: Parameters<typeof copyTask.run>[1]['runtime']): RunCopy {
  return (query, signal) => copyTask.run(query, { fs: set.fs, runtime, signal })
}
