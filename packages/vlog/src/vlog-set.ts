/**
 * The live files of a value log: map, handles, pins, and the retirement of files that nothing needs any more.
 *
 * Law 5: a physical file is unlinked only when no logical file lies in it, no read pins it, and a file of a higher number is
 * durable (law 11: the highest number on disk keeps the next one from coming back). Until then it waits on a list; a
 * failed unlink stays there and is tried again. A crash leaves at worst an orphan.
 */
import { CorruptionError, InvalidArgumentError } from '@wk/codec'
import { isNotFound, type FileSystem } from '@wk/fs'
import { FileMap, directFile, type LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH, MAX_FILE_END } from './format.js'
import { PhysicalFile, ReadHandles } from './physical-file.js'
import type { RelocatedLogical } from './run-table.js'

/** A physical file, as {@link VlogSet.physicalFiles} tells it. */
export interface PhysicalFileInfo {
  /** File number, from the same counter as fids. */
  number: number
  /** `.rlog` instead of `.vlog`. */
  relocated: boolean
  /** Bytes on disk (written so far, for the active file). */
  size: number
  /** Bytes of records, dead or alive: `size` without header, run tables and footer. */
  recordBytes: number
  sealed: boolean
  /** Logical files whose records are here, ascending: the file itself among them where pointers name it. */
  logical: number[]
  /** Entries of their run tables in memory: 16 bytes each. */
  runs: number
}

/** Where records of logical file `fid` lie in logical file `target`: ranges, ascending; `positions[i]` is the place of `starts[i]`. */
export interface DirectPlaces {
  readonly fid: number
  readonly target: number
  readonly starts: Uint32Array
  readonly lengths: Uint32Array
  readonly positions: Uint32Array
}

