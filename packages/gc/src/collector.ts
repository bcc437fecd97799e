/**
 * Garbage collection of a value log under any index.
 *
 * One pass at a time for each log; a pass looks at each file that was sealed when it was called at most once, so it always
 * ends. Picking is the picker's, moving one file the rewrite job's, unlinking the value log's.
 */

import { CorruptionError, GcRunningError, InvalidArgumentError, NoRewriteError, checkFlag, checkFunction, checkOptions, checkWork, errnoOf, hasMethods, throwIfAborted } from '@wk/codec'
import { defaultRuntime, type Runtime } from '@wk/fs'
import { settleIndex } from './index-calls.js'
import type { PointerIndex } from './pointer-index.js'
import { pickVictims, type LiveBytes } from './picker.js'
import { countFiles } from './recount.js'
import { spaceAmplification, type GcProgress, type GcReport } from './report.js'
import { rewriteFile } from './rewrite-job.js'
import { Throttle } from './throttle.js'
import type { GcFileInfo, GcValueLog } from './value-log.js'

export interface GarbageCollectorOptions {
  /** The log to collect: a `ValueLog` of `@wk/vlog`. */
  readonly vlog: GcValueLog
  /** The host's index: two functions. */
  readonly index: PointerIndex
  /** Clock and sleep. Default: the process's. Change it in simulations. */
  readonly runtime?: Runtime
}

/** What every long call takes. */
export interface GcWorkOptions {
  /** Ends the call with `AbortedError` at the next slice. What was moved stays moved. */
  readonly signal?: AbortSignal | undefined
  /** Called after each slice. */
  readonly onProgress?: ((progress: GcProgress) => void) | undefined
  /** Bytes read and written a second, on average. Default: no limit. */
  readonly bytesPerSecond?: number | undefined
}

export interface GcRunOptions extends GcWorkOptions {
  /** A file is collected when at least this share of its bytes is dead; inside (0, 1). Default 0.5. */
  readonly discardRatio?: number | undefined
  /** Most files to collect; the worst first. Default: all that qualify. 1 is Badger's `RunValueLogGC`. */
  readonly maxFiles?: number | undefined
  /** Ends the active file first, so that its garbage can be collected as well. Default false. */
  readonly sealActive?: boolean | undefined
  /** Live bytes of a file, where the host knows better than the log's discard statistics. Steers the choice only. */
  readonly liveBytes?: LiveBytes | undefined
}

export interface RecountOptions extends GcWorkOptions {
  /**
   * Corrects the log's discard statistics by what was found. Exact if nothing is written meanwhile; otherwise garbage
   * made during the count may be missing from them. Default false.
   */
  readonly repair?: boolean | undefined
}

/** Logs with a pass under way: two collectors over one log must not run at once either. */
const collecting = new WeakSet<GcValueLog>()

export class GarbageCollector {
  readonly #vlog: GcValueLog
  readonly #index: PointerIndex
  readonly #runtime: Runtime
  /** Files in which a pass met damage, that it could not read, or had no room to give up; ranked last from then on. */
  readonly #damaged = new Set<number>()

  /** @throws InvalidArgumentError */
  constructor(options: GarbageCollectorOptions) {
    const { vlog, index, runtime = defaultRuntime } = checkOptions(options)
    if (!hasMethods(vlog, 'files', 'iterate', 'append', 'sync', 'discard', 'setDiscarded', 'retire', 'seal')) throw new InvalidArgumentError('vlog must be a ValueLog')
    if (!hasMethods(index, 'lookup', 'compareAndSwap')) throw new InvalidArgumentError('index must have the functions lookup and compareAndSwap')
    checkFunction('index.settle', index.settle)
    if (!hasMethods(runtime, 'monotonic', 'sleep')) throw new InvalidArgumentError('runtime must be a Runtime')
    this.#vlog = vlog
    this.#index = index
    this.#runtime = runtime
  }

