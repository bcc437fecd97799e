/**
 * Figures derived from a report: rates, amplifications, and the ratio of `wk` to each rival. The terminal table, the HTML tables and
 * the charts all take them from here.
 */
import type { EngineName } from '../engines/engine.js'
import type { EngineResult, PhaseResult, RunReport } from './result.js'

/** The engine that the others are compared with. */
export const SUBJECT: EngineName = 'wk'

/** Ratios between this and its inverse count as equal: runs on a shared machine differ by as much. */
export const EQUAL_WITHIN = 1.3

/** One phase of one engine in the figures of the table. Null where a figure has no meaning. */
export interface PhaseFigures {
  readonly engine: EngineName
  readonly phase: PhaseResult
  /** Null for phases of a single operation: their time is the figure. */
  readonly operationsPerSecond: number | null
  readonly megabytesPerSecond: number | null
  /** Bytes handed to the operating system in the phase for each user byte; only for phases that write. */
  readonly writtenPerUserByte: number | null
  readonly diskPerLiveByte: number | null
  /** How many times as fast `wk` was in this phase. Null for `wk` itself, or where `wk` has no such phase. */
  readonly ratio: number | null
}

/** A phase with all engines that ran it. */
export interface PhaseComparison {
  readonly name: string
  readonly title: string
  readonly rows: readonly PhaseFigures[]
}

/** All phases in the order in which they ran. */
export function comparePhases(report: RunReport): PhaseComparison[] {
  const titles = new Map<string, string>()
  for (const name of phaseOrder(report)) {
    const phase = report.engines.flatMap((engine) => engine.phases).find((candidate) => candidate.name === name)
    if (phase !== undefined) titles.set(name, phase.title)
  }
  return [...titles].map(([name, title]) => {
    const subject = report.engines.find((engine) => engine.engine === SUBJECT)?.phases.find((phase) => phase.name === name)
    const rows = report.engines.flatMap((engine) =>
      engine.phases.filter((phase) => phase.name === name).map((phase) => figuresOf(engine, phase, subject)),
    )
    return { name, title, rows }
  })
}

/** Names of all phases: those of the engine with the most phases, in its order, then any others. */
function phaseOrder(report: RunReport): Set<string> {
  const byLength = [...report.engines].sort((a, b) => b.phases.length - a.phases.length)
  return new Set(byLength.flatMap((engine) => engine.phases.map((phase) => phase.name)))
}

function figuresOf(engine: EngineResult, phase: PhaseResult, subject: PhaseResult | undefined): PhaseFigures {
  const seconds = Math.max(phase.seconds, 1e-9)
  const many = phase.operations > 1 && phase.bytes > 0
  const comparable = subject !== undefined && engine.engine !== SUBJECT
  return {
    engine: engine.engine,
    phase,
    operationsPerSecond: many ? phase.operations / seconds : null,
    megabytesPerSecond: many ? phase.bytes / 1e6 / seconds : null,
    writtenPerUserByte: phase.writes && phase.written !== null && phase.bytes > 0 ? phase.written.handed / phase.bytes : null,
    diskPerLiveByte: phase.liveBytes > 0 ? phase.diskBytes / phase.liveBytes : null,
    ratio: comparable ? speedRatio(subject, phase) : null,
  }
}

/** By rate where both did several operations, by time otherwise. */
function speedRatio(subject: PhaseResult, rival: PhaseResult): number {
  const rate = (phase: PhaseResult): number => (phase.bytes > 0 ? phase.operations : 1) / Math.max(phase.seconds, 1e-9)
  return rate(subject) / rate(rival)
}

/** One engine over the whole run. */
export interface EngineFigures {
  readonly engine: EngineName
  readonly result: EngineResult
  readonly handedPerUserByte: number | null
  readonly dirtiedPerUserByte: number | null
  /** After the last phase that left a database. */
  readonly diskPerLiveByte: number | null
  readonly longestLoopDelay: number | null
}

/** All engines. */
export function compareEngines(report: RunReport): EngineFigures[] {
  return report.engines.map((result) => {
    const perUserByte = (bytes: number | null): number | null =>
      bytes === null || result.userBytesWritten === 0 ? null : bytes / result.userBytesWritten
    const last = result.phases.at(-1)
    return {
      engine: result.engine,
      result,
      handedPerUserByte: perUserByte(result.bytesHanded),
      dirtiedPerUserByte: perUserByte(result.bytesDirtied),
      diskPerLiveByte: last !== undefined && last.liveBytes > 0 ? last.diskBytes / last.liveBytes : null,
      longestLoopDelay: result.phases.length === 0 ? null : Math.max(...result.phases.map((phase) => phase.loopDelay.max)),
    }
  })
}
