/**
 * What the space keeper goes by: how much is on the disk, how much of it is alive, and when it is worth finding out anew.
 *
 * Known figures are sums over lists; what is hidden is estimated from a sample (`hidden-garbage.ts`), and between two looks what was written
 * since is added as the last compaction taught: so much of it overwrote something. Nothing here has an effect on the database.
 */
import type { Runtime } from '@wk/fs'
import type { LsmTree } from '@wk/lsm'
import type { ValueLog } from '@wk/vlog'
import { allowedGarbage, granuleOf, pressureOf, withPassing } from './gc-plan.js'
import type { SpaceBounds } from './gc-plan.js'
import { measureSpace, withHidden } from './space-figures.js'
import type { SpaceFigures } from './space-figures.js'
import { WrittenCounter } from './space-written.js'

export interface SpaceEstimateParts {
  readonly tree: LsmTree
  readonly vlog: ValueLog
  readonly runtime: Runtime
  readonly bounds: SpaceBounds
  /** Part of all entries' bytes that is hidden garbage, by a new sample. */
  readonly hiddenShare: () => Promise<number>
  /** Somebody writes that may fill gaps. */
  readonly isFillable: () => boolean
}

/** Part of the garbage allowed beyond the hard bound at which writers wait longest. */
export const FULL_EXCESS = 0.17
/** Part of that garbage whose room is kept, until the first of it is out, for the copies of the passes that follow at once. */
const FIRST_COPIES = 1 / 8
/** Part of the live bytes, or of the entries, that must be written before the figures are worth another look. */
const LOOK_SHARE = 0.02
const LEAST_LOOK_OPERATIONS = 16
/** Looks may take this part of the time: the next one waits so many times as long as the last one took. */
const LOOK_REST = 20
/** So many times the operations that are worth a look are worth one whatever it costs. */
const SOONER = 8

/** What was written when a compaction began. */
interface WrittenBefore {
  readonly bytes: number
  readonly operations: number
}

export class SpaceEstimate {
  readonly written: WrittenCounter
  readonly #parts: SpaceEstimateParts
  #figures: SpaceFigures
  #tablesChanged = true
  #hiddenShare = 0
  /** Hidden part that the last compaction could not drop: snapshots and versions to keep hold it. */
  #heldShare = 0
  #snapshots = 0
  #entries = 0
  /** Time of the next look at the earliest. */
  #nextLook = 0
  #lookedAt = { bytes: -1, bytesInGaps: 0, operations: -1 }
  #broughtOutAt: WrittenBefore | undefined
  /** Part of what was written before the last compaction that overwrote something: of what is written now, too, most likely. */
  #overwriteShare = 0.5
  #broughtOut = { bytes: 0, liveBytes: 0 }

  constructor(parts: SpaceEstimateParts) {
    this.#parts = parts
    this.written = new WrittenCounter(parts.tree, parts.vlog)
    this.#figures = measureSpace(parts.tree, parts.vlog, 0)
  }

  /** Those of the last look, with what comes and goes beside files whose gaps are filled. */
  get figures(): SpaceFigures {
    return this.#figures
  }

  /** Part of all entries' bytes that is hidden garbage, as last estimated, without what a compaction could not drop. */
  get hiddenShare(): number {
    return this.#hiddenShare
  }

  /** Snapshots that were live at the last look. */
  get snapshots(): number {
    return this.#snapshots
  }

