/** What a set of work is to the program: who runs it, in which parts, how much room it needs. */
import type { Engine, EngineName } from '../engines/engine.js'
import type { TimeSlice } from '../measure/time-slice.js'
import type { WorkloadName } from '../report/result.js'
import type { PhaseRunner } from './phase-runner.js'

/** What the work of one part, on one engine, in one process, is given. */
export interface WorkloadContext {
  readonly engine: Engine
  /** Where databases may be made; removed by the caller. */
  readonly dir: string
  /** One of {@link Workload.parts}. */
  readonly part: string
  readonly quick: boolean
  readonly seed: number
  /** File with the input plan; null for workloads without input files. */
  readonly plan: string | null
  readonly runner: PhaseRunner
  readonly slice: TimeSlice
}

/** A set of work. */
export interface Workload {
  readonly name: WorkloadName
  /** One line for the help. */
  readonly summary: string
  /** Parts run one after another, each in a process of its own for every engine: what ran before does not tell on a part. */
  readonly parts: readonly string[]
  /** Those that are run if none are named; all of them where it is left out. */
  readonly defaultParts?: readonly string[]
  /** Engines that it runs on if none are named, and all that it can run on. */
  readonly defaultEngines: readonly EngineName[]
  readonly engines: readonly EngineName[]
  /** Rounds if no number is given; no further round begins if it would end after this many seconds. */
  readonly rounds: number
  readonly budgetSeconds: number
  /** Bytes that the largest database may hold; null if that depends on the input. */
  diskBytes(parts: readonly string[], quick: boolean): number | null
  /** Runs a part. Resolves with the engine's counters. */
  run(context: WorkloadContext): Promise<Record<string, number> | null>
}
