/** The part of the HTML report about targets and about garbage: tables, and disk space over time. */
import { escapeXml } from './chart.js'
import { churnCells, churnFigures, CHURN_HEAD, CHURN_LEGEND } from './churn-table.js'
import { formatNumber } from './format.js'
import { renderLineChart, type LineChart } from './line-chart.js'
import type { PhaseResult, RunReport } from './result.js'
import { boundOf, checkTargets, nameOf } from './target-check.js'

/** What the engine promises to hold, by its default. */
const SPACE_BOUND = 1.4

/** Every target with what was measured; nothing if the workload has none. */
export function renderTargetsHtml(report: RunReport): string {
  const checked = checkTargets(report)
  if (checked.length === 0) return ''
  const rows = checked.map(({ target, title, value, met }) => {
    const cells = [title, target.engine, nameOf(target)].map((text) => `<td class="text">${escapeXml(text)}</td>`).join('')
    return `<tr>${cells}<td>${formatNumber(value)}</td><td>${escapeXml(boundOf(target))}</td><td class="${met ? 'good' : 'bad'}">${met ? 'met' : 'missed'}</td></tr>`
  })
  const met = checked.filter((one) => one.met).length
  const head = ['phase', 'engine', 'figure'].map((text) => `<th class="text">${text}</th>`).join('') + '<th>measured</th><th>target</th><th></th>'
  return `<h2>Targets: ${met} of ${checked.length} met</h2>\n<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>\n`
}

/** Garbage: the table and, for each part, disk space over time. */
export function renderChurnHtml(report: RunReport): string {
  const figures = churnFigures(report)
  if (figures.length === 0) return ''
  const rows = figures.map((line) => {
    const cells = churnCells(line).map((cell) => `<td>${escapeXml(cell)}</td>`).join('')
    return `<tr><td class="text">${escapeXml(line.part)}</td><td class="text">${line.engine}</td>${cells}</tr>`
  })
  const head = ['part', 'engine', ...CHURN_HEAD].map((text, i) => `<th${i < 2 ? ' class="text"' : ''}>${escapeXml(text)}</th>`).join('')
  const charts = [...new Set(figures.map(({ part }) => part))].map((part) => renderLineChart(spaceChart(report, part)))
  return `<h2>Garbage</h2>\n<div class="wide"><table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table></div>\n<p class="faint">${escapeXml(CHURN_LEGEND)}</p>\n${charts.join('\n')}\n`
}

function spaceChart(report: RunReport, part: string): LineChart {
  const series = report.engines.map(({ engine }) => engine)
  const lines = churnFigures(report)
    .filter((line) => line.part === part)
    .map(({ engine, overwrite, after }) => ({ series: series.findIndex((name) => name === engine), points: [...pointsOf(overwrite, 0), ...pointsOf(after, lengthOf(overwrite))] }))
  return { title: `${part}: disk bytes per live byte, while overwriting and half a minute after`, series, lines, x: 'seconds', bound: SPACE_BOUND }
}

function pointsOf({ space = [] }: PhaseResult, from: number): [number, number][] {
  return space.map(({ seconds, diskBytes, liveBytes }) => [from + seconds, diskBytes / liveBytes])
}

function lengthOf({ space = [] }: PhaseResult): number {
  return space.at(-1)?.seconds ?? 0
}
