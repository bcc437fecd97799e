/** The targets as text: the ratios of the rivals in columns, everything else line by line, and a sum. */
import type Table from 'cli-table3'
import type pc from 'picocolors'
import type { EngineName } from '../engines/engine.js'
import { formatNumber, formatRate } from './format.js'
import type { RunReport } from './result.js'
import { boundOf, checkTargets, nameOf, type CheckedTarget } from './target-check.js'

type Colors = ReturnType<typeof pc.createColors>
type MakeTable = (head: string[], texts: number) => Table.Table

/** Renders them; nothing if the workload has none. */
export function renderTargets(report: RunReport, colors: Colors, makeTable: MakeTable): string[] {
  const checked = checkTargets(report)
  if (checked.length === 0) return []
  const met = checked.filter((one) => one.met).length
  const ratios = checked.filter(isRatio)
  const others = checked.filter((one) => !isRatio(one))
  const summary = `targets: ${met} of ${checked.length} met${report.quick ? ' (a quick run decides nothing)' : ''}`
  return [
    ...(ratios.length === 0 ? [] : [ratioTable(report, ratios, colors, makeTable)]),
    ...(others.length === 0 ? [] : [figureTable(others, colors, makeTable)]),
    met === checked.length ? colors.green(summary) : colors.red(summary),
    '',
  ]
}

/** Our rate against a rival's: these make one table with a column for each rival. */
function isRatio({ target }: CheckedTarget): boolean {
  return target.measure === 'rate' && target.engine === 'wk' && target.rival !== 'wk-gc-off'
}

function ratioTable(report: RunReport, checked: readonly CheckedTarget[], colors: Colors, makeTable: MakeTable): string {
  const rivals = [...new Set(checked.map(({ target }) => target.rival!))]
  const table = makeTable(['ops/s, and how many times as fast wk is', 'wk', ...rivals], 1)
  const rate = (engine: EngineName, name: string): string => {
    const phase = report.engines.find((result) => result.engine === engine)?.phases.find((candidate) => candidate.name === name)
    return phase === undefined ? '-' : formatRate(phase.operations / phase.seconds)
  }
  for (const name of new Set(checked.map(({ target }) => target.phase))) {
    const ofPhase = checked.filter(({ target }) => target.phase === name)
    const cells = rivals.map((rival) => {
      const one = ofPhase.find(({ target }) => target.rival === rival)
      return one === undefined ? rate(rival, name) : `${rate(rival, name)}  ${paint(one, colors)}`
    })
    table.push([ofPhase[0]!.title, rate('wk', name), ...cells])
  }
  return table.toString()
}

function figureTable(checked: readonly CheckedTarget[], colors: Colors, makeTable: MakeTable): string {
  const table = makeTable(['target', 'engine', 'figure', 'measured'], 3)
  for (const one of checked) table.push([one.title, one.target.engine, nameOf(one.target), paint(one, colors)])
  return table.toString()
}

function paint(one: CheckedTarget, colors: Colors): string {
  const text = `${formatNumber(one.value)}${one.target.rival === undefined ? '' : 'x'} (${boundOf(one.target)}) ${one.met ? '✓' : '✗'}`
  return one.met ? colors.green(text) : colors.red(text)
}
