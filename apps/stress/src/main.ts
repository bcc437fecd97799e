/** The program. Status 0: every check passed. 1: one failed. 2: the request cannot be carried out. */
import { availableParallelism } from 'node:os'
import { parseArguments, UsageError, type Request } from './cli.js'
import type { Check } from './check.js'
import { runAll, type Watcher } from './driver.js'
import { loadChecks } from './registry.js'
import { renderFailures, renderList, renderOutcomes } from './table.js'

async function main(): Promise<number> {
  const request = parseArguments(process.argv.slice(2), availableParallelism())
  if (request === undefined) return 0
  const checks = choose(await loadChecks(), request)
  if (request.list) {
    process.stdout.write(renderList(checks))
    return 0
  }
  const start = performance.now()
  const finished = await runAll(checks, request, watcher())
  process.stdout.write(renderOutcomes(finished, process.stdout.isTTY && process.env['NO_COLOR'] === undefined))
  process.stdout.write(renderFailures(finished, request.seed, request.tier))
  const failed = finished.filter(({ outcome }) => outcome.failed > 0).length
  process.stdout.write(`tier ${request.tier}, seed ${request.seed}: ${finished.length - failed} checks passed, ${failed} failed, ${((performance.now() - start) / 1000).toFixed(0)} s\n`)
  return failed === 0 ? 0 : 1
}

/** The checks that were asked for; without a request, those that the tier holds. Throws: UsageError for an unknown one. */
function choose(checks: readonly Check[], { checks: ids, tier, list, cases }: Request): Check[] {
  const unknown = ids.filter((id) => !checks.some((check) => check.id === id))
  if (unknown.length > 0) throw new UsageError(`--check ${unknown.join(',')}: unknown; there are ${checks.map(({ id }) => id).join(', ')}`)
  const chosen = ids.length === 0 ? checks.filter((check) => list || check.cases[tier] > 0) : checks.filter(({ id }) => ids.includes(id))
  // A check that is asked for by name but is no part of the tier runs as in the smallest tier that has it.
  return chosen.map((check) => (list || cases !== undefined || check.cases[tier] > 0 ? check : { ...check, cases: { ...check.cases, [tier]: check.cases.nightly || check.cases.release } }))
}

/** A line for each check that ends, and now and then one that says how far the others are. */
function watcher(): Watcher {
  let last = 0
  return {
    progress({ id, unit }, cases, failed) {
      if (performance.now() - last < 10_000) return
      last = performance.now()
      process.stderr.write(`  ${id}: ${cases.toLocaleString('en')} ${unit}${failed === 0 ? '' : `, ${failed} failed`}\n`)
    },
    finished({ check, outcome }) {
      process.stderr.write(`${outcome.failed === 0 ? 'ok    ' : 'FAILED'} ${check.id} ${check.title}: ${outcome.cases.toLocaleString('en')} ${check.unit}, ${outcome.seconds.toFixed(1)} s\n`)
    },
  }
}

main().then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    process.stderr.write(`stress: ${error instanceof UsageError ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  },
)