  /** The figures of the last look, with what was written since. */
  get now(): Pick<SpaceFigures, 'diskBytes' | 'liveBytes'> {
    const written = this.written.bytes - this.#lookedAt.bytes
    const grown = written - (this.written.bytesInGaps - this.#lookedAt.bytesInGaps)
    const { diskBytes, liveBytes } = this.#figures
    // Until the first garbage is out nothing tells how much of what is written is more of it: with some there already, all.
    const isFirst = this.#broughtOut.liveBytes === 0 && this.#hiddenShare > 0
    const overwritten = isFirst ? 1 : this.#overwriteShare
    return { diskBytes: diskBytes + grown, liveBytes: liveBytes + (1 - overwritten) * written }
  }

  /** Figures of now by what is known alone, with what comes and goes beside files whose gaps are filled. */
  measureKnown(): SpaceFigures {
    const { tree, vlog } = this.#parts
    return this.#withPassing(measureSpace(tree, vlog, 0))
  }

  /** How far the disk, with `more` bytes on it, is beyond the hard bound: 0 or less is not, 1 is where writers wait longest. */
  excess(more = 0): number {
    const { diskBytes, liveBytes } = this.now
    const { hard } = allowedGarbage(liveBytes, this.#parts.bounds)
    const reserve = this.#broughtOut.liveBytes === 0 ? FIRST_COPIES * hard : 0
    return (diskBytes + this.#parts.vlog.passingBytes + reserve + more - liveBytes - hard) / (FULL_EXCESS * hard)
  }

  /** Milliseconds until another look is worthwhile: 0 is now, `undefined` not for what was written so far. */
  dueIn(): number | undefined {
    const { bytes, operations } = this.written
    const { bounds, runtime } = this.#parts
    const leastBytes = Math.max(bounds.allowance / 4, this.#figures.liveBytes * LOOK_SHARE)
    const operationsSince = operations - this.#lookedAt.operations
    if (bytes - this.#lookedAt.bytes < leastBytes && operationsSince < this.#leastOperations()) return undefined
    const rest = this.#nextLook - runtime.monotonic()
    if (rest <= 0) return 0
    // Sooner, if what was written may all be garbage and that would be much of it.
    const { diskBytes, liveBytes } = this.#figures
    const isPressing = pressureOf({ diskBytes: diskBytes + bytes - this.#lookedAt.bytes, liveBytes }, bounds) > 0
    return isPressing || operationsSince >= SOONER * this.#leastOperations() ? 0 : rest
  }

  /** The tables are others: the next look takes a sample. */
  tablesChanged(): void {
    this.#tablesChanged = true
  }

  /** Figures of now; the hidden part by a new sample, if it may have changed. */
  async look(): Promise<void> {
    const { tree, vlog, runtime, hiddenShare } = this.#parts
    const start = runtime.monotonic()
    const { snapshots, tableEntries, memtableEntries } = tree.stats()
    this.#entries = tableEntries + memtableEntries
    if (snapshots < this.#snapshots) this.#broughtOutAt = undefined
    if (snapshots !== this.#snapshots) this.#heldShare = 0
    this.#snapshots = snapshots
    this.written.update()
    if (this.#tablesChanged || this.dueIn() === 0) {
      this.#tablesChanged = false
      const share = await hiddenShare()
      this.#hiddenShare = Math.max(0, share - this.#heldShare)
    }
    const { bytes, bytesInGaps, operations } = this.written
    const known = measureSpace(tree, vlog, 0)
    // A sample misses the few hot keys that most of the garbage may belong to: what counts as alive grew by more than it should have.
    const expected = this.#broughtOut.liveBytes + (1 - this.#overwriteShare) * (bytes - this.#broughtOut.bytes)
    const grown = this.#broughtOut.liveBytes === 0 ? 0 : 1 - expected / Math.max(1, known.knownLiveBytes)
    this.#figures = this.#withPassing(withHidden(known, Math.max(this.#hiddenShare, grown)))
    this.#lookedAt = { bytes, bytesInGaps, operations }
    const end = runtime.monotonic()
    this.#nextLook = end + LOOK_REST * (end - start)
  }

  /** A compaction now would meet entries that the last one has not. */
  canBringOut(): boolean {
    const last = this.#broughtOutAt
    if (last === undefined) return true
    const { bytes, operations } = this.written
    return bytes - last.bytes >= granuleOf(this.#figures, this.#parts.bounds) / 4 || operations - last.operations >= this.#leastOperations()
  }

  /** A compaction begins that brings garbage out. Returns what {@link broughtOut} is to be told. */
  beginBringOut(): WrittenBefore {
    const { bytes, operations } = this.written
    this.#broughtOutAt = { bytes, operations }
    return this.#broughtOutAt
  }

  /** The compaction has ended: learns how much of what had been written was garbage, and notes what stays hidden because something holds it. */
  async broughtOut(before: WrittenBefore): Promise<void> {
    const { tree, hiddenShare } = this.#parts
    const { snapshots } = tree.stats()
    this.#snapshots = snapshots
    this.#learn(before.bytes)
    // What was written meanwhile is hidden too, and not held: only what nothing was written beside is known to be.
    const isKnown = (): boolean => snapshots > 0 || this.written.operations === before.operations
    if (isKnown()) {
      const share = await hiddenShare()
      this.written.update()
      if (isKnown()) this.#heldShare = share
    }
    this.#tablesChanged = true
  }

  /** How much of what was written up to `bytes` was garbage when it was compacted. */
  #learn(bytes: number): void {
    const { tree, vlog } = this.#parts
    this.written.update()
    // What was written meanwhile counts as alive.
    const liveBytes = measureSpace(tree, vlog, 0).knownLiveBytes - (this.written.bytes - bytes)
    const written = bytes - this.#broughtOut.bytes
    if (written > 0 && this.#broughtOut.liveBytes > 0) this.#overwriteShare = Math.min(1, Math.max(0, 1 - (liveBytes - this.#broughtOut.liveBytes) / written))
    this.#broughtOut = { bytes, liveBytes }
  }

  #withPassing(figures: SpaceFigures): SpaceFigures {
    const { tree, bounds, isFillable } = this.#parts
    return isFillable() ? withPassing(figures, tree.stats().walBytes, bounds) : figures
  }

  #leastOperations(): number {
    return Math.max(LEAST_LOOK_OPERATIONS, this.#entries * LOOK_SHARE)
  }
}
