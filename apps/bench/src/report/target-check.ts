/** Sets the figures of a report against the targets. A target whose phase or engine did not run is left out, never met. */
import type { EngineName } from '../engines/engine.js'
import type { PhaseResult, RunReport } from './result.js'
import { TARGETS, type Measure, type Target } from './targets.js'

/** A target and what was measured. */
export interface CheckedTarget {
  readonly target: Target
  /** Title of the phase. */
  readonly title: string
  /** The figure, or the ratio to the rival's. */
  readonly value: number
  readonly met: boolean
}

/** All targets of the report's workload for which there are figures. */
export function checkTargets(report: RunReport): CheckedTarget[] {
  return TARGETS[report.workload].flatMap((target): CheckedTarget[] => {
    const phase = find(report, target.engine, target.phase)
    const rival = target.rival === undefined ? undefined : find(report, target.rival, target.phase)
    if (phase === undefined || (target.rival !== undefined && rival === undefined)) return []
    const own = read(phase, target.measure)
    const value = rival === undefined ? own : own / read(rival, target.measure)
    if (!Number.isFinite(value)) return []
    return [{ target, title: phase.title, value, met: value >= (target.least ?? -Infinity) && value <= (target.most ?? Infinity) }]
  })
}

/** The bound as text: `≥ 3`, `≤ 1.4`. */
export function boundOf({ least, most }: Target): string {
  return least !== undefined ? `≥ ${least}` : `≤ ${most ?? ''}`
}

/** What is measured, as text. */
export function nameOf({ measure, rival }: Target): string {
  const name = typeof measure === 'string' ? (measure === 'rate' ? 'ops/s' : measure) : measure.figure
  return rival === undefined ? name : `${name}, ratio to ${rival}`
}

function find(report: RunReport, engine: EngineName, name: string): PhaseResult | undefined {
  return report.engines.find((result) => result.engine === engine && result.failure === null)?.phases.find((phase) => phase.name === name)
}

/** NaN if the phase has no such figure. */
function read(phase: PhaseResult, measure: Measure): number {
  if (measure === 'rate') return phase.operations / Math.max(phase.seconds, 1e-9)
  if (measure === 'p99') return phase.latency?.p99 ?? NaN
  if (measure === 'loop p99') return phase.loopDelay.p99
  if (measure === 'loop max') return phase.loopDelay.max
  return phase.figures?.[measure.figure] ?? NaN
}
