/**
 * The live files of a value log: map, handles, pins, and the retirement of files that nothing needs any more.
 *
 * Law 5: a physical file is unlinked only when no logical file lies in it, no read pins it, and a higher number than any that it tells of is
 * durable (law 11: the highest number on disk keeps the next one from coming back). Until then it waits on a list; a
 * failed unlink stays there and is tried again. A crash leaves at worst an orphan.
 */
import { CorruptionError, InvalidArgumentError, NotSupportedError } from '@wk/codec'
import { isNotFound, type FileSystem } from '@wk/fs'
import { FileMap, directFile, isInGaps, type LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH, MAX_FILE_END } from './format.js'
import { makeHoles, type FileHoles } from './hole-punching.js'
import { PhysicalFile, ReadHandles } from './physical-file.js'
import type { LeftOver } from './run-lists.js'
import type { RelocatedLogical } from './run-table.js'
import type { Hole } from './runs-file.js'

/** Unlinked files that are remembered until the directory is synced. */
const MOST_UNLINKED = 1024

/** A physical file, as {@link VlogSet.physicalFiles} tells it. */
export interface PhysicalFileInfo {
  /** File number, from the same counter as fids. */
  number: number
  /** `.rlog` instead of `.vlog`. */
  relocated: boolean
  /** Bytes from its start to its end (written so far, for the active file). */
  size: number
  /** Bytes of it that were given back: holes. */
  holeBytes: number
  /** Bytes of the list of its runs that lies beside it, and belongs to it, if it has holes, or files in gaps; else 0. */
  listBytes: number
  /** Bytes of records, dead or alive: `size` without holes, header, run tables and footer. */
  recordBytes: number
  sealed: boolean
  /** Where it is not: records go into its gaps, or will, and not behind its end. */
  hasOpenGaps: boolean
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
  /** Records have been copied to another file since open: more than one may tell of a logical file. */
  hasRelocated = false
  readonly #physical = new Map<number, PhysicalFile>()
  readonly #leaving = new Set<PhysicalFile>()
  /** Unlinked since the directory was synced: the last of them, for of the others nobody need know that no crash brings them back. */
  #unlinked: PhysicalFile[] = []
  /** Files whose holes are still to be made, with all of their holes, and the bytes that will come back. */
  readonly #opening = new Map<PhysicalFile, { holes: readonly Hole[]; bytes: number }>()
  /** Files with holes of which it is not known whether they were made. */
  readonly #unsure = new Map<PhysicalFile, readonly Hole[]>()
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

  /** Whether no higher number than this is durable: then something on disk has to bear it (law 11). */
  isHighest(number: number): boolean {
    return number >= this.#highest
  }

  /** The file of this number, if something lies in it. */
  physicalFile(number: number): PhysicalFile | undefined {
    return this.#physical.get(number)
  }

