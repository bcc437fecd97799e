/**
 * Gives long dead ranges of a value-log file back without copying what is alive: holes, of which a list is made first.
 *
 * The list (`runs-file.ts`) is durable before the first hole is made, so that a crash in between leaves at worst blocks that nothing
 * names (law 6). Then the map is switched in one turn: an address inside a hole is one that no run covers, as after a relocation. The
 * holes themselves are made by the set's sweep, when no read of before is under way any more. A file of more than one name
 * is left alone: a checkpoint reads it that has no such list.
 */
import { GcRunningError, InvalidArgumentError, NotSupportedError, errnoOf, formatFileName, tempName } from '@wk/codec'
import { writeFully, type File, type FileSystem } from '@wk/fs'
import { locate, type LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH } from './format.js'
import type { PhysicalFile } from './physical-file.js'
import type { RecordRanges } from './relocation-writer.js'
import { RunTableBuilder, type RelocatedLogical, type RunTable } from './run-table.js'
import { BLOCK, encodeRuns, gapsBetween, holesBetween, type Hole, type Range } from './runs-file.js'
import type { VlogSet } from './vlog-set.js'

/** Holes that a file may get: what {@link HolePuncher.plan} gives and {@link HolePuncher.punch} takes. */
export interface HolePlan {
  /** Number of the physical file. */
  readonly number: number
  /** Bytes that come back: those of holes that are there already are not among them. */
  readonly bytes: number
}

/** All of a plan. */
export class FileHoles implements HolePlan {
  readonly bytes: number
  readonly physical: PhysicalFile
  /** Logical files that are left in it, with what is left of them. */
  readonly files: readonly RelocatedLogical[]
  /** Those that it will have, old ones included. */
  readonly holes: readonly Hole[]

  constructor(physical: PhysicalFile, files: readonly RelocatedLogical[]) {
    this.physical = physical
    this.files = files
    this.holes = holesBetween(files, physical.recordsEnd)
    this.bytes = this.holes.reduce((sum, { length }) => sum + length, 0) - physical.holeBytes
  }

  get number(): number {
    return this.physical.number
  }
}

/** Part of the log that is needed besides the file set. */
export interface PunchHost {
  /** @throws ReadOnlyError, ClosedError */
  checkWritable(): void
  /** Law 9: a commit of unknown outcome. */
  poison(error: unknown): void
  /** Called when little is left of these logical files but what is alive. */
  moved(fids: readonly number[]): void
}

/** What `ValueLog.holes` is. It requires that nobody else relocates or drops what it is given, and that the log is writable. */
export class HolePuncher {
  readonly #set: VlogSet
  readonly #host: PunchHost
  #works: Promise<boolean> | undefined

  /** It was tried here, and does not give room back. */
  isRefused = false

  constructor(set: VlogSet, host: PunchHost) {
    this.#set = set
    this.#host = host
  }

  /**
   * The holes that physical file `number` would have if what is `live`, by logical file, stays. Dead ranges of less than `least` bytes stay
   * as they are. `undefined` if nothing would come back, or somebody holds the file. @throws CorruptionError for a range that is not there
   */
  plan(number: number, live: ReadonlyMap<number, RecordRanges>, least: number): HolePlan | undefined {
    return planHoles(this.#set, number, live, least)
  }

  /**
   * Carries plans out that were made in the same turn. Resolves with those that came to something when their lists are durable and no pointer
   * leads into a dead range any more. Their blocks come back at once, unless a read is under way: then at its end. Files that have a second
   * name are left out, all of them where the directory has no holes.
   * @throws InvalidArgumentError for what is no plan, GcRunningError for a file that a relocation copies, IoError (a failed sync of the directory poisons the log)
   */
  async punch(given: readonly HolePlan[]): Promise<HolePlan[]> {
    this.#host.checkWritable()
    const plans = given.map(requirePlan)
    const set = this.#set
    const fids = plans.flatMap(({ files }) => files.map(({ fid }) => fid))
    for (const fid of fids) if (set.moving.has(fid)) throw new GcRunningError(`value-log file ${fid} is being relocated`)
    for (const fid of fids) set.moving.add(fid)
    for (const { physical } of plans) set.pin(physical)
    const done: FileHoles[] = []
    try {
      if (!(await this.isSupported())) return done
      for (const plan of plans) if ((await linksOf(set, plan.physical)) === 1) done.push(plan)
      if (done.length > 0) await writeLists(set, this.#host, done)
    } finally {
      for (const fid of fids) set.moving.delete(fid)
      for (const { physical } of plans) set.unpin(physical)
    }
    for (const plan of done) {
      set.openHoles(plan)
      this.#host.moved(plan.files.map(({ fid }) => fid))
    }
    await set.sweep()
    return done
  }

  /** Makes holes that a crash came before, as far as the log was told of them when it was opened. @throws IoError */
  async finish(): Promise<void> {
    this.#host.checkWritable()
    await this.#set.makeNotedHoles()
  }

  /** Whether holes give room back here: tried out once, with a file that goes again. @throws IoError */
  async isSupported(): Promise<boolean> {
    this.#works ??= tryHole(this.#set).catch((error: unknown) => {
      this.#works = undefined
      throw error
    })
    const works = await this.#works
    this.isRefused = !works
    return works
  }
}

