/** The tables that a run prints at its end. */
import Table from 'cli-table3'
import pc from 'picocolors'
import { compareEngines, comparePhases, EQUAL_WITHIN, SUBJECT, type PhaseFigures } from './comparison.js'
import { formatBytes, formatDuration, formatNumber, formatRate, formatRatio } from './format.js'
import { renderChurn } from './churn-table.js'
import type { RunReport } from './result.js'
import { renderTargets } from './target-table.js'

/** How to read the columns; printed under the tables and in the HTML report. */
export const LEGEND: readonly string[] = [
  'ops/s, MB/s: user operations and user bytes (keys and values) over time inside the engine; the harness reading and comparing is not in it.',
  'p50, p99: latency of one call: one get or put, one batch, one chunk of a scan. Phases of one call show its time as p50.',
  'cpu/op: processor time of the process, all threads, for each operation, the harness reading and comparing included: what other work on the machine distorts least.',
  'loop p99, max: how long the event loop was held, in ms; the harness itself accounts for about 1.',
  'written/B: bytes the process handed to the operating system (wchar) in the phase for each user byte; background work falls where it happens.',
  'disk/B: disk space for each live user byte at the end of the phase.',
  `wk is: how many times as fast ${SUBJECT} was in the same phase; between ${formatNumber(1 / EQUAL_WITHIN)} and ${EQUAL_WITHIN} is equal.`,
]

/** Said once for all engines. */
const WARM_UP = 'each process first does some of everything on a database that is thrown away: no phase measures the compiler'

type Colors = ReturnType<typeof pc.createColors>

/** Renders the tables as text, with colours if asked. */
export function renderTables(report: RunReport, color: boolean): string {
  const colors = pc.createColors(color)
  return [
    ...heading(report),
    phaseTable(report, colors),
    engineTable(report, colors),
    ...LEGEND,
    '',
    ...renderChurn(report, makeTable),
    ...renderTargets(report, colors, makeTable),
    ...failures(report, colors),
  ].join('\n')
}

/** What ran on what: the lines above the tables. */
export function heading(report: RunReport): string[] {
  const { environment, input } = report
  const lines = [
    `workload ${report.workload}${report.parts.length > 1 || report.workload !== 'files' ? ` (${report.parts.join(', ')})` : ''}${report.quick ? ' (quick)' : ''}, seed ${report.seed}, ${report.rounds === 1 ? 'one round' : `median of ${report.rounds} rounds`}, ${report.seconds.toFixed(0)} s in all`,
    `${environment.cpu}, ${environment.cpus} cores, ${formatBytes(environment.memoryBytes)}, ${environment.platform}`,
    `Node ${environment.node}, load average at the start ${environment.load}`,
    `${environment.date}, commit ${environment.commit ?? 'unknown'}`,
  ]
  if (input !== null) {
    const taken = input.complete ? 'all' : `a sample of ${formatBytes(input.foundBytes)} in ${input.foundFiles} files, drawn by path hash`
    lines.push(
      `input ${input.root}: ${input.files} files, ${formatBytes(input.bytes)} (${taken})`,
      `file sizes: median ${formatBytes(input.median)}, largest ${formatBytes(input.largest)}`,
    )
  }
  for (const { engine, version, durability, syncedDurability, absent } of report.engines) {
    if (absent !== null) lines.push(`absent: ${absent}`)
    else lines.push(`${engine} ${version}: ${durability}`)
    if (absent === null && report.parts.some((part) => part.includes('synced'))) lines.push(`  synced rows: ${syncedDurability ?? 'it has no synced puts; its rows are empty'}`)
  }
  if (report.workload !== 'files') lines.push(WARM_UP)
  return [...lines, '']
}

function phaseTable(report: RunReport, colors: Colors): string {
  const table = makeTable(['phase', 'engine', 'ops/s', 'MB/s', 'p50', 'p99', 'cpu/op', 'loop p99', 'loop max', 'written/B', 'disk/B', 'wk is'], 2)
  for (const { title, rows } of comparePhases(report)) {
    for (const [i, row] of rows.entries()) {
      const cells = phaseCells(row, colors)
      table.push(i === 0 ? [{ content: title, rowSpan: rows.length }, ...cells] : cells)
    }
  }
  return table.toString()
}

function phaseCells(row: PhaseFigures, colors: Colors): string[] {
  const { phase } = row
  const number = (value: number | null): string => (value === null ? '-' : formatNumber(value))
  return [
    row.engine,
    row.operationsPerSecond === null ? '-' : formatRate(row.operationsPerSecond),
    number(row.megabytesPerSecond),
    phase.latency === null ? formatDuration(phase.seconds * 1e6) : formatDuration(phase.latency.p50),
    phase.latency === null || phase.latency.count < 2 ? '-' : formatDuration(phase.latency.p99),
    formatDuration((phase.cpuSeconds * 1e6) / Math.max(1, phase.operations)),
    formatNumber(phase.loopDelay.p99),
    formatNumber(phase.loopDelay.max),
    number(row.writtenPerUserByte),
    number(row.diskPerLiveByte),
    paint(row.ratio, colors),
  ]
}

function engineTable(report: RunReport, colors: Colors): string {
  const figures = compareEngines(report)
  const table = makeTable(['whole run', ...figures.map(({ engine }) => engine)], 1)
  const subject = figures.find(({ engine }) => engine === SUBJECT)
  const line = (title: string, valueOf: (figure: (typeof figures)[number]) => number | null, format: (value: number) => string): void => {
    const own = subject === undefined ? null : valueOf(subject)
    table.push([
      title,
      ...figures.map((figure) => {
        const value = valueOf(figure)
        if (value === null) return '-'
        const ratio = own === null || own === 0 || figure.engine === SUBJECT ? null : value / own
        return ratio === null ? format(value) : `${format(value)} (${paint(ratio, colors)})`
      }),
    ])
  }
  line('bytes handed to the OS per user byte', (figure) => figure.handedPerUserByte, formatNumber)
  line('page bytes dirtied per user byte', (figure) => figure.dirtiedPerUserByte, formatNumber)
  line('disk per live byte at the end', (figure) => figure.diskPerLiveByte, formatNumber)
  line('longest hold of the event loop, ms', (figure) => figure.longestLoopDelay, formatNumber)
  line('peak RSS, mapped files included', ({ result }) => result.residentPeak || null, formatBytes)
  line('peak RSS without mapped files', ({ result }) => result.anonymousPeak, formatBytes)
  line('RSS before the database was opened', ({ result }) => result.residentBefore || null, formatBytes)
  line('time by the clock', ({ result }) => result.wallSeconds || null, (seconds) => formatDuration(seconds * 1e6))
  return `${table.toString()}\n(in brackets: how many times as much as ${SUBJECT})`
}

function failures(report: RunReport, colors: Colors): string[] {
  return report.engines.flatMap(({ engine, failure }) => (failure === null ? [] : [colors.red(`${engine} FAILED: ${failure}`), '']))
}

function paint(ratio: number | null, colors: Colors): string {
  const text = formatRatio(ratio)
  if (ratio === null) return text
  if (ratio >= EQUAL_WITHIN) return colors.green(text)
  return ratio <= 1 / EQUAL_WITHIN ? colors.red(text) : text
}

function makeTable(head: string[], texts: number): Table.Table {
  return new Table({
    head,
    colAligns: head.map((_, i) => (i < texts ? 'left' : 'right')),
    style: { head: [], border: [], 'padding-left': 1, 'padding-right': 1, compact: true },
  })
}
