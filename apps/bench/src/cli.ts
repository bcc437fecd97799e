/** The command line: what can be asked for, and what is wrong with it. Does nothing itself. */
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { cac } from 'cac'
import type { EngineName } from './engines/engine.js'
import { ENGINE_NAMES, isEngineName } from './engines/registry.js'
import type { WorkloadName } from './report/result.js'
import type { RunOptions } from './runner.js'
import { UsageError } from './usage-error.js'

const WORKLOADS: readonly WorkloadName[] = ['files', 'kv']
const WORKSPACE = resolve(import.meta.dirname, '../../..')
const FULL = { maxBytes: 400 * 1024 * 1024, maxFiles: 30_000 }
const QUICK = { maxBytes: 24 * 1024 * 1024, maxFiles: 1500 }
const DEFAULT_SEED = 42

/** A request: options of a run and where the report goes; or only the help, which was printed. */
export type Request = { readonly kind: 'help' } | { readonly kind: 'run'; readonly options: RunOptions; readonly out: string }

/**
 * Reads the arguments (those after the program's name). `--help` prints to standard output.
 *
 * @throws UsageError for anything that cannot be meant.
 */
export function parseArguments(args: readonly string[]): Request {
  const cli = cac('wk-bench')
  cli
    .command('', 'Runs the same work on each engine, each in its own process, and compares')
    .usage('[options]')
    .option('--workload <name>', 'files: real files as values, compared byte for byte. kv: 1 KiB and 16 KiB values', { default: 'files' })
    .option('--engine <names>', `Engines, separated by commas: ${ENGINE_NAMES.join(', ')}`, { default: ENGINE_NAMES.join(',') })
    .option('--input <dir>', 'Directory with the files of the files workload (default: what the workspace has installed)')
    .option('--quick', 'A small part of the work: seconds instead of minutes')
    .option('--max-mib <n>', `Most input to take, in MiB (default: ${FULL.maxBytes / 1024 / 1024})`)
    .option('--out <dir>', 'Directory for the JSON and HTML report (default: apps/bench/results)')
    .option('--tmp <dir>', "Directory for the databases (default: the system's)")
    .option('--rounds <n>', 'Rounds of each engine, the median of each phase counts (default: 3, with --quick 1)')
    .option('--seed <n>', 'Seed of orders and samples', { default: DEFAULT_SEED })
    .example((bin) => `${bin} --engine wk,lmdb --input ~/pictures`)
    .example((bin) => `${bin} --workload kv --quick`)
    .action(() => {})
  cli.help((sections) => sections.filter(({ title }) => title !== 'Commands' && title?.startsWith('For more info') !== true))
  try {
    cli.parse(['node', 'wk-bench', ...args], { run: false })
    if (cli.options['help'] === true) return { kind: 'help' }
    cli.runMatchedCommand()
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
  return { kind: 'run', ...readOptions(cli.options as Record<string, unknown>) }
}

function readOptions(given: Record<string, unknown>): { options: RunOptions; out: string } {
  const quick = given['quick'] === true
  const seed = readNumber('--seed', given['seed'], 0)
  const limits = quick ? QUICK : FULL
  const mib = given['maxMib'] === undefined ? undefined : readNumber('--max-mib', given['maxMib'], 1)
  return {
    options: {
      workload: readWorkload(readText('--workload', given['workload'])),
      engines: readEngines(readText('--engine', given['engine'])),
      input: given['input'] === undefined ? defaultInput() : resolve(readText('--input', given['input'])),
      limits: { maxBytes: mib === undefined ? limits.maxBytes : mib * 1024 * 1024, maxFiles: limits.maxFiles, seed },
      quick,
      seed,
      rounds: given['rounds'] === undefined ? (quick ? 1 : 3) : readNumber('--rounds', given['rounds'], 1),
      temporary: given['tmp'] === undefined ? tmpdir() : resolve(readText('--tmp', given['tmp'])),
    },
    out: given['out'] === undefined ? join(WORKSPACE, 'apps/bench/results') : resolve(readText('--out', given['out'])),
  }
}

/** The packages that pnpm installed: real files, thousands of them, on every machine that can run this. */
function defaultInput(): string {
  const pnpm = join(WORKSPACE, 'node_modules/.pnpm')
  return existsSync(pnpm) ? pnpm : join(WORKSPACE, 'node_modules')
}

function readText(option: string, value: unknown): string {
  if (Array.isArray(value)) throw new UsageError(`${option} is given more than once`)
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text !== 'string' || text === '') throw new UsageError(`${option} needs a value`)
  return text
}

function readNumber(option: string, value: unknown, least: number): number {
  const number = Number(readText(option, value))
  if (!Number.isSafeInteger(number) || number < least) throw new UsageError(`${option} needs a whole number of at least ${least}`)
  return number
}

function readWorkload(name: string): WorkloadName {
  const workload = WORKLOADS.find((candidate) => candidate === name)
  if (workload === undefined) throw new UsageError(`--workload ${name}: unknown; there are ${WORKLOADS.join(', ')}`)
  return workload
}

function readEngines(names: string): EngineName[] {
  const engines = new Set<EngineName>()
  for (const name of names.split(',').map((part) => part.trim())) {
    if (!isEngineName(name)) throw new UsageError(`--engine ${name}: unknown; there are ${ENGINE_NAMES.join(', ')}`)
    engines.add(name)
  }
  return [...engines]
}
