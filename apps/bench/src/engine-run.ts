/**
 * Runs one workload on one engine in this process and sums it up. Never rejects for what the engine does: a failure is part of
 * the result, with the phases that were complete by then.
 */
import { join } from 'node:path'
import type { Engine } from './engines/engine.js'
import { peakResident } from './measure/memory.js'
import { ioBetween, readProcessIo } from './measure/process-io.js'
import { TimeSlice } from './measure/time-slice.js'
import type { EngineJob } from './protocol.js'
import type { EngineResult, PhaseResult } from './report/result.js'
import { WORKLOADS } from './workloads/catalog.js'
import { PhaseRunner, type Observer } from './workloads/phase-runner.js'

/** Runs it. The database lives in a subdirectory of `job.dir`, which the caller removes. */
export async function runEngine(engine: Engine, job: EngineJob, observer: Observer): Promise<EngineResult> {
  const slice = new TimeSlice()
  const runner = new PhaseRunner(slice, observer)
  const dir = join(job.dir, 'db')
  let stats: Record<string, number> | null = null
  let failure: string | null = null
  try {
    const { part, quick, seed, plan } = job
    stats = await WORKLOADS[job.workload].run({ engine, dir, part, quick, seed, plan, runner, slice })
  } catch (error) {
    failure = describeFailure(error)
  }
  const { begun } = runner
  const written = ioBetween(begun.io, readProcessIo())
  return {
    engine: engine.name,
    version: engine.version,
    durability: engine.durability,
    syncedDurability: engine.syncedDurability,
    collection: engine.collection,
    settings: engine.settings,
    phases: runner.results,
    userBytesWritten: sumWritten(runner.results),
    bytesHanded: written?.handed ?? null,
    bytesDirtied: written?.dirtied ?? null,
    residentBefore: begun.resident,
    residentPeak: peakResident(),
    anonymousPeak: runner.anonymous.bytes,
    wallSeconds: (performance.now() - begun.time) / 1e3,
    stats,
    failure,
    absent: null,
  }
}

/** An error with its code and its causes, in one line. */
export function describeFailure(error: unknown): string {
  const parts: string[] = []
  for (let current = error; current !== undefined && current !== null && parts.length < 5; ) {
    if (!(current instanceof Error)) {
      parts.push(String(current))
      break
    }
    const { code } = current as { code?: unknown }
    parts.push(`${typeof code === 'string' ? code : current.name}: ${current.message}`)
    current = current.cause
  }
  return parts.join(' <- ')
}

function sumWritten(phases: readonly PhaseResult[]): number {
  return phases.reduce((sum, phase) => sum + (phase.writes ? phase.bytes : 0), 0)
}
