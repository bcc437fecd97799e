/** What a run prints: the table, the notes, and each failure with the one command that replays it. */
import Table from 'cli-table3'
import pc from 'picocolors'
import { TIERS, type Check } from './check.js'
import type { Finished } from './driver.js'

/** The table of what ran. */
export function renderOutcomes(finished: readonly Finished[], color: boolean): string {
  const { red, green } = pc.createColors(color)
  const table = new Table({ head: ['', 'check', 'count', '', 'failed', 's', 'passing means'], style: { head: [], border: [] }, colAligns: ['left', 'left', 'right', 'left', 'right', 'right', 'left'], colWidths: [5, 38, null, null, null, null, 48], wordWrap: true })
  for (const { check, outcome } of finished) {
    const failed = outcome.failed === 0 ? green('0') : red(String(outcome.failed))
    table.push([check.id, check.title, outcome.cases.toLocaleString('en'), check.unit, failed, outcome.seconds.toFixed(1), check.means])
  }
  const notes = finished.flatMap(({ check, outcome }) => outcome.notes.map((note) => `${check.id}: ${note}`))
  return [table.toString(), ...notes, ''].join('\n')
}

/** The failures, each with the command that replays it. */
export function renderFailures(finished: readonly Finished[], seed: number, tier: string): string {
  const lines: string[] = []
  for (const { check, outcome } of finished) {
    for (const { message, only } of outcome.failures) {
      lines.push(`${check.id} failed: ${message}`, `  replay: pnpm stress --check ${check.id} --tier ${tier} --seed ${seed}${only === undefined ? '' : ` --only '${only}'`}`, '')
    }
    const more = outcome.failed - outcome.failures.length
    if (more > 0) lines.push(`${check.id}: and ${more} more`, '')
  }
  return lines.join('\n')
}

/** The checks and their counts. */
export function renderList(checks: readonly Check[]): string {
  const table = new Table({ head: ['', 'check', ...TIERS, ''], style: { head: [], border: [] } })
  const count = (cases: number): string => (cases === 0 ? '–' : cases === Infinity ? 'all' : cases.toLocaleString('en'))
  for (const check of checks) table.push([check.id, check.title, ...TIERS.map((tier) => count(check.cases[tier])), check.unit])
  return `${table.toString()}\n`
}
