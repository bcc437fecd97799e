/** The report as one HTML page: no script, nothing fetched. */
import { renderBarChart, escapeXml, type BarChart, type BarGroup } from './chart.js'
import { compareEngines, comparePhases, EQUAL_WITHIN, SUBJECT, type PhaseComparison, type PhaseFigures } from './comparison.js'
import { formatBytes, formatDuration, formatNumber, formatRate, formatRatio } from './format.js'
import type { RunReport } from './result.js'
import { renderChurnHtml, renderTargetsHtml } from './html-targets.js'
import { heading, LEGEND } from './table.js'

/** As many colours as engines in one run. */
const SERIES = Array.from({ length: 8 }, (_, i) => i)

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2430; --faint: #6b7480; --line: #d8dde4; --good: #1a7f47; --bad: #b3362b; --s0: #2b6cb0; --s1: #c9822b; --s2: #6f8f3a; --s3: #8a5aa8; --s4: #3a9a96; --s5: #b5495b; --s6: #7a6a58; --s7: #999; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --faint: #9aa4b1; --line: #38414d; --good: #5fc98d; --bad: #f0877c; --s0: #6ea8e6; --s1: #e3a75c; --s2: #a3c26a; --s3: #bd96d8; --s4: #72c9c4; --s5: #e2899a; --s6: #b8a58f; --s7: #777; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
.wide { overflow-x: auto; }
th, td { padding: 3px 9px; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th.text, td.text { text-align: left; }
tbody tr.first td { border-top: 2px solid var(--line); }
.good { color: var(--good); } .bad { color: var(--bad); } .faint, li { color: var(--faint); }
svg { width: 100%; height: auto; display: block; margin: 1.2rem 0; }
svg text { font: 12px system-ui, sans-serif; fill: var(--ink); } svg .value { fill: var(--faint); font-size: 11px; } svg .title { font-size: 14px; font-weight: 600; }
${SERIES.map((i) => `.s${i} { fill: var(--s${i}); } .l${i} { stroke: var(--s${i}); }`).join(' ')}
polyline { fill: none; stroke-width: 1.6; } .grid { stroke: var(--line); } .bound { stroke: var(--bad); stroke-dasharray: 5 4; }
`

/** Renders the page. */
export function renderHtml(report: RunReport): string {
  const phases = comparePhases(report)
  const charts = [...phaseCharts(report, phases), ...engineCharts(report)]
  const absent = report.engines.filter((engine) => engine.absent !== null)
  const failed = report.engines.filter(({ failure }) => failure !== null)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>wk benchmark: ${report.workload}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>wk benchmark: ${report.workload}${report.quick ? ' (quick)' : ''}</h1>
<p class="faint">${heading(report).filter(Boolean).map(escapeXml).join('<br>')}</p>
${failed.map(({ engine, failure }) => `<p class="bad">${engine} failed: ${escapeXml(failure ?? '')}</p>`).join('\n')}
${absent.map(({ absent: reason }) => `<p class="faint">absent: ${escapeXml(reason ?? '')}</p>`).join('\n')}
${renderTargetsHtml(report)}${renderChurnHtml(report)}<h2>Phases</h2>
<div class="wide">${phaseTable(phases)}</div>
<h2>Whole run</h2>
<div class="wide">${engineTable(report)}</div>
<h2>Charts</h2>
${charts.map(renderBarChart).join('\n')}
<h2>How to read this</h2>
<ul>${LEGEND.map((line) => `<li>${escapeXml(line)}</li>`).join('')}</ul>
<h2>Settings</h2>
<div class="wide">${settingsTable(report)}</div>
</body>
</html>
`
}

function phaseTable(phases: readonly PhaseComparison[]): string {
  const head = ['ops/s', 'MB/s', 'p50', 'p99', 'max', 'cpu/op', 'loop p99', 'loop max', 'written/B', 'disk/B', 'wk is']
  const rows = phases.flatMap(({ title, rows: figures }) =>
    figures.map((row, i) => {
      const name = i === 0 ? `<td class="text" rowspan="${figures.length}">${escapeXml(title)}</td>` : ''
      return `<tr${i === 0 ? ' class="first"' : ''}>${name}<td class="text">${row.engine}</td>${cells(row)}</tr>`
    }),
  )
  const names = head.map((name) => `<th>${name}</th>`).join('')
  return `<table><thead><tr><th class="text">phase</th><th class="text">engine</th>${names}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`
}

function cells(row: PhaseFigures): string {
  const { phase } = row
  const number = (value: number | null): string => (value === null ? '-' : formatNumber(value))
  const single = phase.latency === null || phase.latency.count < 2
  const tone = row.ratio === null ? '' : row.ratio >= EQUAL_WITHIN ? 'good' : row.ratio <= 1 / EQUAL_WITHIN ? 'bad' : ''
  return [
    row.operationsPerSecond === null ? '-' : formatRate(row.operationsPerSecond),
    number(row.megabytesPerSecond),
    formatDuration(phase.latency === null ? phase.seconds * 1e6 : phase.latency.p50),
    single ? '-' : formatDuration(phase.latency?.p99 ?? NaN),
    single ? '-' : formatDuration(phase.latency?.max ?? NaN),
    formatDuration((phase.cpuSeconds * 1e6) / Math.max(1, phase.operations)),
    formatNumber(phase.loopDelay.p99),
    formatNumber(phase.loopDelay.max),
    number(row.writtenPerUserByte),
    number(row.diskPerLiveByte),
    `<span class="${tone}">${formatRatio(row.ratio)}</span>`,
  ]
    .map((cell) => `<td>${cell}</td>`)
    .join('')
}

