/**
 * What a value log that stands alone remembers in VLOGSTATE: garbage figures, files given up, where survivors are written, its clean end.
 *
 * A log whose host keeps its own marks (`durable`, `cleanEnd`) uses this in memory only. Writes of the file run one
 * after another. One that fails before it replaces the state that counts leaves that one; any other failure poisons the log, because
 * which state a crash leaves is then unknown.
 */
import { IoError, isOutOfSpace } from '@wk/codec'
import { DiscardStats } from './discard-stats.js'
import type { LogicalFile } from './file-map.js'
import type { FileNumbers } from './file-numbers.js'
import type { PhysicalFile } from './physical-file.js'
import { prepareState, replaceState, type LogState } from './state-file.js'
import type { VlogSet } from './vlog-set.js'
import type { LogPosition } from './sync-tracker.js'
import type { VlogWriter } from './vlog-writer.js'

/** Part of a file's size by which figures of garbage change until they are saved, and the least bytes. */
const SAVE_SHARE = 1 / 8
const LEAST_SAVE = 1 << 22

export interface LogMarksOptions {
  numbers: FileNumbers
  state: LogState | undefined
  /** There is a VLOGSTATE. */
  isPersistent: boolean
  fileSize: number
}

export class LogMarks {
  readonly stats = new DiscardStats()
  readonly #set: VlogSet
  readonly #writer: VlogWriter
  readonly #numbers: FileNumbers
  readonly #isPersistent: boolean
  readonly #saveAfter: number
  /** Files given up, each with the only one in the directory that tells of it: once that is gone, the mark has done its work. `undefined`: there may be more. */
  readonly #retired = new Map<number, PhysicalFile | undefined>()
  /** Being given up. */
  readonly #retiring = new Map<LogicalFile, Promise<number>>()
  /** See {@link LogState.survivors}. */
  #survivors: number[]
  #clean: LogState['clean']
  /** What the file says now, as far as {@link saveClean} compares. */
  #savedClean: LogState['clean']
  #writing: Promise<void> = Promise.resolve()
  #dirty = false

  constructor(set: VlogSet, writer: VlogWriter, { numbers, state, isPersistent, fileSize }: LogMarksOptions) {
    this.#set = set
    this.#writer = writer
    this.#numbers = numbers
    this.#isPersistent = isPersistent
    this.#saveAfter = Math.max(LEAST_SAVE, fileSize * SAVE_SHARE)
    this.#clean = state?.clean
    this.#savedClean = state?.clean
    this.#survivors = state?.survivors ?? []
    for (const [fid, discarded] of state?.discarded ?? []) {
      // Figures of files that are gone end here.
      if (set.map.get(fid) === undefined) this.#dirty = true
      else this.stats.load(fid, discarded)
    }
    for (const fid of state?.retired ?? []) this.#retired.set(fid, undefined)
  }

  /** The log was opened: torn tails are cut, and from now on no file that was found may have one. */
  async opened(): Promise<void> {
    if (this.#survivors.length === 0) return
    this.#survivors = []
    await this.#save()
  }

  /**
   * Gives a file up, and takes it out of the log and unlinks it by `sweep` unless it is pinned. Resolves with the bytes that go. It is durable by
   * then: there is a mark, or the file is gone. After a failure to make the mark the file stays as it is. Who gives up one that is given up already waits for that, and
   * frees nothing.
   */
  async retire(logical: LogicalFile, sweep: () => Promise<void>): Promise<number> {
    // A second attempt of its own, if it failed, would take the mark of the first back.
    const before = this.#retiring.get(logical)
    if (before !== undefined) await before
    if (logical.retired) return 0
    const retiring = this.#retireOnce(logical, sweep)
    this.#retiring.set(logical, retiring)
    try {
      return await retiring
    } finally {
      this.#retiring.delete(logical)
    }
  }

  async #retireOnce(logical: LogicalFile, sweep: () => Promise<void>): Promise<number> {
    const { fid, physical } = logical
    let isMarked = true
    this.#retired.set(fid, isAlone(logical) ? physical : undefined)
    try {
      await this.#save()
    } catch (error) {
      if (!isOutOfSpace(error) || !this.#canGoUnmarked(logical)) {
        this.#retired.delete(fid)
        throw error
      }
      isMarked = false
    }
    logical.retired = true
    this.stats.forget(fid)
    if (logical.hostPins > 0) return 0
    const freed = this.#set.drop([fid])
    if (isMarked) {
      await sweep()
    } else {
      await this.#set.sweep()
      if (!physical.isGone) await this.#save()
    }
    return freed
  }

