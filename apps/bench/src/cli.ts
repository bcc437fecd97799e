/** The command line: what can be asked for, and what is wrong with it. Does nothing itself. */
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { cac } from 'cac'
import type { EngineName } from './engines/engine.js'
import { ENGINE_NAMES, isEngineName } from './engines/registry.js'
import type { RunOptions } from './runner.js'
import { UsageError } from './usage-error.js'
import { WORKLOADS } from './workloads/catalog.js'
import type { Workload } from './workloads/workload.js'

const WORKSPACE = resolve(import.meta.dirname, '../../..')
const FULL = { maxBytes: 256 * 1024 * 1024, maxFiles: 30_000 }
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
    .option('--workload <name>', 'What to run; see below', { default: 'files' })
    .option('--part <names>', 'Parts of the workload, separated by commas (default: all)')
    .option('--engine <names>', 'Engines, separated by commas (default: those of the workload)')
    .option('--input <dir>', 'Directory with the files of the files workload (default: what the workspace has installed)')
    .option('--quick', 'A small part of the work: seconds instead of minutes')
    .option('--max-mib <n>', `Most input to take, in MiB (default: ${FULL.maxBytes / 1024 / 1024})`)
    .option('--out <dir>', 'Directory for the JSON and HTML report (default: apps/bench/results)')
    .option('--tmp <dir>', "Directory for the databases (default: the system's)")
    .option('--rounds <n>', 'Rounds of each engine, the median of each phase counts (default: that of the workload, with --quick 1)')
    .option('--seed <n>', 'Seed of orders and samples', { default: DEFAULT_SEED })
    .example((bin) => `${bin} --engine wk,lmdb --input ~/pictures`)
    .example((bin) => `${bin} --workload kv --quick`)
    .action(() => {})
  cli.help((sections) => [
    ...sections.filter(({ title }) => title !== 'Commands' && title?.startsWith('For more info') !== true),
    { title: 'Workloads', body: Object.values(WORKLOADS).map(describe).join('\n') },
  ])
  try {
    cli.parse(['node', 'wk-bench', ...args], { run: false })
    if (cli.options['help'] === true) return { kind: 'help' }
    cli.runMatchedCommand()
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
  return { kind: 'run', ...readOptions(cli.options as Record<string, unknown>) }
}

/** A workload in the help. */
function describe({ name, summary, parts, defaultParts = parts, engines, defaultEngines }: Workload): string {
  const list = (all: readonly string[], byDefault: readonly string[]): string => {
    const others = all.filter((one) => !byDefault.includes(one))
    return `${byDefault.join(', ')}${others.length === 0 ? '' : `; not by default: ${others.join(', ')}`}`
  }
  return [
    `  ${name}: ${summary}`,
    ...(parts.length > 1 ? [`    parts: ${list(parts, defaultParts)}`] : []),
    `    engines: ${list(engines, defaultEngines)}`,
  ].join('\n')
}

function readOptions(given: Record<string, unknown>): { options: RunOptions; out: string } {
  const quick = given['quick'] === true
  const seed = readNumber('--seed', given['seed'], 0)
  const limits = quick ? QUICK : FULL
  const mib = given['maxMib'] === undefined ? undefined : readNumber('--max-mib', given['maxMib'], 1)
  const workload = readWorkload(readText('--workload', given['workload']))
  if (given['input'] !== undefined && workload.name !== 'files') throw new UsageError(`--input: ${workload.name} takes no input`)
  return {
    options: {
      workload: workload.name,
      parts: given['part'] === undefined ? (workload.defaultParts ?? workload.parts) : readParts(readText('--part', given['part']), workload),
      engines: given['engine'] === undefined ? workload.defaultEngines : readEngines(readText('--engine', given['engine']), workload),
      input: given['input'] === undefined ? defaultInput() : resolve(readText('--input', given['input'])),
      limits: { maxBytes: mib === undefined ? limits.maxBytes : mib * 1024 * 1024, maxFiles: limits.maxFiles, seed },
      quick,
      seed,
      rounds: given['rounds'] === undefined ? (quick ? 1 : workload.rounds) : readNumber('--rounds', given['rounds'], 1),
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

function readWorkload(name: string): Workload {
  const workload = Object.values(WORKLOADS).find((candidate) => candidate.name === name)
  if (workload === undefined) throw new UsageError(`--workload ${name}: unknown; there are ${Object.keys(WORKLOADS).join(', ')}`)
  return workload
}

function readParts(names: string, { name, parts }: Workload): string[] {
  const wanted = new Set(names.split(',').map((part) => part.trim()))
  for (const part of wanted) if (!parts.includes(part)) throw new UsageError(`--part ${part}: unknown; ${name} has ${parts.join(', ')}`)
  return parts.filter((part) => wanted.has(part))
}

function readEngines(names: string, { name: workload, engines }: Workload): EngineName[] {
  const wanted = new Set<EngineName>()
  for (const name of names.split(',').map((part) => part.trim())) {
    if (!isEngineName(name)) throw new UsageError(`--engine ${name}: unknown; there are ${ENGINE_NAMES.join(', ')}`)
    if (!engines.includes(name)) throw new UsageError(`--engine ${name}: cannot run ${workload}; there are ${engines.join(', ')}`)
    wanted.add(name)
  }
  return [...wanted]
}
