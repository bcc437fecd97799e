/**
 * Keeps writers from running ahead of flushes and compactions: memory and level 0 stay bounded.
 *
 * First softly: from `l0SlowdownTrigger` tables in level 0 on, each group is delayed a little, so that latency rises
 * before it jumps. Then hard: writers wait while too many memtables wait for their flush, or level 0 has
 * `l0StopTrigger` tables. Every stall ends: with the next flush or compaction, or with a rejection.
 */
import { invariant } from '@wk/codec'
import type { TreeContext } from './tree-context.js'

/** Delay of one group for each table above the slowdown trigger, in milliseconds. */
const DELAY_STEP_MS = 1
const LONGEST_DELAY_MS = 10

export interface StallStats {
  slowdowns: number
  stops: number
  /** Milliseconds that writers waited. */
  stalledMs: number
}

export class BackPressure {
  readonly stats: StallStats = { slowdowns: 0, stops: 0, stalledMs: 0 }
  readonly #context: TreeContext
  readonly #requestWork: () => void

  /** `requestWork` makes sure that whatever can relieve the pressure is under way. */
  constructor(context: TreeContext, requestWork: () => void) {
    this.#context = context
    this.#requestWork = requestWork
  }

  /**
   * `undefined` if a group may be staged at once, else a promise that says when. Rejects when the tree takes no more
   * writes. Requires that groups staged before go on being written meanwhile: a flush waits for them.
   */
  waitForRoom(): Promise<void> | undefined {
    const { lifecycle } = this.#context
    if (lifecycle.failure === undefined && !lifecycle.isClosed) {
      if (this.#mustStop()) return this.#stop()
      const excess = this.#levelZero() - this.#context.options.l0SlowdownTrigger
      return excess < 0 ? undefined : this.#slowDown(Math.min(LONGEST_DELAY_MS, DELAY_STEP_MS * (excess + 1)))
    }
    try {
      lifecycle.checkWritable()
    } catch (error) {
      return Promise.reject(error)
    }
    return undefined
  }

  #levelZero(): number {
    return this.#context.versions.current.levels[0]?.length ?? 0
  }

  #mustStop(): boolean {
    const { memtables, options } = this.#context
    // Only those whose log is whole: for the others the host has groups to write, and must not wait for itself.
    const waiting = memtables.completeCount
    if (waiting > options.maxImmutableMemtables || this.#levelZero() >= options.l0StopTrigger) return true
    if (waiting < options.maxImmutableMemtables) return false
    // Half of the active memtable is left for the groups that come while the flush runs.
    const { usedBytes, capacity } = memtables.active.memtable
    return usedBytes > capacity / 2
  }

  async #stop(): Promise<void> {
    const { options, lifecycle } = this.#context
    const start = options.runtime.monotonic()
    this.stats.stops++
    try {
      while (this.#mustStop()) {
        this.#requestWork()
        await lifecycle.changes.next()
      }
    } finally {
      this.stats.stalledMs += options.runtime.monotonic() - start
    }
  }

  async #slowDown(milliseconds: number): Promise<void> {
    invariant(milliseconds > 0, 'a delay takes time')
    const { options, lifecycle } = this.#context
    const { runtime } = options
    const start = runtime.monotonic()
    this.stats.slowdowns++
    this.#requestWork()
    await Promise.race([runtime.sleep(milliseconds), lifecycle.changes.next()])
    this.stats.stalledMs += runtime.monotonic() - start
    lifecycle.checkWritable()
  }
}