  /** A pass over this collector's log is under way. */
  get running(): boolean {
    return collecting.has(this.#vlog)
  }

  /**
   * Collects every sealed file with enough garbage, the worst first. Reads and writes of the host may go on.
   *
   * Throws `InvalidArgumentError` for a ratio outside (0, 1), `GcRunningError` beside another pass, `NoRewriteError` when no file
   * qualifies, `AbortedError`, `CorruptionError` at damage, `IoError` or `NotSupportedError` where a file cannot be read (that file is kept, and comes
   * last in the next pass; files collected before it stay collected), or what the log or the host failed with.
   */
  async run(options: GcRunOptions = {}): Promise<GcReport> {
    const { discardRatio = 0.5, maxFiles = Number.POSITIVE_INFINITY, signal, liveBytes } = checkWork(options)
    if (typeof discardRatio !== 'number' || !(discardRatio > 0 && discardRatio < 1)) {
      throw new InvalidArgumentError('discardRatio must lie inside (0, 1)')
    }
    if (typeof maxFiles !== 'number' || !(maxFiles >= 1)) throw new InvalidArgumentError('maxFiles must be at least 1')
    checkFunction('liveBytes', liveBytes)
    const sealActive = checkFlag('sealActive', options.sealActive, false)
    const throttle = this.#throttle(options)
    return this.#exclusively(signal, async () => {
      if (sealActive) await this.#vlog.seal()
      const picked = pickVictims(this.#vlog.files(), { discardRatio, liveBytes, last: this.#damaged })
      const victims = picked.slice(0, maxFiles).map(({ file }) => file)
      if (victims.length === 0) throw new NoRewriteError('no sealed value-log file has that much garbage')
      await this.#settle()
      const { filesCollected, bytesMoved, bytesReclaimed } = await this.#collect(victims, throttle, options)
      return { filesCollected, bytesMoved, bytesReclaimed, spaceAmp: spaceAmplification(this.#vlog.files(), liveBytes) }
    })
  }

  /**
   * Live bytes of each sealed file, by asking the index about every record: the truth that statistics approximate.
   * For a host whose statistics are lost or too low (after a crash), or that keeps none. Throws as {@link run}.
   */
  async recount(options: RecountOptions = {}): Promise<Map<number, number>> {
    const { signal, onProgress } = checkWork(options)
    const repair = checkFlag('repair', options.repair, false)
    const throttle = this.#throttle(options)
    return this.#exclusively(signal, async () => {
      const files = this.#vlog.files().filter((file) => file.sealed && file.retired !== true)
      await this.#settle()
      const context = { vlog: this.#vlog, index: this.#index, throttle, signal }
      const counts = await countFiles(context, files, onProgress)
      if (repair) for (const { fid, deadRecords, deadBytes } of counts) this.#vlog.setDiscarded(fid, deadRecords, deadBytes)
      return new Map(counts.map(({ fid, liveBytes }) => [fid, liveBytes]))
    })
  }

  /** A wait for the rate ends soon after the log is closed: it would keep the process alive. */
  #throttle({ bytesPerSecond }: GcWorkOptions): Throttle {
    return new Throttle(bytesPerSecond, this.#runtime, () => void this.#vlog.files())
  }

  async #exclusively<T>(signal: AbortSignal | undefined, pass: () => Promise<T>): Promise<T> {
    if (collecting.has(this.#vlog)) throw new GcRunningError('a pass over this value log is running')
    throwIfAborted(signal)
    collecting.add(this.#vlog)
    try {
      return await pass()
    } finally {
      collecting.delete(this.#vlog)
    }
  }

  /** Waits until records that are already in a chosen file are in the index as well, if they ever will be. */
  async #settle(): Promise<void> {
    if (await settleIndex(this.#index)) return
    // Appends called earlier have resolved by then, and what their callers do in the same turn is done.
    await this.#vlog.sync()
    await this.#runtime.yield()
  }

  async #collect(
    victims: readonly GcFileInfo[],
    throttle: Throttle,
    { signal, onProgress }: GcRunOptions,
  ): Promise<Omit<GcReport, 'spaceAmp'>> {
    const total = victims.reduce((sum, file) => sum + file.size, 0)
    let filesCollected = 0
    let bytesMoved = 0
    let bytesReclaimed = 0
    let done = 0
    for (const victim of victims) {
      throwIfAborted(signal)
      const doneBefore = done
      let written = bytesMoved
      const onSlice = (read: number, moved: number): void => {
        done += read
        written += moved
        onProgress?.({ phase: 'rewrite', done, total, bytes: written })
      }
      const context = { vlog: this.#vlog, index: this.#index, throttle, signal, onSlice, onUnreadable: () => void this.#damaged.add(victim.fid) }
      const result = await rewriteFile(context, victim).catch((error: unknown) => {
        // Where there is no room to give this file up, another one may make some.
        if (error instanceof CorruptionError || errnoOf(error) === 'ENOSPC') this.#damaged.add(victim.fid)
        throw error
      })
      filesCollected++
      bytesMoved += result.bytesMoved
      bytesReclaimed += victim.size - result.bytesMoved - result.bytesLost
      done = doneBefore + victim.size
      onProgress?.({ phase: 'rewrite', done, total, bytes: bytesMoved })
      await this.#runtime.yield()
    }
    return { filesCollected, bytesMoved, bytesReclaimed: Math.max(0, bytesReclaimed) }
  }
}
