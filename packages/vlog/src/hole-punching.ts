/**
 * Gives long dead ranges of a value-log file back without copying what is alive: holes, of which a list is made first.
 *
 * The list (`runs-file.ts`) is durable before the first hole is made, so that a crash in between leaves at worst blocks that nothing
 * names (law 6). Then the map is switched in one turn: an address inside a hole is one that no run covers, as after a relocation. The
 * holes themselves are made by the set's sweep, when no read of before is under way any more. A file of more than one name
 * is left alone: a checkpoint reads it that has no such list.
 */
import { GcRunningError, InvalidArgumentError, NotSupportedError, formatFileName, tempName } from '@wk/codec'
import { writeFully } from '@wk/fs'
import { checkArray } from './arguments.js'
import { MAX_FID } from './format.js'
import type { PhysicalFile } from './physical-file.js'
import type { RecordRanges } from './relocation-writer.js'
import { LeaveOutRoom, createTemporary, leaveOut, linksOf, writeLists, type ListHost } from './run-lists.js'
import type { RelocatedLogical } from './run-table.js'
import { BLOCK, holesBetween, type Hole } from './runs-file.js'
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
export interface PunchHost extends ListHost {
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
    const plans = checkArray('plans', given).map(requirePlan)
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
  const left = leaveOut(set, number, live, least, new LeaveOutRoom())?.left
  if (left === undefined || left.files.length === 0) return undefined
  // The list that there is may be all that knows the highest number (law 11).
  const { highest, number: own } = left.physical
  if (highest > own && set.isHighest(highest) && !left.files.some(({ fid }) => fid === highest)) return undefined
  const plan = new FileHoles(left.physical, left.files)
  return plan.bytes > 0 ? plan : undefined
}

function requirePlan(plan: HolePlan): FileHoles {
  if (!(plan instanceof FileHoles)) throw new InvalidArgumentError('no plan of holes')
  return plan
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
  // The name of a list, so that the next open takes it away after a crash, but of one that nobody writes meanwhile.
  const path = tempName(`${dir}/${formatFileName('runs', MAX_FID)}`)
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
