/**
 * Collections that the owner of the database asks for: `db.runValueLogGC()`, `db.gc()`, and what that would do.
 *
 * One at a time; a second one is refused. They take their turns with the background at the collector's lock, and have the files to
 * themselves then: gaps that are open end first. The file with the largest dead part is the first to go, whatever it costs to copy the
 * rest: the caller named a bound. The steps are those of `value-log-gc.ts`; the background takes them in `space-keeper.ts`.
 */
import { GcRunningError, InvalidArgumentError, NoRewriteError, throwIfAborted } from '@wk/codec'
import type { GcReport } from '@wk/gc'
import type { LsmTree } from '@wk/lsm'
import type { ValueLog } from '@wk/vlog'
import type { GcPlan } from './dry-run.js'
import { pickVictims } from './gc-victims.js'
import type { ValueLogFile } from './gc-victims.js'
import type { MaintenanceOptions } from './maintenance.js'
import { measureSpace } from './space-figures.js'
import type { ValueLogGc } from './value-log-gc.js'

export class GcCalls {
  readonly #gc: ValueLogGc
  readonly #tree: LsmTree
  readonly #vlog: ValueLog
  #running = false

  constructor(gc: ValueLogGc, tree: LsmTree, vlog: ValueLog) {
    this.#gc = gc
    this.#tree = tree
    this.#vlog = vlog
  }

  /** One pass: dead files go, and the worst file whose dead part is at least `ratio` is rewritten. `WK_NO_REWRITE` if there is neither. */
  async collectWorst(ratio: number, options: MaintenanceOptions): Promise<GcReport> {
    if (typeof ratio !== 'number' || !(ratio > 0 && ratio < 1)) throw new InvalidArgumentError('the discard ratio must lie between 0 and 1, both excluded')
    return this.#run(options.signal, async () => {
      const gc = this.#gc
      await gc.flush()
      let collected = await this.#removeDead(options)
      let victim = this.#worst(ratio)
      if (victim === undefined && (await gc.compact(options))) {
        collected += await this.#removeDead(options)
        victim = this.#worst(ratio)
      }
      throwIfAborted(options.signal)
      if (victim !== undefined) collected += await gc.relocate([victim], options)
      await gc.shortenRunTables(options)
      if (collected === 0) throw new NoRewriteError('no value log holds enough garbage')
      return collected
    })
  }

  /** Passes until disk bytes over live bytes are at most `maxSpaceAmp`, or every file that was there was looked at. */
  async collectTo(maxSpaceAmp: number, options: MaintenanceOptions): Promise<GcReport> {
    return this.#run(options.signal, async () => {
      const gc = this.#gc
      await gc.flush()
      let collected = await this.#removeDead(options)
      if (this.#spaceAmp() > maxSpaceAmp || (await this.#hidesMore(maxSpaceAmp))) {
        if (await gc.compact(options)) collected += await this.#removeDead(options)
      }
      const left = new Set(this.#vlog.physicalFiles().map(({ number }) => number))
      while (this.#spaceAmp() > maxSpaceAmp && left.size > 0) {
        throwIfAborted(options.signal)
        const [worst] = this.#ranked().filter(({ number, deadRatio }) => deadRatio > 0 && left.has(number))
        if (worst === undefined) break
        // What is of the same age goes along into the same new file.
        const others = pickVictims(gc.files().filter(({ number, generation }) => left.has(number) && generation === worst.generation && number !== worst.number), {
          leastDead: worst.deadRatio / 2,
          liveBytes: Math.max(0, worst.size - worst.liveBytes),
          deadBytes: Infinity,
        })
        const victims = [worst, ...others]
        for (const { number } of victims) left.delete(number)
        collected += await gc.relocate(victims, options)
        await gc.shortenRunTables(options)
      }
      return collected
    })
  }

  /** What {@link GcCalls.collectTo} would do now. Changes nothing. */
  async plan(maxSpaceAmp: number, background: string): Promise<GcPlan> {
    const gc = this.#gc
    const share = await gc.hidden.share()
    const { spaceAmp, hiddenBytes } = measureSpace(this.#tree, this.#vlog, share)
    const dead = new Set(gc.deadFids())
    const files = gc.files()
    const isOver = spaceAmp > maxSpaceAmp
    const rewrites = isOver ? this.#ranked().filter(({ deadRatio, logical }) => deadRatio > 0 && !logical.every((fid) => dead.has(fid))) : []
    const punched = await gc.holes.wouldPunch(rewrites)
    return {
      spaceAmp,
      hiddenBytes,
      compacts: isOver && !gc.isCompacted,
      removes: files.filter(({ logical }) => logical.every((fid) => dead.has(fid))),
      rewrites: rewrites.filter(({ number }) => !punched.has(number)),
      punches: rewrites.filter(({ number }) => punched.has(number)),
      background,
    }
  }

  /** Holds the lock while `work` runs, which returns how many files it collected. The signal ends the wait for the lock. */
  async #run(signal: AbortSignal | undefined, work: () => Promise<number>): Promise<GcReport> {
    if (this.#running) throw new GcRunningError('a value-log GC is running already')
    this.#running = true
    const gc = this.#gc
    try {
      return await gc.locked(async () => {
        gc.ranges.forget()
        await gc.gaps.end()
        // Nobody else collects meanwhile.
        const { bytesMoved, bytesReclaimed } = gc
        const filesCollected = await work()
        return { filesCollected, bytesMoved: gc.bytesMoved - bytesMoved, bytesReclaimed: gc.bytesReclaimed - bytesReclaimed, spaceAmp: this.#spaceAmp() }
      }, signal)
    } finally {
      this.#running = false
    }
  }

  /** Removes dead files, the only step of many a call, and tells so. Returns how many went. */
  async #removeDead({ onProgress }: MaintenanceOptions): Promise<number> {
    const before = this.#gc.bytesReclaimed
    const removed = await this.#gc.removeDead()
    if (removed > 0) onProgress?.({ phase: 'remove', done: removed, total: removed, bytes: this.#gc.bytesReclaimed - before })
    return removed
  }

  /** Every file, the largest dead part first, damaged ones last. */
  #ranked(): ValueLogFile[] {
    const isLast = ({ state }: ValueLogFile): number => (state === 'damaged' ? 1 : 0)
    return this.#gc.files().sort((a, b) => isLast(a) - isLast(b) || b.deadRatio - a.deadRatio)
  }

  #worst(ratio: number): ValueLogFile | undefined {
    return this.#ranked().find(({ deadRatio }) => deadRatio >= ratio)
  }

  /** Bytes on disk for each byte of keys and values, as far as is known; 1 for an empty database. */
  #spaceAmp(): number {
    return measureSpace(this.#tree, this.#vlog, 0).knownSpaceAmp
  }

  async #hidesMore(maxSpaceAmp: number): Promise<boolean> {
    const share = await this.#gc.hidden.share()
    return measureSpace(this.#tree, this.#vlog, share).spaceAmp > maxSpaceAmp
  }
}