function engineTable(report: RunReport): string {
  const figures = compareEngines(report)
  const number = (value: number | null): string => (value === null ? '-' : formatNumber(value))
  const lines: [string, (figure: (typeof figures)[number]) => string][] = [
    ['bytes handed to the OS (wchar) per user byte', (figure) => number(figure.handedPerUserByte)],
    ['page bytes dirtied (write_bytes) per user byte', (figure) => number(figure.dirtiedPerUserByte)],
    ['disk per live byte at the end', (figure) => number(figure.diskPerLiveByte)],
    ['longest hold of the event loop, ms', (figure) => number(figure.longestLoopDelay)],
    ['peak RSS, mapped files included', ({ result }) => formatBytes(result.residentPeak)],
    ['peak RSS without mapped files', ({ result }) => (result.anonymousPeak === null ? '-' : formatBytes(result.anonymousPeak))],
    ['RSS before the database was opened', ({ result }) => formatBytes(result.residentBefore)],
    ['time by the clock', ({ result }) => formatDuration(result.wallSeconds * 1e6)],
  ]
  const rows = lines.map(([title, cell]) => {
    const values = figures.map((figure) => `<td>${cell(figure)}</td>`)
    return `<tr><td class="text">${title}</td>${values.join('')}</tr>`
  })
  const names = figures.map(({ engine }) => `<th>${engine}</th>`)
  return `<table><thead><tr><th></th>${names.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>`
}

function settingsTable(report: RunReport): string {
  const rows = report.engines.map((engine) => {
    const settings = Object.entries(engine.settings).map(([name, value]) => `${name} ${String(value)}`)
    const synced = engine.syncedDurability === null ? 'no synced puts' : `synced: ${engine.syncedDurability}`
    const lines = [engine.durability, synced, settings.join(', '), `collect garbage: ${engine.collection ?? 'nothing'}`]
    const name = `${engine.engine} ${engine.version}`
    return `<tr><td class="text">${escapeXml(name)}</td><td class="text">${lines.map(escapeXml).join('<br>')}</td></tr>`
  })
  return `<table><tbody>${rows.join('')}</tbody></table>`
}

function phaseCharts(report: RunReport, phases: readonly PhaseComparison[]): BarChart[] {
  const series = report.engines.map(({ engine }) => engine)
  const chart = (title: string, valueOf: (row: PhaseFigures) => number | null, text: (value: number) => string): BarChart => ({
    title,
    series,
    scale: 'group',
    groups: phases.flatMap(({ title: label, rows }) => {
      const bars = rows.flatMap((row) => {
        const value = valueOf(row)
        return value === null ? [] : [{ series: series.indexOf(row.engine), value, text: text(value) }]
      })
      return bars.length === 0 ? [] : [{ label, bars }]
    }),
  })
  return [
    chart('Operations per second (longer is better; each phase has its own scale)', (row) => row.operationsPerSecond, formatRate),
    chart('Latency, 99th percentile (shorter is better; each phase has its own scale)', (row) => row.phase.latency?.p99 ?? null, formatDuration),
    chart('Longest hold of the event loop (shorter is better; each phase has its own scale)', (row) => row.phase.loopDelay.max, (ms) => formatDuration(ms * 1e3)),
    chart('Disk space per live byte after each phase (shorter is better)', (row) => row.diskPerLiveByte, formatNumber),
  ]
}

function engineCharts(report: RunReport): BarChart[] {
  const figures = compareEngines(report)
  const series = figures.map(({ engine }) => engine)
  type Pick = (figure: (typeof figures)[number]) => number | null
  const group = (label: string, valueOf: Pick, text: (value: number) => string): BarGroup => ({
    label,
    bars: figures.flatMap((figure, i) => {
      const value = valueOf(figure)
      return value === null ? [] : [{ series: i, value, text: text(value) }]
    }),
  })
  return [
    {
      title: `Cost of the whole run (shorter is better; ${SUBJECT} and rivals, each line has its own scale)`,
      series,
      scale: 'group',
      groups: [
        group('handed to the OS per user byte', (figure) => figure.handedPerUserByte, formatNumber),
        group('dirtied per user byte', (figure) => figure.dirtiedPerUserByte, formatNumber),
        group('disk per live byte at the end', (figure) => figure.diskPerLiveByte, formatNumber),
        group('peak RSS', ({ result }) => result.residentPeak, formatBytes),
        group('peak RSS without mapped files', ({ result }) => result.anonymousPeak, formatBytes),
      ],
    },
  ]
}
