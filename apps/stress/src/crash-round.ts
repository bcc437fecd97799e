/** What the crash checks share: workloads drawn from a seed and a round, on databases with small files. */
import type { DB } from '@wk/db'
import { openBounded, type BoundedOptions } from '@wk/db/testing'
import type { MemoryFileSystem } from '@wk/fs'
import { type CrashOracle, crashProfile, type CrashReport, drawHistory, EAGER, FEW_RUNS, fillingGaps, gapsProfile, HistoryRunner, holesProfile, type Operation, type Profile, Rng, SMALLEST, THRESHOLD, withGaps, withHoles } from '@wk/testkit'
import type { Report } from './check.js'
import type { RareWork } from './rare-work.js'
import { SleepingRuntime } from './sleeping-runtime.js'

/** Where the database lies in a simulated file system. */
export const DIR = '/db'

/** A workload, and the options it runs under. */
export interface CrashRound {
  readonly options: BoundedOptions
  readonly history: readonly Operation[]
}

/**
 * The workload of a round: the collector in the background in every third, compressed values in every fourth, two versions kept in every
 * fifth. In every second one run tables may have hardly any entries, and more records are collected, so that pointers are rewritten; in every
 * fourth values are long, and what is dead comes back as holes; in those that are left new values go where dead ones lie.
 */
export function drawRound(seed: number, round: number, operations = 100): CrashRound {
  const isBounded = round % 2 === 0
  const isHoled = round % 4 === 1
  const hasGaps = round % 4 === 3
  const sizes = round % 3 === 2 ? EAGER : SMALLEST
  // Long values take many more operations of the file system.
  const profile = crashProfile(isHoled ? operations / 2 : operations, THRESHOLD)
  const rng = new Rng(seed * 1000 + round)
  const drawn = drawHistory(rng, isBounded ? rewritingProfile(profile) : isHoled ? holesProfile(profile) : gapsProfile(profile))
  return {
    options: {
      ...(isHoled ? withHoles(sizes) : hasGaps ? withGaps(sizes) : sizes),
      ...(round % 4 === 3 ? { valueCompression: 'lz4' } : {}),
      ...(round % 5 === 4 ? { numVersionsToKeep: 2 } : {}),
      ...(isBounded ? { mostRuns: FEW_RUNS } : {}),
    },
    history: hasGaps ? fillingGaps(rng, drawn) : drawn,
  }
}

/** The profile with few keys and more collections: with hardly any entries of run tables pointers are rewritten. */
export function rewritingProfile(profile: Profile): Profile {
  return { ...profile, keys: 24, sizes: [20, 100, 150, 600], maintenance: [0.4, 0.6, 0.8] }
}

/** Opens a database on any simulated file system, under these options. */
export function opener(options: BoundedOptions): (fs: MemoryFileSystem) => Promise<DB> {
  return (fs) => openBounded(DIR, { ...options, fs, runtime: new SleepingRuntime(1) })
}

/** Runs the workload of a round on a new database, and counts what seldom happens. */
export async function runRound({ options, history }: CrashRound, rare: RareWork, fs: MemoryFileSystem, oracle: CrashOracle): Promise<void> {
  const open = opener(options)
  await new HistoryRunner(async () => rare.watch(await open(fs)), oracle).run(history)
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
