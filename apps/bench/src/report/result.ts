/** What a run found, as plain data: the JSON report is this and nothing else. */
import type { EngineName } from '../engines/engine.js'
import type { InputSummary } from '../input/input-plan.js'
import type { Environment } from '../measure/machine.js'
import type { Measurement } from '../measure/meter.js'
import type { SpaceSample } from '../measure/space-sampler.js'

/** Version of the report's shape; goes up when a field changes its meaning. */
export const REPORT_VERSION = 2

/** The workload sets. */
export type WorkloadName = 'files' | 'kv' | 'churn' | 'scale'

/** One phase of one engine. */
export interface PhaseResult extends Measurement {
  /** Stable name; engines are compared phase by phase through it. */
  readonly name: string
  readonly title: string
  /** Time by the clock, the harness's own work included. */
  readonly wallSeconds: number
  /** True for phases that write user data: their bytes count as user bytes written. */
  readonly writes: boolean
  /** Disk space that the database holds at the end of the phase, and the user bytes alive then. */
  readonly diskBytes: number
  readonly liveBytes: number
  readonly note: string | null
  /** What only this kind of phase has, by name; `targets.ts` refers to some. */
  readonly figures?: Readonly<Record<string, number>>
  /** Disk space over the time of the phase, where it was sampled. */
  readonly space?: readonly SpaceSample[]
  /** Seconds of this phase in every round, if there were several; the other figures are those of the median round. */
  readonly roundSeconds?: readonly number[]
}

/** Everything about one engine. */
export interface EngineResult {
  readonly engine: EngineName
  readonly version: string
  readonly durability: string
  /** What a synced put survives; null if the engine has none. */
  readonly syncedDurability: string | null
  readonly collection: string | null
  readonly settings: Readonly<Record<string, string | number | boolean>>
  readonly phases: readonly PhaseResult[]
  /** User bytes written, and bytes the process wrote for them from the first phase to the last. */
  readonly userBytesWritten: number
  readonly bytesHanded: number | null
  readonly bytesDirtied: number | null
  /** Memory in bytes: resident before the database was opened, highest, and highest without mapped files. */
  readonly residentBefore: number
  readonly residentPeak: number
  readonly anonymousPeak: number | null
  readonly wallSeconds: number
  readonly stats: Readonly<Record<string, number>> | null
  /** Why the run of this engine ended early; null if it did not. */
  readonly failure: string | null
  /** Why it could not run at all: its package is not there for this machine. Null if it ran. */
  readonly absent: string | null
}

/** A whole run. */
export interface RunReport {
  readonly report: typeof REPORT_VERSION
  readonly workload: WorkloadName
  /** The parts of the workload that ran. */
  readonly parts: readonly string[]
  readonly quick: boolean
  readonly seed: number
  /** How often each engine ran, each time in a new process and a new database. */
  readonly rounds: number
  readonly environment: Environment
  /** The input of the `files` workload; null for the others. */
  readonly input: InputSummary | null
  readonly seconds: number
  readonly engines: readonly EngineResult[]
}
