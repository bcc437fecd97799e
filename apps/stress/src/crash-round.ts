/** What the crash checks share: workloads drawn from a seed and a round, on databases with small files. */
import { DB, type DbOptions } from '@wk/db'
import type { MemoryFileSystem } from '@wk/fs'
import { crashProfile, type CrashReport, drawHistory, EAGER, type Operation, Rng, SMALLEST, THRESHOLD } from '@wk/testkit'
import type { Report } from './check.js'
import { SleepingRuntime } from './sleeping-runtime.js'

/** Where the database lies in a simulated file system. */
export const DIR = '/db'

/** A workload, and the options it runs under. */
export interface CrashRound {
  readonly options: DbOptions
  readonly history: readonly Operation[]
}

/** The workload of a round: the collector in the background in every third, compressed values in every fourth, two versions kept in every fifth. */
export function drawRound(seed: number, round: number, operations = 100): CrashRound {
  return {
    options: { ...(round % 3 === 2 ? EAGER : SMALLEST), ...(round % 4 === 3 ? { valueCompression: 'lz4' } : {}), ...(round % 5 === 4 ? { numVersionsToKeep: 2 } : {}) },
    history: drawHistory(new Rng(seed * 1000 + round), crashProfile(operations, THRESHOLD)),
  }
}

/** Opens a database on any simulated file system, under these options. */
export function opener(options: DbOptions): (fs: MemoryFileSystem) => Promise<DB> {
  return (fs) => DB.open(DIR, { ...options, fs, runtime: new SleepingRuntime(1) })
}

/** The round, and the index in it, that a replayed case names; see {@link reportFindings}. */
export function replayed(only: string | undefined): { round: number | undefined; index: number | undefined } {
  const [round, index] = only?.split('/').map(Number) ?? []
  return { round, index }
}

/** Reports what an exploration found. */
export function reportFindings(report: Report, round: number, explored: CrashReport): void {
  for (const { law, policy, index, operation, message } of explored.findings) {
    report.fail(`law ${law}, ${policy} before operation ${index} (${operation}): ${message}`, `${round}/${index}`)
  }
}
