/** The parent's side of one engine process: starts it, passes its progress on, makes a result of whatever becomes of it. */
import { execFile, fork, type ChildProcess } from 'node:child_process'
import type { EngineName } from './engines/engine.js'
import type { ProgressLine } from './progress-line.js'
import type { EngineJob, EngineMessage } from './protocol.js'
import { formatDuration, formatRate } from './report/format.js'
import type { EngineResult, PhaseResult } from './report/result.js'

/** Runs a job in a process of its own. Resolves also if the process fails or its engine is absent: the result says so. */
export async function runChild(job: EngineJob, label: string, entry: string, progress: ProgressLine, signal: AbortSignal): Promise<EngineResult> {
  await writeBack()
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
    else if (message.type === 'absent') result = { ...without(job.engine, []), absent: message.reason }
    else {
      phases.push(message.phase)
      progress.finish(`${label}: ${message.phase.title}`, summarize(message.phase))
    }
  })
  const status = await ended(child)
  signal.removeEventListener('abort', kill)
  if (signal.aborted) return result ?? { ...without(job.engine, phases), failure: 'interrupted' }
  if (result?.absent) progress.finish(label, result.absent)
  if (result?.failure) progress.finish(label, `FAILED: ${result.failure}`)
  if (result !== undefined) return result
  const failure = `the process ended with ${status}${complaint === '' ? '' : `: ${complaint.trim()}`}`
  progress.finish(label, `FAILED: ${failure}`)
  return { ...without(job.engine, phases), failure }
}

/**
 * Lets the system write its dirty pages first: what one engine left behind must not slow the next. Where there is no `sync`, they stay.
 */
function writeBack(): Promise<void> {
  return new Promise((resolve) => {
    execFile('sync', () => resolve())
  })
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

/** The result of a process that did not live to tell one. */
function without(engine: EngineName, phases: readonly PhaseResult[]): EngineResult {
  return {
    engine,
    version: 'unknown',
    durability: 'unknown',
    syncedDurability: null,
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
    failure: null,
    absent: null,
  }
}
