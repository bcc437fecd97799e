/**
 * The parent of a run: prepares the input, has each part of the workload done by each engine in a process of its own, one after
 * another, each in a fresh directory, and collects what they tell.
 */
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runChild } from './engine-child.js'
import type { EngineName } from './engines/engine.js'
import { planInput, writePlan, type InputPlan } from './input/input-plan.js'
import type { SampleLimits } from './input/sample.js'
import { describeEnvironment } from './measure/machine.js'
import type { ProgressLine } from './progress-line.js'
import type { EngineJob } from './protocol.js'
import { formatBytes } from './report/format.js'
import { REPORT_VERSION, type EngineResult, type RunReport, type WorkloadName } from './report/result.js'
import { mergeParts, mergeRounds } from './report/rounds.js'
import { UsageError } from './usage-error.js'
import { WORKLOADS } from './workloads/catalog.js'

/** A database may need this many times its input while it is overwritten and compacted. */
const SPACE_FACTOR = 5

/** The person in front of it ended the run. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
}

/** What to run. */
export interface RunOptions {
  readonly workload: WorkloadName
  /** Parts of the workload, in its order. */
  readonly parts: readonly string[]
  readonly engines: readonly EngineName[]
  /** Directory of input files; used by the `files` workload. */
  readonly input: string
  readonly limits: SampleLimits
  readonly quick: boolean
  readonly seed: number
  /** Most rounds to run; fewer if they take long. */
  readonly rounds: number
  /** Directory under which the databases are made. */
  readonly temporary: string
  /** Compiled `engine-process.js`; the one beside this module by default. */
  readonly entry?: string
}

/**
 * Runs all engines. Resolves also if an engine failed: its result says so. The temporary directory is removed in any case.
 *
 * @throws UsageError if the input cannot be used or there is no room.
 */
export async function runAll(options: RunOptions, progress: ProgressLine): Promise<RunReport> {
  const start = performance.now()
  const environment = describeEnvironment(import.meta.dirname)
  const temporary = makeTemporary(options.temporary)
  const stop = new AbortController()
  const onSignal = (): void => stop.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  try {
    const workload = WORKLOADS[options.workload]
    const plan = options.workload === 'files' ? await prepareInput(options, progress) : null
    checkSpace(temporary, workload.diskBytes(options.parts, options.quick) ?? SPACE_FACTOR * (plan?.summary.bytes ?? 0))
    const planFile = plan === null ? null : join(temporary, 'input.json')
    if (plan !== null && planFile !== null) writePlan(planFile, plan)
    const results = new Map<EngineName, EngineResult[]>(options.engines.map((engine) => [engine, []]))
    let rounds = 0
    let longest = 0
    while (rounds < options.rounds && (rounds === 0 || performance.now() - start + longest < workload.budgetSeconds * 1e3)) {
      const roundStart = performance.now()
      rounds++
      for (const [engine, round] of await runRound(options, planFile, temporary, rounds, progress, stop.signal)) results.get(engine)?.push(round)
      longest = Math.max(longest, performance.now() - roundStart)
    }
    return {
      report: REPORT_VERSION,
      workload: options.workload,
      parts: options.parts,
      quick: options.quick,
      seed: options.seed,
      environment,
      input: plan?.summary ?? null,
      rounds,
      seconds: (performance.now() - start) / 1e3,
      engines: [...results.values()].map(mergeRounds),
    }
  } finally {
    progress.clear()
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
    rmSync(temporary, { recursive: true, force: true })
  }
}

/** Part by part, and within a part engine after engine, so that a slow minute of the machine does not hit one engine alone. */
async function runRound(
  options: RunOptions,
  plan: string | null,
  temporary: string,
  round: number,
  progress: ProgressLine,
  signal: AbortSignal,
): Promise<Map<EngineName, EngineResult>> {
  const { workload, quick, seed } = options
  const parts = new Map<EngineName, EngineResult[]>(options.engines.map((engine) => [engine, []]))
  for (const part of options.parts) {
    for (const [engine, ofEngine] of parts) {
      if (ofEngine[0]?.absent !== undefined && ofEngine[0].absent !== null) continue
      const dir = join(temporary, `${engine}-${part}-${round}`)
      mkdirSync(dir)
      const job: EngineJob = { engine, workload, part, quick, seed, dir, plan }
      const label = [engine, ...(options.parts.length > 1 ? [part] : []), ...(options.rounds > 1 ? [`${round}/${options.rounds}`] : [])].join(' ')
      ofEngine.push(await runChild(job, label, options.entry ?? defaultEntry(), progress, signal))
      rmSync(dir, { recursive: true, force: true })
      if (signal.aborted) throw new InterruptedError('interrupted')
    }
  }
  return new Map([...parts].map(([engine, ofEngine]) => [engine, mergeParts(ofEngine)]))
}

function defaultEntry(): string {
  return fileURLToPath(new URL('./engine-process.js', import.meta.url))
}

async function prepareInput(options: RunOptions, progress: ProgressLine): Promise<InputPlan> {
  const plan = await planInput(options.input, options.limits, (done, total) => progress.update('reading the input', done, total))
  const { files, bytes, foundFiles } = plan.summary
  progress.finish('input', `${files} of ${foundFiles} files, ${formatBytes(bytes)}, from ${options.input}`)
  return plan
}

function makeTemporary(parent: string): string {
  try {
    return mkdtempSync(join(parent, 'wk-bench-'))
  } catch (error) {
    throw new UsageError(`--tmp ${parent}: cannot be written to (${error instanceof Error ? error.message : String(error)})`)
  }
}

function checkSpace(dir: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(dir)
  if (bavail * bsize >= bytes) return
  throw new UsageError(`${dirname(dir)}: ${formatBytes(bytes)} of free space needed; choose another place with --tmp`)
}
