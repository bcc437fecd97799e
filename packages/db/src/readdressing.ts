/**
 * Keeps run tables short: has pointers rewritten to where records really lie, so that nobody needs to know any more where they once lay.
 *
 * After a collection the old place of every record, or every stretch of them, takes an entry in memory. With too many of them the tables that
 * refer to relocated logical files are compacted, and their pointers then name the relocated file itself (docs/adr/0018). The old logical files
 * lose their last reference with the last view that used them, and are dropped like any other.
 *
 * While that is under way the files concerned are left alone by passes: what tables refer to would not tell them what jobs are
 * about to refer to.
 */
import { TimeSlice } from '@wk/fs'
import type { Runtime } from '@wk/fs'
import { refersTo } from '@wk/lsm'
import type { LsmTree, MovePointersOptions, PointerMove } from '@wk/lsm'
import type { ValueLog } from '@wk/vlog'

/** Most entries of run tables by default: 64 MiB of memory. */
export const MOST_RUNS = 1 << 22

/** From this part of the entries on pointers are rewritten, until as many are left as the second says. */
const DUE_SHARE = 1 / 2
const LEFT_SHARE = 1 / 4
/** Least part of the entries that is worth it: the others may be those that old views need. */
const LEAST_SHARE = 1 / 8

/** A logical file that pointers need not name any more. */
interface Candidate {
  readonly fid: number
  /** Number of the physical file. */
  readonly physical: number
  readonly runs: number
  readonly liveBytes: number
}

export class Readdressing {
  readonly #tree: LsmTree
  readonly #vlog: ValueLog
  readonly #runtime: Runtime
  readonly #mostRuns: number
  /** Physical files of what is being rewritten. */
  readonly #files = new Set<number>()
  /** Logical files that were rewritten in vain: something in a table refers to nowhere, or they have no other address. */
  readonly #stuck = new Set<number>()

  /** Logical files to which pointers were rewritten away from, since open. */
  retired = 0

  constructor(tree: LsmTree, vlog: ValueLog, runtime: Runtime, mostRuns: number) {
    this.#tree = tree
    this.#vlog = vlog
    this.#runtime = runtime
    this.#mostRuns = mostRuns
  }

  /** Numbers of the physical files concerned. */
  get files(): number[] {
    return [...this.#files]
  }

  /** Whether pointers into this physical file are being rewritten. */
  has(number: number): boolean {
    return this.#files.has(number)
  }

  /** Whether it is worth a call of {@link Readdressing.run}. `isBusy`: a physical file that somebody copies from. */
  isDue(isBusy: (number: number) => boolean): boolean {
    if (this.#files.size > 0) return false
    return runsOf(this.#vlog.physicalFiles()) > DUE_SHARE * this.#mostRuns && runsOf(this.#candidates(isBusy)) >= LEAST_SHARE * this.#mostRuns
  }

  /**
   * Has the tables rewritten. Requires that nobody calls it, or begins a pass over files for which {@link Readdressing.has} says so, until it
   * has settled.
   */
  async run(isBusy: (number: number) => boolean, options: MovePointersOptions): Promise<void> {
    const candidates = this.#candidates(isBusy)
    for (const { physical } of candidates) this.#files.add(physical)
    try {
      const slice = new TimeSlice(this.#runtime)
      const chosen = await this.#choose(candidates, slice)
      const concerned = new Set(chosen.map(({ physical }) => physical))
      for (const number of this.#files) if (!concerned.has(number)) this.#files.delete(number)
      const moves: PointerMove[] = []
      for (const { fid } of chosen) {
        const move = this.#vlog.directPlaces(fid)
        if (move === undefined) this.#stuck.add(fid)
        else moves.push(move)
        if (slice.due()) await slice.pause()
      }
      if (moves.length === 0) return
      await this.#tree.movePointers(moves, options)
      this.#note(moves, options.isEnough?.() === true)
    } finally {
      this.#files.clear()
    }
  }

  /** `isPart`: it was ended early. */
  #note(moves: readonly PointerMove[], isPart: boolean): void {
    const live = this.#tree.liveReferences()
    for (const { fid } of moves) {
      if (!live.has(fid)) this.retired++
      else if (!isPart) this.#stuck.add(fid)
    }
  }

  #candidates(isBusy: (number: number) => boolean): Candidate[] {
    const live = this.#tree.liveReferences()
    const candidates: Candidate[] = []
    for (const { fid, physical, runs } of this.#vlog.files()) {
      const liveBytes = live.get(fid)?.bytes
      // One with holes names the file that it lies in already, and one in gaps of it has no second address.
      if (runs === 0 || fid >= physical || liveBytes === undefined || isBusy(physical) || this.#stuck.has(fid)) continue
      candidates.push({ fid, physical, runs, liveBytes })
    }
    return candidates
  }

  /** Those with most entries for their bytes, as many as have to go; and whatever then costs no table more. */
  async #choose(candidates: readonly Candidate[], slice: TimeSlice): Promise<Candidate[]> {
    const ranked = [...candidates].sort((a, b) => b.runs / (b.liveBytes + 1) - a.runs / (a.liveBytes + 1))
    const excess = runsOf(this.#vlog.physicalFiles()) - LEFT_SHARE * this.#mostRuns
    const chosen = new Set<number>()
    for (let i = 0, sum = 0; i < ranked.length && sum < excess; i++) {
      chosen.add(ranked[i]!.fid)
      sum += ranked[i]!.runs
    }
    const elsewhere = new Set<number>()
    const view = this.#tree.acquireView()
    for (const table of view.version.tables()) {
      if (!refersTo(table, chosen)) for (const { fid } of table.references) elsewhere.add(fid)
      if (slice.due()) await slice.pause()
    }
    view.release()
    return ranked.filter(({ fid }) => chosen.has(fid) || !elsewhere.has(fid))
  }
}

/** Entries of the run tables of files. */
function runsOf(files: readonly { readonly runs: number }[]): number {
  let entries = 0
  for (const { runs } of files) entries += runs
  return entries
}
