/** Shared by F1 to F3: hostile bytes given to whoever parses them; what may come of it, how soon, and at what cost of memory. */
import { getHeapStatistics } from 'node:v8'
import { WkError } from '@wk/codec'
import type { Report } from './check.js'

/** Longest time a parser may take, in milliseconds of the processor. */
export const MAX_PARSE_MS = 50
/** Most bytes a case may hold more than before. */
const MAX_GROWTH = 64 << 20

const held = (): number => {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics()
  return heap + external
}

const processorMs = (since: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since)
  return (user + system) / 1000
}

/** Runs something that may fail with a typed error only. @throws what is none */
export async function attempt<T>(run: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof WkError) return undefined
    throw error
  }
}

/** Judges cases: time, memory, and kinds of errors. */
export class HostileCases {
  #slowest = 0
  #largest = 0
  readonly #report: Report
  readonly #maxMs: number

  /** @param maxMs longest time a case may take */
  constructor(report: Report, maxMs: number) {
    this.#report = report
    this.#maxMs = maxMs
  }

  /** Runs a case. A slow one is slow again, by the processor's time as well: a collection, a compilation or another process that hit it is not. */
  async run(name: string, only: string, exercise: () => Promise<void>): Promise<void> {
    let ms = Infinity
    for (let tries = 0; ms > this.#maxMs && tries < 3; tries++) {
      const before = held()
      // Asking for it takes longer than many a case.
      const cpu = tries === 0 ? undefined : process.cpuUsage()
      const started = performance.now()
      try {
        await exercise()
      } catch (error) {
        this.#report.fail(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`, only)
      }
      const wall = performance.now() - started
      ms = Math.min(ms, wall, cpu === undefined ? Infinity : processorMs(cpu))
      this.#largest = Math.max(this.#largest, held() - before)
    }
    this.#report.ran()
    this.#slowest = Math.max(this.#slowest, ms)
    if (ms > this.#maxMs) this.#report.fail(`${name}: took ${ms.toFixed()} ms`, only)
    if (this.#largest > MAX_GROWTH) {
      this.#report.fail(`${name}: memory grew by ${this.#largest >> 20} MiB`, only)
      this.#largest = 0
    }
  }

  /** Tells the worst case. */
  note(): void {
    this.#report.note(`slowest case ${this.#slowest.toFixed(1)} ms, largest growth ${Math.max(0, this.#largest) >> 20} MiB`)
  }
}
