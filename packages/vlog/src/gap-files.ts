/**
 * Files that lie in gaps of older ones: new records are written where nothing alive is left, instead of copying what is alive somewhere else.
 *
 * A gap file is a logical file like every other, with a number of its own; its runs are the gaps. The list of them lies beside the older file,
 * together with what is left of that (`run-lists.ts`), and is durable before the first record goes into a gap: so a record has one address for
 * good, an address of before leads nowhere, and whatever a crash leaves in a gap has no name but that of the gap file, of which recovery
 * believes only what the host's log tells and what verifies (law 6; docs/adr/0029).
 *
 * Only sealed files have gaps, only with one name (a checkpoint reads what it shares), and a gap takes records only when every read of before
 * has ended. Order: gap files are used in the order of their numbers, as all files are; one whose turn has passed is sealed as it is.
 */
import { GcRunningError, InvalidArgumentError } from '@wk/codec'
import { checkArray } from './arguments.js'
import type { GapWriting, LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH, MAX_FILE_END, MIN_RECORD_LENGTH } from './format.js'
import type { PhysicalFile } from './physical-file.js'
import type { RecordRanges } from './relocation-writer.js'
import { LeaveOutRoom, inLots, leaveOut, linksOf, writeLists, type LeftOver, type ListHost } from './run-lists.js'
import type { RunTable } from './run-table.js'
import { rangesOf } from './runs-file.js'
import type { VlogSet } from './vlog-set.js'

/** Gaps of a file: what {@link GapFiles.plan} gives and {@link GapFiles.open} takes. */
export interface GapPlan {
  /** Number of the physical file. */
  readonly number: number
  /** Bytes of the gaps. */
  readonly bytes: number
  /** Bytes of the longest one. */
  readonly longest: number
  /** Entries of run tables that are there afterwards, gap file included. */
  readonly entries: number
}

/** All of a plan. */
class FileGaps implements GapPlan {
  readonly left: LeftOver
  readonly runs: RunTable
  /** The logical files in it, and their runs, as they were. */
  readonly #before: readonly { readonly logical: LogicalFile; readonly runs: RunTable | undefined }[]

  constructor(left: LeftOver, runs: RunTable) {
    this.left = left
    this.runs = runs
    this.#before = left.logicals.map((logical) => ({ logical, runs: logical.runs }))
  }

  /** The file is as it was when the plan was made (holes, and other gaps, leave its logical files with other runs), and nobody holds it. */
  isCurrent(): boolean {
    const { fids } = this.left.physical
    return this.#before.every(({ logical, runs }) => fids.has(logical.fid) && logical.runs === runs && !logical.retired && logical.hostPins === 0)
  }

  get number(): number {
    return this.left.physical.number
  }

  get bytes(): number {
    return this.runs.bytes
  }

  get longest(): number {
    return this.runs.longest
  }

  get entries(): number {
    return this.left.files.reduce((sum, { runs }) => sum + runs.count, this.runs.count)
  }
}

/** Gaps of a physical file. */
export interface GapPlace {
  readonly physical: PhysicalFile
  readonly runs: RunTable
}

/** The one that writes them. */
export interface GapWriter {
  /** Records go into gaps now. */
  readonly isFilling: boolean
  /** Bytes of gaps that records may still go to. */
  readonly gapBytes: number
  /** Empty files with the next numbers. */
  planInGaps(places: readonly GapPlace[]): LogicalFile[]
  /** Takes files that records may go to; what it does not want is sealed. */
  offer(files: readonly LogicalFile[]): void
  /** Seals those that it was offered and that no record went to. */
  giveUpGaps(): void
}

/** What `ValueLog.gaps` is. It requires that nobody else relocates, punches or drops what it is given, and that the log is writable. */
export class GapFiles {
  readonly #set: VlogSet
  readonly #host: ListHost
  readonly #writer: GapWriter
  readonly #isStandalone: boolean
  readonly #room = new LeaveOutRoom()

  /** `isStandalone`: nobody but the log says what of it is durable, and it goes by the ends of files. Then there are no gaps. */
  constructor(set: VlogSet, host: ListHost, writer: GapWriter, isStandalone: boolean) {
    this.#isStandalone = isStandalone
    this.#set = set
    this.#host = host
    this.#writer = writer
  }

  /** Records go into gaps now: they are not among those that `recordsFrom` gives. */
  get isFilling(): boolean {
    return this.#writer.isFilling
  }

  /** Bytes of gaps that records may still go to. */
  get bytes(): number {
    return this.#writer.gapBytes
  }

