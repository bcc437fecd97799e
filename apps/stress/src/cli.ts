/** The command line: what can be asked for, and what is wrong with it. Does nothing itself. */
import { cac } from 'cac'
import { TIERS, type Tier } from './check.js'

/** Something that cannot be meant. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What to run. */
export interface Request {
  readonly tier: Tier
  readonly seed: number
  /** Ids of the checks; empty: all of the tier. */
  readonly checks: readonly string[]
  /** The one case to replay. */
  readonly only: string | undefined
  /** Cases of each check, instead of the tier's number. */
  readonly cases: number | undefined
  /** Checks that run at a time, each in its own process. */
  readonly jobs: number
  readonly list: boolean
}

/** Reads the arguments (those after the program's name). Undefined after `--help`, which prints. Throws: UsageError. */
export function parseArguments(args: readonly string[], cores: number): Request | undefined {
  const cli = cac('pnpm stress')
  cli
    .command('', 'Runs the checks of a tier and prints a table; status 1 if one failed')
    .usage('[options]')
    .option('--tier <name>', `How much: ${TIERS.join(', ')}`, { default: 'commit' })
    .option('--check <ids>', 'Only these checks, separated by commas')
    .option('--seed <n>', 'What everything random follows from', { default: 1 })
    .option('--cases <n>', 'So many cases of each check instead of those of the tier')
    .option('--only <case>', 'Replays one case of one check, as a failure names it')
    .option('--jobs <n>', 'Checks that run at a time', { default: cores })
    .option('--list', 'Prints the checks and their counts, and runs nothing')
    .example((bin) => `${bin} --tier nightly --seed 20261124`)
    .example((bin) => `${bin} --check A1,A2 --cases 500`)
    .action(() => {})
  cli.help((sections) => sections.filter(({ title }) => title !== 'Commands' && title?.startsWith('For more info') !== true))
  try {
    cli.parse(['node', 'stress', ...args], { run: false })
    if (cli.options['help'] === true) return undefined
    cli.runMatchedCommand()
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
  return readOptions(cli.options as Record<string, unknown>)
}

function readOptions(given: Record<string, unknown>): Request {
  const tier = TIERS.find((name) => name === given['tier'])
  if (tier === undefined) throw new UsageError(`--tier ${String(given['tier'])}: unknown; there are ${TIERS.join(', ')}`)
  const checks = given['check'] === undefined ? [] : readText('--check', given['check']).split(',').map((id) => id.trim().toUpperCase())
  const only = given['only'] === undefined ? undefined : readText('--only', given['only'])
  if (only !== undefined && checks.length !== 1) throw new UsageError('--only needs the one --check it belongs to')
  return {
    tier,
    seed: readNumber('--seed', given['seed'], 0),
    checks,
    only,
    cases: given['cases'] === undefined ? undefined : readNumber('--cases', given['cases'], 1),
    jobs: readNumber('--jobs', given['jobs'], 1),
    list: given['list'] === true,
  }
}

function readText(option: string, value: unknown): string {
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string' || text === '') throw new UsageError(`${option} needs one value`)
  return text
}

function readNumber(option: string, value: unknown, least: number): number {
  const number = Number(readText(option, value))
  if (!Number.isSafeInteger(number) || number < least) throw new UsageError(`${option} needs a whole number of at least ${least}`)
  return number
}
