/**
 * What a value log that stands alone remembers in VLOGSTATE: garbage figures, files given up, its clean end.
 *
 * A log whose host keeps its own marks (`durable`, `cleanEnd`) uses this in memory only. Writes of the file run one
 * after another; a failed one poisons the log, because which state a crash leaves is then unknown.
 */
import { DiscardStats } from './discard-stats.js'
import { writeState, type LogState } from './state-file.js'
import type { VlogSet } from './vlog-set.js'
import type { LogPosition } from './sync-tracker.js'
import type { VlogWriter } from './vlog-writer.js'

export class LogMarks {
  readonly stats = new DiscardStats()
  readonly #set: VlogSet
  readonly #writer: VlogWriter
  readonly #persistent: boolean
  readonly #retired = new Set<number>()
  #clean: LogState['clean']
  /** What the file says now, as far as {@link saveClean} compares. */
  #savedClean: LogState['clean']
  #writing: Promise<void> = Promise.resolve()
  #dirty = false

  constructor(set: VlogSet, writer: VlogWriter, state: LogState | undefined, persistent: boolean) {
    this.#set = set
    this.#writer = writer
    this.#persistent = persistent
    this.#clean = state?.clean
    this.#savedClean = state?.clean
    for (const [fid, discarded] of state?.discarded ?? []) {
      // Figures of files that are gone end here.
      if (set.map.get(fid) === undefined) this.#dirty = true
      else this.stats.load(fid, discarded)
    }
    // A mark is kept until the next open has seen the file gone.
    for (const fid of state?.retired ?? []) this.#retired.add(fid)
  }

  /** Remembers that a file is given up; durable when it resolves. */
  async retire(fid: number): Promise<void> {
    this.#retired.add(fid)
    this.stats.forget(fid)
    await this.#save()
  }

  /** Makes the figures final and remembers where the log ends. */
  async saveClean(end: LogPosition): Promise<void> {
    const isSame = this.#savedClean?.fid === end.fid && this.#savedClean.size === end.offset
    if (isSame && !this.stats.dirty && !this.#dirty) return
    this.stats.commit()
    this.#clean = end.fid === 0 ? undefined : { fid: end.fid, size: end.offset }
    if (this.#clean === undefined && this.#retired.size === 0) return
    await this.#save()
  }

  async #save(): Promise<void> {
    if (!this.#persistent) return
    const run = this.#writing.then(async () => {
      this.#writer.checkWritable()
      try {
        await writeState(this.#set.fs, this.#set.dir, {
          nextNumber: this.#writer.nextNumber,
          clean: this.#clean,
          discarded: this.stats.committed(),
          retired: [...this.#retired].sort((a, b) => a - b),
        })
        this.#savedClean = this.#clean
      } catch (error) {
        this.#writer.poison(error)
        throw error
      }
    })
    this.#writing = run.catch(() => undefined)
    await run
  }
}
