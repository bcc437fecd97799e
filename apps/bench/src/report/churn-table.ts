/** What the churn workload is about in one table: a line for each engine, the space held, the bytes written, what it cost. */
import type Table from 'cli-table3'
import { formatDuration, formatNumber, formatRate } from './format.js'
import type { PhaseResult, RunReport } from './result.js'

/** The figures of one engine in one part of the workload. */
export interface ChurnFigures {
  readonly part: string
  readonly engine: string
  readonly overwrite: PhaseResult
  readonly after: PhaseResult
}

/** The column heads, for {@link churnCells}. */
export const CHURN_HEAD: readonly string[] = ['overwrites/s', 'put p50', 'put p99', 'loop max', 'space, worst', 'at the end', '½ min later', 'written/B', 'dirtied/B']

/** How to read them. */
export const CHURN_LEGEND =
  'space: disk bytes for each live user byte, sampled ten times a second while overwriting. written/B: bytes handed to the operating system (wchar) for each user byte overwritten, from the first overwrite to half a minute after the last; dirtied/B: write_bytes, in whole pages, memory maps included.'

/** Every pair of an overwrite and the time after it. */
export function churnFigures(report: RunReport): ChurnFigures[] {
  const parts = new Set(report.engines.flatMap(({ phases }) => phases.filter(({ name }) => name.endsWith(' overwrite')).map(({ name }) => name.slice(0, -10))))
  return [...parts].flatMap((part) =>
    report.engines.flatMap(({ engine, phases }): ChurnFigures[] => {
      const overwrite = phases.find(({ name }) => name === `${part} overwrite`)
      const after = phases.find(({ name }) => name === `${part} after`)
      return overwrite === undefined || after === undefined ? [] : [{ part, engine, overwrite, after }]
    }),
  )
}

/** One line as text. */
export function churnCells({ overwrite, after }: ChurnFigures): string[] {
  const figure = (phase: PhaseResult, name: string): string => formatNumber(phase.figures?.[name] ?? NaN)
  return [
    formatRate(overwrite.operations / overwrite.seconds),
    formatDuration(overwrite.latency?.p50 ?? NaN),
    formatDuration(overwrite.latency?.p99 ?? NaN),
    formatNumber(overwrite.loopDelay.max),
    figure(overwrite, 'space amp, worst'),
    figure(overwrite, 'space amp, last'),
    figure(after, 'space amp, last'),
    figure(after, 'written per user byte'),
    figure(after, 'dirtied per user byte'),
  ]
}

/** Renders the table; nothing for other workloads. */
export function renderChurn(report: RunReport, makeTable: (head: string[], texts: number) => Table.Table): string[] {
  const figures = churnFigures(report)
  if (figures.length === 0) return []
  const table = makeTable(['churn', 'engine', ...CHURN_HEAD], 2)
  for (const part of new Set(figures.map((one) => one.part))) {
    const lines = figures.filter((one) => one.part === part)
    for (const [i, line] of lines.entries()) {
      const cells = [line.engine, ...churnCells(line)]
      table.push(i === 0 ? [{ content: part, rowSpan: lines.length }, ...cells] : cells)
    }
  }
  const notes = figures.flatMap(({ part, engine, overwrite }) => (overwrite.note === null ? [] : [`${part}, ${engine}: ${overwrite.note}`]))
  return [table.toString(), CHURN_LEGEND, ...notes, '']
}
