/** What the parent and an engine process tell each other; plain data over Node's IPC channel. */
import type { EngineName } from './engines/engine.js'
import type { EngineResult, PhaseResult, WorkloadName } from './report/result.js'

/** What an engine process has to do. Passed as JSON in the one command-line argument. */
export interface EngineJob {
  readonly engine: EngineName
  readonly workload: WorkloadName
  readonly part: string
  readonly quick: boolean
  readonly seed: number
  /** An empty directory that the process may fill. */
  readonly dir: string
  /** File with the input plan; null for workloads without input files. */
  readonly plan: string | null
}

/** What an engine process tells. `result` or `absent` comes last and once. */
export type EngineMessage =
  | { readonly type: 'progress'; readonly title: string; readonly done: number; readonly total: number }
  | { readonly type: 'phase'; readonly phase: PhaseResult }
  | { readonly type: 'result'; readonly result: EngineResult }
  | { readonly type: 'absent'; readonly reason: string }