  /**
   * Whether the file may be unlinked at once, without a mark: nothing pins it, and a higher number is durable. A crash may bring it back, with records
   * that nobody refers to, as garbage that is collected again.
   */
  #canGoUnmarked(logical: LogicalFile): boolean {
    if (this.#writer.failure !== undefined || this.#set.hasRelocated || !isAlone(logical)) return false
    const { hostPins, physical } = logical
    return hostPins === 0 && physical.pins === 0 && physical.fids.size === 1 && !this.#set.isHighest(physical.highest)
  }

  /** Remembers that files for survivors come to be, now that those before are durable; durable when it resolves. */
  async announceSurvivors(fids: readonly number[]): Promise<void> {
    // Lower ones are not taken for the newest that fresh records were written to.
    const fresh = this.#writer.writtenPosition().fid
    this.#survivors = [...this.#survivors.filter((fid) => fid > fresh), ...fids]
    this.#dirty = true
    await this.#save()
  }

  /** Something was made durable: saves the figures, if they have changed by much. Nobody waits for it. */
  noteSync(): void {
    if (!this.#isPersistent || this.stats.uncommittedBytes < this.#saveAfter) return
    this.stats.commit()
    this.#dirty = true
    // The next call meets a failure that poisons the log. After another one the figures are saved with the next state.
    this.#save().catch(() => undefined)
  }

  /** Makes the figures final and remembers where the log ends. */
  async saveClean(end: LogPosition): Promise<void> {
    const isSame = this.#savedClean?.fid === end.fid && this.#savedClean.size === end.offset
    if (isSame && !this.stats.dirty && !this.#dirty) return
    this.stats.commit()
    this.#survivors = []
    this.#clean = end.fid === 0 ? undefined : { fid: end.fid, size: end.offset }
    if (this.#clean === undefined && this.#retired.size === 0) return
    await this.#save()
  }

  /** Resolves when nothing is being saved. */
  async settled(): Promise<void> {
    await this.#writing
  }

  /** Ascending. Their numbers never come back, whether they are remembered or not: {@link LogState.nextNumber} is above them. */
  #retiredFids(): number[] {
    // A copy of it, begun before it was given up, may come to be afterwards.
    if (!this.#set.hasRelocated) for (const [fid, physical] of this.#retired) if (physical?.isGone === true) this.#retired.delete(fid)
    return [...this.#retired.keys()].sort((a, b) => a - b)
  }

  async #save(): Promise<void> {
    if (!this.#isPersistent) return
    const run = this.#writing.then(async () => {
      this.#writer.checkWritable()
      const { fs, dir } = this.#set
      const clean = this.#clean
      let isReplacing = false
      try {
        await prepareState(fs, dir, {
          nextNumber: this.#numbers.next,
          clean,
          discarded: this.stats.committed().filter(([fid]) => !this.#retired.has(fid)),
          retired: this.#retiredFids(),
          survivors: this.#survivors,
        })
        isReplacing = true
        await replaceState(fs, dir)
        this.#savedClean = clean
      } catch (error) {
        if (isReplacing || isFailedSync(error)) this.#writer.poison(error)
        throw error
      }
    })
    this.#writing = run.catch(() => undefined)
    await run
  }
}

/** Whether it lies in a file of its own, under its own number. */
function isAlone({ fid, physical }: LogicalFile): boolean {
  return physical.number === fid && !physical.relocated
}

/** A device that failed to sync may have lost more than this (law 9). One without room has lost nothing. */
function isFailedSync(error: unknown): boolean {
  return error instanceof IoError && error.operation === 'sync' && !isOutOfSpace(error)
}
