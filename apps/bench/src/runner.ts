/**
 * The parent of a run: prepares the input, starts one child process per engine, one after another, each in a fresh directory, and
 * collects what they tell.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { EngineName } from './engines/engine.js'
import { planInput, writePlan, type InputPlan } from './input/input-plan.js'
import type { SampleLimits } from './input/sample.js'
import { describeEnvironment } from './measure/machine.js'
import type { ProgressLine } from './progress-line.js'
import type { EngineJob, EngineMessage } from './protocol.js'
import { formatBytes, formatDuration, formatRate } from './report/format.js'
import { REPORT_VERSION, type EngineResult, type PhaseResult, type RunReport, type WorkloadName } from './report/result.js'
import { mergeRounds } from './report/rounds.js'
import { UsageError } from './usage-error.js'

/** A database may need this many times its input while it is overwritten and compacted. */
const SPACE_FACTOR = 5
/** The same for the kv workload, whose input is made up: about what its largest load writes. */
const KV_BYTES = 350e6
/** No further round begins if it would end after this many milliseconds: the default run stays under three minutes. */
const ROUNDS_BUDGET = 120_000

/** The person in front of it ended the run. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError'
}

/** What to run. */
export interface RunOptions {
  readonly workload: WorkloadName
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
    const plan = options.workload === 'files' ? await prepareInput(options, progress) : null
    checkSpace(temporary, plan?.summary.bytes ?? KV_BYTES)
    const planFile = plan === null ? null : join(temporary, 'input.json')
    if (plan !== null && planFile !== null) writePlan(planFile, plan)
    const results = new Map<EngineName, EngineResult[]>(options.engines.map((engine) => [engine, []]))
    let rounds = 0
    let longest = 0
    // Rounds are interleaved, so that a slow minute of the machine does not hit one engine alone.
    while (rounds < options.rounds && (rounds === 0 || performance.now() - start + longest < ROUNDS_BUDGET)) {
      const roundStart = performance.now()
      rounds++
      for (const [engine, ofEngine] of results) {
        const dir = join(temporary, `${engine}-${rounds}`)
        mkdirSync(dir)
        const job: EngineJob = { engine, workload: options.workload, quick: options.quick, seed: options.seed, dir, plan: planFile }
        const label = options.rounds === 1 ? engine : `${engine} ${rounds}/${options.rounds}`
        ofEngine.push(await runChild(job, label, options.entry ?? defaultEntry(), progress, stop.signal))
        rmSync(dir, { recursive: true, force: true })
        if (stop.signal.aborted) throw new InterruptedError('interrupted')
      }
      longest = Math.max(longest, performance.now() - roundStart)
    }
    return {
      report: REPORT_VERSION,
      workload: options.workload,
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
  const needed = SPACE_FACTOR * bytes
  if (bavail * bsize >= needed) return
  throw new UsageError(`${dirname(dir)}: ${formatBytes(needed)} of free space needed; choose another place with --tmp`)
}

async function runChild(job: EngineJob, label: string, entry: string, progress: ProgressLine, signal: AbortSignal): Promise<EngineResult> {
  const child = fork(entry, [JSON.stringify(job)], { stdio: ['ignore', 'inherit', 'pipe', 'ipc'], serialization: 'json' })
  const kill = (): void => void child.kill()
  signal.addEventListener('abort', kill)
  const phases: PhaseResult[] = []
  let result: EngineResult | undefined
  let complaint = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-2000)))
  child.on('message', (message: EngineMessage) => {
    if (message.type === 'progress') progress.update(`${label}: ${message.title}`, message.done, message.total)
    else if (message.type === 'result') result = message.result
    else {
      phases.push(message.phase)
      progress.finish(`${label}: ${message.phase.title}`, summarize(message.phase))
    }
  })
  const status = await ended(child)
  signal.removeEventListener('abort', kill)
  if (signal.aborted) return result ?? crashed(job.engine, phases, 'interrupted')
  if (result?.failure) progress.finish(label, `FAILED: ${result.failure}`)
  if (result !== undefined) return result
  const failure = `the process ended with ${status}${complaint === '' ? '' : `: ${complaint.trim()}`}`
  progress.finish(label, `FAILED: ${failure}`)
  return crashed(job.engine, phases, failure)
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(String(error)))
    child.once('close', (status, signal) => resolve(signal ?? `status ${status}`))
  })
}

function summarize(phase: PhaseResult): string {
  const rate = phase.operations > 1 ? `, ${formatRate(phase.operations / phase.seconds)} ops/s` : ''
  return `${formatDuration(phase.wallSeconds * 1e6)}${rate}${phase.note === null ? '' : ` (${phase.note})`}`
}

function crashed(engine: EngineName, phases: readonly PhaseResult[], failure: string): EngineResult {
  return {
    engine,
    version: 'unknown',
    durability: 'unknown',
    collection: null,
    settings: {},
    phases,
    userBytesWritten: 0,
    bytesHanded: null,
    bytesDirtied: null,
    residentBefore: 0,
    residentPeak: 0,
    anonymousPeak: null,
    wallSeconds: 0,
    stats: null,
    failure,
  }
}
