/**
 * Holes instead of copies (option `gc.punchHoles`), in files of long values whose dead records leave ranges of at least 128 KiB. A hole
 * costs the file system about the same whatever its length, copying costs by the byte (ADR 0024).
 *
 * Which files get holes is decided here; that they are made safely is the value log's business.
 */
import type { LsmTree, RecordRanges } from '@wk/lsm'
import type { HolePlan, PhysicalFileInfo, ValueLog } from '@wk/vlog'
import { publishGc } from './gc-events.js'
import type { ValueLogFile } from './gc-victims.js'

/** Dead bytes side by side that are worth a hole, by default. */
export const LEAST_HOLE = 128 * 1024
/** Part of a file's garbage that holes must give back; else it is copied, which gives back all. */
const LEAST_SHARE = 1 / 2
/** A file with less that is alive for each dead byte is copied: that costs as little, and files do not become ever more. */
const LEAST_LIVE = 1 / 8

export class HoleCollector {
  readonly #dir: string
  readonly #tree: LsmTree
  readonly #vlog: ValueLog
  readonly #least: number | undefined

  /** Bytes of holes made since open. */
  bytes = 0

  /** `least`: dead bytes side by side that are worth a hole. Undefined: it never makes any. */
  constructor(dir: string, tree: LsmTree, vlog: ValueLog, least: number | undefined) {
    this.#dir = dir
    this.#tree = tree
    this.#vlog = vlog
    this.#least = least
  }

  /** Makes holes in those of `files` for which that is better than to copy `live`, which knows all their records. Resolves with what was done. */
  async punch(files: readonly PhysicalFileInfo[], live: ReadonlyMap<number, RecordRanges>): Promise<HolePlan[]> {
    if (this.#least === undefined || this.#vlog.holes.isRefused) return []
    const plans = this.#choose(files, live, this.#least)
    if (plans.length === 0) return []
    const done = await this.#vlog.holes.punch(plans)
    if (done.length === 0) return done
    let bytes = 0
    for (const plan of done) bytes += plan.bytes
    this.bytes += bytes
    const numbers = done.map(({ number }) => number)
    publishGc(() => ({ dir: this.#dir, type: 'collected', reason: 'their long dead ranges were given back in place', files: numbers, bytesMoved: 0, bytesReclaimed: bytes, bytesPunched: bytes }))
    return done
  }

  /** Numbers of those of `files` that would get holes now, where the directory can have any. Changes nothing. */
  async wouldPunch(files: readonly ValueLogFile[]): Promise<Set<number>> {
    const least = this.#least
    if (least === undefined || this.#vlog.holes.isRefused) return new Set()
    const wanted = new Set(files.filter((file) => file.state === 'collectable' && mayHaveHoles(file, least)).map(({ number }) => number))
    const physical = this.#vlog.physicalFiles().filter(({ number }) => wanted.has(number))
    const live = new Map<number, RecordRanges>()
    for (const [fid, ranges] of await this.#tree.liveRanges(physical.flatMap(({ logical }) => logical))) if (ranges !== undefined) live.set(fid, ranges)
    const known = physical.filter(({ logical }) => logical.every((fid) => live.has(fid)))
    return new Set(this.#choose(known, live, least).map(({ number }) => number))
  }

  #choose(files: readonly PhysicalFileInfo[], live: ReadonlyMap<number, RecordRanges>, least: number): HolePlan[] {
    const plans: HolePlan[] = []
    for (const { number, recordBytes, logical } of files) {
      let liveBytes = 0
      let liveRecords = 0
      for (const fid of logical) {
        const lengths = live.get(fid)?.lengths ?? []
        liveRecords += lengths.length
        for (const length of lengths) liveBytes += length
      }
      const deadBytes = recordBytes - liveBytes
      if (liveBytes < LEAST_LIVE * deadBytes || !mayHaveHoles({ recordBytes, liveRecords }, least)) continue
      const plan = this.#vlog.holes.plan(number, live, least)
      if (plan !== undefined && plan.bytes >= LEAST_SHARE * deadBytes) plans.push(plan)
    }
    return plans
  }
}

/** Whether a file may have dead ranges of `least` bytes, as far as can be told without knowing where they are. */
function mayHaveHoles({ recordBytes, liveRecords }: { readonly recordBytes: number; readonly liveRecords: number }, least: number): boolean {
  return liveRecords * least <= recordBytes
}
