/**
 * Ranges of a value-log file that nothing refers to any more, and the list of what is left of it without them.
 *
 * The list (`runs-file.ts`) lies beside the file, and is durable before the ranges are used for anything else: given back as holes
 * (`hole-punching.ts`), or written to again (`gap-files.ts`). Then the map is switched in one turn: an address inside such a range is one
 * that no run covers, as after a relocation.
 */
import { errnoOf, tempName } from '@wk/codec'
import { writeFully, type File, type FileSystem } from '@wk/fs'
import { locate, type LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH } from './format.js'
import type { PhysicalFile } from './physical-file.js'
import { RangeList, type SortedRanges } from './range-list.js'
import type { RecordRanges } from './relocation-writer.js'
import { RunTableBuilder, type RelocatedLogical, type RunTable } from './run-table.js'
import { encodeRuns } from './runs-file.js'
import type { VlogSet } from './vlog-set.js'

/** A file without some ranges. */
export interface LeftOver {
  readonly physical: PhysicalFile
  /** The logical files in it, ascending, as they are without any of this. */
  readonly logicals: readonly LogicalFile[]
  /** What is left of the logical files in it; those of which nothing is are missing. */
  readonly files: readonly RelocatedLogical[]
}

/** Memory in which what is left of one file after the other is found. */
export class LeaveOutRoom {
  readonly ranges = new RangeList(0)
  readonly runs = new RunTableBuilder()
}

/** Part of the log that is needed besides the file set. */
export interface ListHost {
  /** @throws ReadOnlyError, ClosedError */
  checkWritable(): void
  /** Law 9: a commit of unknown outcome. */
  poison(error: unknown): void
}

/**
 * Physical file `number` without dead ranges of at least `least` bytes, if what is `live`, by logical file, stays. `undefined` if there is no such
 * file, or somebody holds it, or it is still written to. The dead ranges hold until `room` is used again. @throws CorruptionError for a range that is not there
 */
export function leaveOut(set: VlogSet, number: number, live: ReadonlyMap<number, RecordRanges>, least: number, room: LeaveOutRoom): { left: LeftOver; dead: SortedRanges } | undefined {
  const physical = set.physicalFile(number)
  if (physical === undefined) return undefined
  const logicals = [...physical.fids].sort((a, b) => a - b).map((fid) => set.map.require(fid))
  if (logicals.some(({ fid, sealed, retired, hostPins }) => !sealed || retired || hostPins > 0 || set.moving.has(fid))) return undefined
  const { ranges } = room
  ranges.reset(logicals.reduce((sum, { fid }) => sum + (live.get(fid)?.offsets.length ?? 0), 0))
  for (const logical of logicals) addRecords(ranges, logical, live.get(logical.fid) ?? NO_RANGES)
  const dead = ranges.gaps(FILE_HEADER_LENGTH, physical.recordsEnd, least)
  const files: RelocatedLogical[] = []
  for (const logical of logicals) {
    const { fid, end, keyId, baseIv, direct } = logical
    const runs = runsWithout(logical, dead, room.runs)
    // A gap file may end before its last gap does.
    if (runs.count > 0) files.push({ fid, end: Math.max(end, runs.end), keyId, baseIv, direct, runs })
  }
  return { left: { physical, logicals, files }, dead }
}

/** Adds where records of a logical file lie. Apart, for it is compiled while it runs for the first time: with what follows it, that would be thrown away. */
function addRecords(ranges: RangeList, logical: LogicalFile, { offsets, lengths }: RecordRanges): void {
  const { runs } = logical
  let run = 0
  for (let i = 0; i < offsets.length; i++) {
    const offset = offsets[i]!
    const length = lengths[i]!
    if (runs !== undefined) run = runs.runAt(offset, run)
    const start = locate(logical, offset, length, run)
    ranges.add(start, start + length)
  }
}

/** The runs of a logical file without the parts that lie in `dead`, which are ranges of its physical file. */
function runsWithout({ runs, written }: LogicalFile, dead: SortedRanges, builder: RunTableBuilder): RunTable {
  builder.reset(runs?.count ?? dead.count + 1)
  let next = 0
  const add = (logicalStart: number, physicalStart: number, length: number): void => {
    const stop = physicalStart + length
    let at = physicalStart
    next = dead.firstBehind(physicalStart, next)
    for (; next < dead.count && dead.start(next) < stop; next++) {
      if (dead.start(next) > at) builder.add(logicalStart + (at - physicalStart), at, dead.start(next) - at)
      at = dead.end(next)
    }
    if (at < stop) builder.add(logicalStart + (at - physicalStart), at, stop - at)
  }
  if (runs === undefined) add(FILE_HEADER_LENGTH, FILE_HEADER_LENGTH, written - FILE_HEADER_LENGTH)
  else for (let run = 0; run < runs.count; run++) add(runs.logicalStart(run), runs.physicalStart(run), runs.length(run))
  return builder.build()
}

/** Writes a list beside each of the files. Durable when it resolves. @throws IoError (a failed sync of the directory poisons the log) */
export async function writeLists(set: VlogSet, host: ListHost, lists: readonly Pick<LeftOver, 'physical' | 'files'>[]): Promise<void> {
  const { fs } = set
  const temporary: string[] = []
  const lengths = new Map<PhysicalFile, number>()
  try {
    await inLots(lists, async ({ physical, files }) => {
      const path = tempName(physical.runsPath)
      const file = await createTemporary(fs, path)
      temporary.push(path)
      const bytes = encodeRuns(physical.number, files)
      lengths.set(physical, bytes.length)
      await writeAll(file, bytes)
    })
    host.checkWritable()
    await inLots(lists, async ({ physical }) => {
      await fs.rename(tempName(physical.runsPath), physical.runsPath)
      physical.listBytes = lengths.get(physical)!
    })
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

/**
 * Files that are open at once for it: as many as lists are written at once, usually. Each lot costs some turns of an event loop that writers
 * keep busy, of 2 to 4 ms each: eight at a time took half as long again.
 */
const LOT = 32

/** `size` at a time. Rejects with the first failure when what was begun beside it has ended. */
export async function inLots<T>(items: readonly T[], work: (item: T) => Promise<void>, size: number = LOT): Promise<void> {
  for (let from = 0; from < items.length; from += size) {
    const outcomes = await Promise.allSettled(items.slice(from, from + size).map(work))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  }
}

/** In the place of what a failure left there. */
export async function createTemporary(fs: FileSystem, path: string): Promise<File> {
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

/** Names that the file has: more than one where a checkpoint shares it. @throws IoError */
export async function linksOf(set: VlogSet, { path }: PhysicalFile): Promise<number> {
  const file = await set.fs.open(path, 'read')
  try {
    return (await file.usage()).links
  } finally {
    await file.close()
  }
}

const NO_RANGES: RecordRanges = { offsets: new Uint32Array(0), lengths: new Uint32Array(0) }