export class VlogSet {
  readonly dir: string
  readonly fs: FileSystem
  readonly map = new FileMap()
  readonly handles: ReadHandles
  /** Logical files that a relocation is copying. */
  readonly moving = new Set<number>()
  readonly #physical = new Map<number, PhysicalFile>()
  readonly #leaving = new Set<PhysicalFile>()
  /** Highest number that a durable file bears. */
  #highest = 0
  #sweeping: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(fs: FileSystem, dir: string, maxOpenFiles: number) {
    this.fs = fs
    this.dir = dir
    this.handles = new ReadHandles(fs, maxOpenFiles)
  }

  addPhysical(physical: PhysicalFile): void {
    this.#physical.set(physical.number, physical)
  }

  /** A file of this number is durable, name included. Files that waited for it may go now. */
  noteDurable(number: number): void {
    if (number > this.#highest) this.#highest = number
    if (this.#leaving.size > 0) this.sweepLater()
  }

  physicalFiles(): PhysicalFileInfo[] {
    return [...this.#physical.values()]
      .filter(({ fids }) => fids.size > 0)
      .sort((a, b) => a.number - b.number)
      .map((physical) => {
        const logical = [...physical.fids].sort((a, b) => a - b)
        const sealed = logical.every((fid) => this.map.require(fid).sealed)
        const { number, relocated, size, overhead } = physical
        let runs = 0
        for (const fid of logical) runs += this.map.require(fid).runs?.count ?? 0
        return { number, relocated, size, recordBytes: Math.max(0, size - overhead), sealed, logical, runs }
      })
  }

  /** Keeps a physical file in the directory until {@link unpin}, so that it can be read whenever its turn comes. */
  pin(physical: PhysicalFile): void {
    physical.pins++
  }

  unpin(physical: PhysicalFile): void {
    physical.pins--
    if (physical.pins === 0 && this.#leaving.has(physical)) this.sweepLater()
  }

  /** A logical file that may be given up. @throws InvalidArgumentError while records may still be appended to it */
  requireSealed(fid: number): LogicalFile {
    const logical = this.map.get(fid)
    if (logical === undefined) throw new InvalidArgumentError(`there is no value-log file ${fid}`)
    if (!logical.sealed) throw new InvalidArgumentError(`value-log file ${fid} is not sealed`)
    return logical
  }

  /**
   * Where the records of a relocated logical file lie in the file that holds it, which is a logical file of its own from now on. `undefined`
   * where it cannot be: not relocated, encrypted (the key stream depends on the logical place), or out of a pointer's reach.
   */
  directPlaces(fid: number): DirectPlaces | undefined {
    const logical = this.map.get(fid)
    if (logical?.runs === undefined || logical.cipher !== undefined || logical.physical.size > MAX_FILE_END) return undefined
    const { physical, runs } = logical
    if (this.map.get(physical.number) === undefined) this.map.add(directFile(physical))
    return { fid, target: physical.number, ...runs.share() }
  }

  /** Takes logical files out of the map; their physical files leave when they are empty. Returns the bytes that will be freed. */
  drop(fids: Iterable<number>): number {
    let freed = 0
    for (const fid of fids) freed += this.#leaveIfEmpty(this.map.delete(fid))
    return freed
  }

  /** Makes a durable relocated file the place of the logical files in it. Returns the bytes that will be freed. */
  relocate(target: PhysicalFile, files: readonly RelocatedLogical[]): number {
    this.addPhysical(target)
    let freed = 0
    for (const { fid, runs } of files) {
      const logical = this.map.get(fid)
      // Dropped while it was being copied: the copy is garbage from birth.
      if (logical !== undefined) freed += this.#leaveIfEmpty(this.map.move(logical, target, runs))
    }
    this.#leaveIfEmpty(target)
    return freed
  }

  #leaveIfEmpty(physical: PhysicalFile | undefined): number {
    if (physical === undefined || physical.fids.size > 0) return 0
    this.leave(physical)
    return physical.size
  }

  /** Puts a file that holds nothing any more on the list of those to unlink. */
  leave(physical: PhysicalFile): void {
    this.#physical.delete(physical.number)
    this.#leaving.add(physical)
  }

  /** Bytes of files that are given up and still lie in the directory. */
  get leavingBytes(): number {
    let bytes = 0
    for (const { size } of this.#leaving) bytes += size
    return bytes
  }

  /** Whether a file with records waits for its unlink only because it has the highest number (law 11). */
  get isHeldBack(): boolean {
    for (const { number, size } of this.#leaving) if (number >= this.#highest && size > FILE_HEADER_LENGTH) return true
    return false
  }

  /**
   * Unlinks what may go. Resolves when the unlinks are durable.
   * @throws IoError of the first unlink that failed; that file stays on the list
   */
  async sweep(): Promise<void> {
    await this.#sweep(true)
  }

  /**
   * {@link sweep} that nobody waits for. A failure is not lost: the file stays on the list and the next sweep meets it again. The
   * next sync of the directory makes the unlinks durable; a crash before it leaves orphans.
   */
  sweepLater(): void {
    void this.#sweep(false).catch(() => undefined)
  }

  async #sweep(isDurable: boolean): Promise<void> {
    const run = this.#sweeping.then(() => this.#sweepNow(isDurable))
    this.#sweeping = run.catch(() => undefined)
    await run
  }

  async #sweepNow(isDurable: boolean): Promise<void> {
    if (this.#closed) return
    const ready = [...this.#leaving].filter(({ pins, number }) => pins === 0 && number < this.#highest)
    if (ready.length === 0) return
    const unlinks = await Promise.allSettled(ready.map((physical) => this.#unlink(physical)))
    if (isDurable) await this.fs.syncDir(this.dir)
    for (const unlink of unlinks) if (unlink.status === 'rejected') throw unlink.reason
  }

  async #unlink(physical: PhysicalFile): Promise<void> {
    this.handles.close(physical)
    try {
      await this.fs.remove(physical.path)
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    this.#leaving.delete(physical)
  }

  /** Waits for unlinks under way and closes every handle. */
  async close(): Promise<void> {
    await this.#sweeping
    this.#closed = true
    await this.handles.closeAll()
  }
}

/** A file that ends before a range that was within it when it was opened. */
export function shortFile(physical: PhysicalFile, offset: number): CorruptionError {
  return new CorruptionError(`${physical.name} ends before offset ${offset}`, { file: physical.name, offset })
}