function planHoles(set: VlogSet, number: number, live: ReadonlyMap<number, RecordRanges>, least: number): FileHoles | undefined {
  const physical = set.physicalFile(number)
  if (physical === undefined) return undefined
  const logicals = [...physical.fids].sort((a, b) => a - b).map((fid) => set.map.require(fid))
  if (logicals.some(({ fid, sealed, retired, hostPins }) => !sealed || retired || hostPins > 0 || set.moving.has(fid))) return undefined
  const ranges: Range[] = []
  for (const logical of logicals) {
    const { offsets, lengths } = live.get(logical.fid) ?? NO_RANGES
    for (let i = 0; i < offsets.length; i++) {
      const start = locate(logical, offsets[i]!, lengths[i]!)
      ranges.push({ start, end: start + lengths[i]! })
    }
  }
  const dead = gapsBetween(ranges, physical.recordsEnd).filter(({ start, end }) => end - start >= least)
  const files: RelocatedLogical[] = []
  for (const logical of logicals) {
    const { fid, end, keyId, baseIv, direct } = logical
    const runs = runsWithout(logical, dead)
    if (runs.count > 0) files.push({ fid, end, keyId, baseIv, direct, runs })
  }
  if (files.length === 0) return undefined
  const plan = new FileHoles(physical, files)
  return plan.bytes > 0 ? plan : undefined
}

function requirePlan(plan: HolePlan): FileHoles {
  if (!(plan instanceof FileHoles)) throw new InvalidArgumentError('no plan of holes')
  return plan
}

/** The runs of a logical file without the parts that lie in `dead`, which are ranges of its physical file. */
function runsWithout({ runs, written }: LogicalFile, dead: readonly Range[]): RunTable {
  const builder = new RunTableBuilder()
  const add = (logicalStart: number, physicalStart: number, length: number): void => {
    let at = physicalStart
    for (const { start, end } of dead) {
      if (end <= at || start >= physicalStart + length) continue
      if (start > at) builder.add(logicalStart + (at - physicalStart), at, start - at)
      at = end
    }
    if (at < physicalStart + length) builder.add(logicalStart + (at - physicalStart), at, physicalStart + length - at)
  }
  if (runs === undefined) add(FILE_HEADER_LENGTH, FILE_HEADER_LENGTH, written - FILE_HEADER_LENGTH)
  else for (let run = 0; run < runs.count; run++) add(runs.logicalStart(run), runs.physicalStart(run), runs.length(run))
  return builder.build()
}

async function writeLists(set: VlogSet, host: PunchHost, plans: readonly FileHoles[]): Promise<void> {
  const { fs } = set
  const temporary: string[] = []
  try {
    const written = await Promise.allSettled(
      plans.map(async ({ number, physical, files }) => {
        const path = tempName(physical.runsPath)
        const file = await createTemporary(fs, path)
        temporary.push(path)
        await writeAll(file, encodeRuns(number, files))
      }),
    )
    for (const outcome of written) if (outcome.status === 'rejected') throw outcome.reason
    host.checkWritable()
    for (const { physical } of plans) {
      await fs.rename(tempName(physical.runsPath), physical.runsPath)
      physical.hasRunsFile = true
    }
  } catch (error) {
    for (const path of temporary) await fs.remove(path).catch(() => undefined)
    throw error
  }
  try {
    await fs.syncDir(set.dir)
  } catch (error) {
    host.poison(error)
    throw error
  }
}

/** In the place of what a failure left there. */
async function createTemporary(fs: FileSystem, path: string): Promise<File> {
  try {
    return await fs.open(path, 'create')
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
  await fs.remove(path)
  return fs.open(path, 'create')
}

async function writeAll(file: File, bytes: Uint8Array): Promise<void> {
  try {
    await writeFully(file, bytes, 0, bytes.length, 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function linksOf(set: VlogSet, { path }: PhysicalFile): Promise<number> {
  const file = await set.fs.open(path, 'read')
  try {
    return (await file.usage()).links
  } finally {
    await file.close()
  }
}

/** Makes the holes of a file, if they are not there, and nobody else has a name for it. @throws NotSupportedError, IoError */
export async function makeHoles({ fs }: VlogSet, { path, size, holeBytes }: PhysicalFile, holes: readonly Hole[]): Promise<void> {
  const file = await fs.open(path, 'update')
  try {
    const { allocated, links } = await file.usage()
    // Where there are many, the map of the file takes some blocks itself.
    const needed = Math.ceil(size / BLOCK) * BLOCK - holeBytes + BLOCK * (holes.length >> 2)
    if (links !== 1 || allocated <= needed) return
    for (const { offset, length } of holes) await file.punch(offset, length)
  } finally {
    await file.close()
  }
}

/** Bytes of the file that it is tried on, and the part that becomes a hole. */
const TRIAL_BYTES = 1 << 16
const TRIAL_HOLE = 1 << 15

async function tryHole({ fs, dir }: VlogSet): Promise<boolean> {
  const path = tempName(`${dir}/${formatFileName('runs', 1)}`)
  const file = await createTemporary(fs, path)
  try {
    await writeFully(file, new Uint8Array(TRIAL_BYTES).fill(1), 0, TRIAL_BYTES, 0)
    await file.sync()
    const { allocated } = await file.usage()
    await file.punch(0, TRIAL_HOLE)
    return (await file.usage()).allocated < allocated
  } catch (error) {
    if (error instanceof NotSupportedError) return false
    throw error
  } finally {
    await file.close()
    await fs.remove(path)
  }
}

const NO_RANGES: RecordRanges = { offsets: new Uint32Array(0), lengths: new Uint32Array(0) }