  /**
   * The gaps that physical file `number` has if what is `live`, for each of its logical files, stays: dead ranges of `least` bytes and more. `undefined` if there are none,
   * somebody holds the file, it is encrypted, some of it was given back, or the host has no durable marks of its own. @throws CorruptionError for a range that is not there
   */
  plan(number: number, live: ReadonlyMap<number, RecordRanges>, least: number): GapPlan | undefined {
    if (this.#isStandalone) return undefined
    // What nobody asked about is not known to be dead.
    if (![...(this.#set.physicalFile(number)?.fids ?? [])].every((fid) => live.has(fid))) return undefined
    const found = leaveOut(this.#set, number, live, Math.max(least, MIN_RECORD_LENGTH), this.#room)
    if (found === undefined) return undefined
    const { left, dead } = found
    // What is nothing but gaps goes as a whole.
    if (left.files.length === 0 || dead.count === 0 || left.physical.holeBytes > 0) return undefined
    // A gap file has no data key: what is written to it would be plain.
    if (left.files.some(({ keyId }) => keyId !== 0)) return undefined
    let end = FILE_HEADER_LENGTH
    // Short ones, too, that nothing covers any more since something was dropped: in no run of the list they would pass for holes.
    const gaps = isCovered(left) ? dead : rangesOf(left.files).gaps(FILE_HEADER_LENGTH, left.physical.recordsEnd, MIN_RECORD_LENGTH)
    const builder = this.#room.runs
    builder.reset(gaps.count)
    for (let i = 0; i < gaps.count; i++) {
      const length = gaps.end(i) - gaps.start(i)
      if (end + length > MAX_FILE_END) break
      builder.add(end, gaps.start(i), length)
      end += length
    }
    const runs = builder.build()
    return runs.count === 0 ? undefined : new FileGaps(left, runs)
  }

  /**
   * Carries plans out: from when it resolves, at the latest when the reads of before have ended, records go into these gaps. What is alive in a file must be no more
   * than when its plan was made. Files that are not what they were then, and those that have a second name, are left out. Resolves with the plans that came to something.
   * @throws InvalidArgumentError for what is no plan, GcRunningError for a file that a relocation copies, IoError (a failed sync of the directory poisons the log)
   */
  async open(given: readonly GapPlan[]): Promise<GapPlan[]> {
    this.#host.checkWritable()
    const plans = checkArray('plans', given).map(requirePlan).filter((plan) => plan.isCurrent())
    const set = this.#set
    const fids = plans.flatMap(({ left }) => left.files.map(({ fid }) => fid))
    for (const fid of fids) if (set.moving.has(fid)) throw new GcRunningError(`value-log file ${fid} is being relocated`)
    for (const fid of fids) set.moving.add(fid)
    for (const { left } of plans) set.pin(left.physical)
    const chosen: FileGaps[] = []
    let fillers: LogicalFile[] = []
    try {
      const links = new Map<FileGaps, number>()
      await inLots(plans, async (plan) => void links.set(plan, await linksOf(set, plan.left.physical)))
      chosen.push(...plans.filter((plan) => links.get(plan) === 1))
      if (chosen.length === 0) return chosen
      fillers = this.#writer.planInGaps(chosen.map(({ left: { physical }, runs }) => ({ physical, runs })))
      await writeLists(set, this.#host, chosen.map(({ left: { physical, files } }, i) => ({ physical, files: [...files, listed(fillers[i]!)] })))
    } finally {
      for (const fid of fids) set.moving.delete(fid)
      for (const { left } of plans) set.unpin(left.physical)
    }
    const done: FileGaps[] = []
    const offered: LogicalFile[] = []
    for (const [i, plan] of chosen.entries()) {
      const { physical } = plan.left
      const filler = fillers[i]!
      // Dropped meanwhile.
      if (!set.openGaps(plan.left, filler)) continue
      filler.gaps = { output: undefined, unpinnedBefore: physical.pins === 0 ? -1 : physical.unpinned }
      offered.push(filler)
      done.push(plan)
    }
    this.#writer.offer(offered)
    return done
  }

  /** Nothing more goes into gaps that no record went to yet: from now on the files that have them do not change. */
  giveUp(): void {
    this.#writer.giveUpGaps()
  }
}

/** Whether every read has ended that may have begun before the gaps were free. */
export function isUnread({ physical: { pins, unpinned } }: LogicalFile, { unpinnedBefore }: GapWriting): boolean {
  return pins === 0 || unpinnedBefore === -1 || unpinned !== unpinnedBefore
}

/** Bytes of gaps behind the last record of a file that lies in some. */
export function gapBytesLeft({ runs, end }: LogicalFile): number {
  return runs === undefined ? 0 : runs.end - end
}

/** Whether each byte of the file belongs to one of its logical files, which do not overlap unless one of them is the file itself: then what becomes dead is all that no run covers. */
function isCovered({ physical, logicals }: LeftOver): boolean {
  let covered = FILE_HEADER_LENGTH
  for (const { runs, written, direct } of logicals) {
    if (direct) return false
    covered += runs?.bytes ?? written - FILE_HEADER_LENGTH
  }
  return covered === physical.recordsEnd
}

function listed({ fid, keyId, baseIv, runs }: LogicalFile): LeftOver['files'][number] {
  if (runs === undefined) throw new InvalidArgumentError('no file in gaps')
  return { fid, end: runs.end, keyId, baseIv, direct: false, runs }
}

function requirePlan(plan: GapPlan): FileGaps {
  if (!(plan instanceof FileGaps)) throw new InvalidArgumentError('no plan of gaps')
  return plan
}