  physicalFiles(): PhysicalFileInfo[] {
    return [...this.#physical.values()]
      .filter(({ fids }) => fids.size > 0)
      .sort((a, b) => a.number - b.number)
      .map((physical) => {
        const logical = [...physical.fids].sort((a, b) => a - b)
        const { number, relocated, size, overhead, holeBytes, listBytes } = physical
        let runs = 0
        let sealed = true
        let hasOpenGaps = false
        for (const fid of logical) {
          const file = this.map.require(fid)
          runs += file.runs?.count ?? 0
          if (file.sealed) continue
          sealed = false
          if (file.gaps !== undefined) hasOpenGaps = true
        }
        return { number, relocated, size, holeBytes, listBytes, recordBytes: Math.max(0, size - overhead - holeBytes), sealed, hasOpenGaps, logical, runs }
      })
  }

  /** Keeps a physical file in the directory until {@link unpin}, so that it can be read whenever its turn comes. */
  pin(physical: PhysicalFile): void {
    physical.pins++
  }

  unpin(physical: PhysicalFile): void {
    physical.pins--
    if (physical.pins === 0) physical.unpinned++
    if (physical.pins === 0 && (this.#leaving.has(physical) || this.#opening.has(physical))) this.sweepLater()
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
    // The file that it lies in, as a file of its own, has no runs where this one has.
    if (isInGaps(logical)) return undefined
    // One with holes gets no address of its own any more: it would have to be in the list of what is left.
    if (logical.fid === logical.physical.number || (logical.physical.listBytes > 0 && this.map.get(logical.physical.number) === undefined)) return undefined
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

  /** Makes a durable list the map of a file, and `filler`, which lies in its gaps, a file of the log. False if the file was dropped meanwhile. */
  openGaps({ physical, files }: LeftOver, filler: LogicalFile): boolean {
    if (physical.fids.size === 0) return false
    this.#leaveOut(physical, files)
    this.map.add(filler)
    physical.highest = filler.fid
    this.noteDurable(filler.fid)
    return true
  }

  #leaveOut(physical: PhysicalFile, files: readonly RelocatedLogical[]): void {
    const left = new Map(files.map(({ fid, runs }) => [fid, runs]))
    for (const fid of [...physical.fids]) {
      const logical = this.map.require(fid)
      const runs = left.get(fid)
      if (runs === undefined) this.map.delete(fid)
      else logical.runs = runs
    }
  }

  /** Makes a durable list the map of a file with holes; they are made by the next sweep that finds no read under way. */
  openHoles({ physical, files, holes, bytes }: FileHoles): void {
    // Dropped while its list was written: both go.
    if (physical.fids.size === 0) return
    this.#leaveOut(physical, files)
    if (this.#leaveIfEmpty(physical) > 0) return
    this.#unsure.delete(physical)
    const waiting = this.#opening.get(physical)?.bytes ?? 0
    physical.holeBytes += bytes
    this.#opening.set(physical, { holes, bytes: waiting + bytes })
  }

  /** Holes of a list that was found: a crash may have come before them. */
  noteHoles(physical: PhysicalFile, holes: readonly Hole[]): void {
    this.#unsure.set(physical, holes)
  }

  /** Makes the holes that {@link noteHoles} was told of, as far as they are not there. @throws IoError */
  async makeNotedHoles(): Promise<void> {
    if (this.#unsure.size === 0) return
    for (const [physical, holes] of this.#unsure) this.#opening.set(physical, { holes, bytes: 0 })
    this.#unsure.clear()
    await this.sweep()
  }

  #leaveIfEmpty(physical: PhysicalFile | undefined): number {
    if (physical === undefined || physical.fids.size > 0) return 0
    this.leave(physical)
    return physical.size - physical.holeBytes
  }

  /** Puts a file that holds nothing any more on the list of those to unlink. */
  leave(physical: PhysicalFile): void {
    this.#unsure.delete(physical)
    this.#opening.delete(physical)
    this.#physical.delete(physical.number)
    this.#leaving.add(physical)
  }

  /** Bytes of files, and of holes, that are given up and still lie in the directory. */
  get leavingBytes(): number {
    let bytes = 0
    for (const { size, holeBytes } of this.#leaving) bytes += size - holeBytes
    for (const { bytes: waiting } of this.#opening.values()) bytes += waiting
    return bytes
  }

  /** Whether a file with records waits for its unlink only because it has the highest number (law 11). */
  get isHeldBack(): boolean {
    for (const { highest, size } of this.#leaving) if (this.isHighest(highest) && size > FILE_HEADER_LENGTH) return true
    return false
  }

  /**
   * Unlinks what may go, and makes the holes that may be made. Resolves when the unlinks are durable.
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
    const failure = await this.#makeHoles()
    const ready = [...this.#leaving].filter(({ pins, highest }) => pins === 0 && !this.isHighest(highest))
    if (ready.length === 0 && failure === undefined && !(isDurable && this.#unlinked.length > 0)) return
    const unlinks = await Promise.allSettled(ready.map((physical) => this.#unlink(physical)))
    const lists = ready.filter((physical, i) => physical.listBytes > 0 && unlinks[i]?.status === 'fulfilled')
    if (isDurable || lists.length > 0) await this.#syncUnlinks()
    // Only now: a file that a crash brings back must not come without the list of its holes.
    for (const { runsPath } of lists) await this.#remove(runsPath)
    for (const unlink of unlinks) if (unlink.status === 'rejected') throw unlink.reason
    if (failure !== undefined) throw failure.error
  }

  async #syncUnlinks(): Promise<void> {
    // Sweeps run one after another: nothing is unlinked meanwhile.
    await this.fs.syncDir(this.dir)
    for (const physical of this.#unlinked) physical.isGone = true
    this.#unlinked = []
  }

  /** Resolves with the first failure; that file stays on the list. */
  async #makeHoles(): Promise<{ error: unknown } | undefined> {
    let failure: { error: unknown } | undefined
    for (const [physical, { holes }] of this.#opening) {
      if (physical.pins > 0) continue
      try {
        await makeHoles(this, physical, holes)
      } catch (error) {
        // The files may have been brought from elsewhere: here they stay as long as they are.
        if (!(error instanceof NotSupportedError)) {
          failure ??= { error }
          continue
        }
      }
      // More may have come meanwhile.
      if (this.#opening.get(physical)?.holes === holes) this.#opening.delete(physical)
    }
    return failure
  }

  async #unlink(physical: PhysicalFile): Promise<void> {
    this.handles.close(physical)
    await this.#remove(physical.path)
    this.#leaving.delete(physical)
    if (this.#unlinked.push(physical) > MOST_UNLINKED) this.#unlinked.shift()
  }

  async #remove(path: string): Promise<void> {
    try {
      await this.fs.remove(path)
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
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
