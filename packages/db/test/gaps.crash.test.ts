/**
 * Histories and crashes with new values written where dead ones lie (option `gc.fillGaps`): against a sorted map, and at mutating operations.
 * `WK_SEED` is the first seed, `WK_RUNS` the number of histories, or of crashed workloads; `WK_CRASH_EVERY=1` crashes before every operation instead of some.
 */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { countAtClose, CrashOracle, crashProfile, drawHistory, EAGER, exploreCrashes, fillingGaps, gapsProfile, HistoryRunner, modelProfile, type Operation, type Profile, Rng, SMALLEST, THRESHOLD, withGaps } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import type { DB } from '../src/index.js'
import { openBounded } from '../src/testing.js'
import { oneIn } from './crash-sample.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 12 : 1))
const CRASHED = Number(process.env.WK_RUNS ?? 1)

/** Opens it, and adds up at its end how much was written into gaps. */
async function openCounting(fs: MemoryFileSystem, isEager: boolean, counts: { filled: number; databases: number }): Promise<DB> {
  const db = await openBounded('/db', { ...withGaps(isEager ? EAGER : SMALLEST), fs, workers: 0 })
  return countAtClose(db, () => {
    counts.filled += db.stats().gcBytesFilled
    counts.databases += db.stats().gcBytesFilled > 0 ? 1 : 0
  })
}

function drawFilling(seed: number, profile: Profile): Operation[] {
  const rng = new Rng(seed)
  return fillingGaps(rng, drawHistory(rng, gapsProfile(profile)))
}

describe.each([true, false])('with gaps, background collection: %s', (isEager) => {
  it(`law 4: the database equals a sorted map: histories ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}`, async () => {
    const counts = { filled: 0, databases: 0 }
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const fs = new MemoryFileSystem({ crashable: false })
      const history = drawFilling(seed, modelProfile(400, THRESHOLD))
      await new HistoryRunner(() => openCounting(fs, isEager, counts), undefined).run(history).catch((cause: unknown) => {
        throw new Error(`seed ${seed}: ${String(cause)}\n  replay: WK_SEED=${seed} WK_RUNS=1 npx vitest run test/gaps.crash.test.ts`, { cause })
      })
    }
    if (RUNS > 10) expect(counts.filled).toBeGreaterThan(100_000)
  }, 20_000 * (RUNS + 4))

  it('laws 1 to 8 and 11 at mutating operations of the whole history, under P0 to P4', async () => {
    const workload = { filled: 0, databases: 0 }
    for (let seed = FIRST_SEED; seed < FIRST_SEED + CRASHED; seed++) {
      const recovered = { filled: 0, databases: 0 }
      const history = drawFilling(seed, crashProfile(120, THRESHOLD))
      const report = await exploreCrashes({
        dir: '/db',
        createFileSystem: () => new MemoryFileSystem(),
        open: (fs) => openCounting(fs, isEager, recovered),
        createOracle: () => new CrashOracle(),
        run: async (fs, oracle) => {
          await new HistoryRunner(() => openCounting(fs, isEager, workload), oracle).run(history)
        },
        policies: CRASH_POLICIES.slice(0, 5),
        seeds: [seed],
        recoveryEvery: 20,
        maintainEvery: 4,
        crashBefore: oneIn(isEager ? 12 : 6),
      })
        const replay = `WK_SEED=${seed} npx vitest run test/gaps.crash.test.ts`
      expect(report.findings.map(({ law, policy, index, operation, message }) => `law ${law}, ${policy} before operation ${index} (${operation}): ${message}\n  replay: ${replay}`)).toEqual([])
      expect(report.images).toBeGreaterThan(100)
    }
    if (process.env.WK_SEED === undefined) expect(workload.filled).toBeGreaterThan(0)
  }, 60_000 * (CRASHED + 1))
})
