/**
 * Histories and crashes with hardly any entries of run tables allowed, so that pointers are rewritten all the time: against a sorted map, and
 * at mutating operations. `WK_SEED` is the first seed, `WK_RUNS` the number of histories; `WK_CRASH_EVERY=1` crashes before every
 * operation instead of one in three.
 */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { countAtClose, CrashOracle, crashProfile, drawHistory, EAGER, exploreCrashes, HistoryRunner, modelProfile, Rng, SMALLEST, THRESHOLD } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import type { DB } from '../src/index.js'
import { openWith } from './bounded-runs.js'
import { oneIn } from './crash-sample.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 20 : 1))

const MOST_RUNS = 8

/** Opens it, and adds up at its end how many logical files lost their last pointer. */
async function openCounting(fs: MemoryFileSystem, isEager: boolean, counts: { readdressed: number }): Promise<DB> {
  const db = await openWith('/db', { ...(isEager ? EAGER : SMALLEST), fs, workers: 0 }, MOST_RUNS)
  return countAtClose(db, () => (counts.readdressed += db.stats().gcReaddressed))
}

describe.each([true, false])('with hardly any entries of run tables, background collection: %s', (isEager) => {
  it(`the database equals a sorted map: histories ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}`, async () => {
    const counts = { readdressed: 0 }
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const fs = new MemoryFileSystem({ crashable: false })
      const history = drawHistory(new Rng(seed), { ...modelProfile(400, THRESHOLD), sizes: [20, 64, 65, 100, 300, 600] })
      await new HistoryRunner(() => openCounting(fs, isEager, counts), undefined).run(history).catch((cause: unknown) => {
        throw new Error(`seed ${seed}: ${String(cause)}\n  replay: WK_SEED=${seed} WK_RUNS=1 npx vitest run test/readdressing.crash.test.ts`, { cause })
      })
    }
    if (RUNS > 10) expect(counts.readdressed).toBeGreaterThan(20)
  })

  it('laws 1 to 8 and 11 at mutating operations of the whole history, under P0 to P3', async () => {
    const workload = { readdressed: 0 }
    const profile = { ...crashProfile(160, THRESHOLD), keys: 24, sizes: [20, 100, 150, 600], syncOdds: 0.1, maintenance: [0.3, 0.5, 0.7, 0.9] }
    const history = drawHistory(new Rng(FIRST_SEED), profile)
    const report = await exploreCrashes({
      dir: '/db',
      createFileSystem: () => new MemoryFileSystem(),
      open: (fs) => openCounting(fs, isEager, { readdressed: 0 }),
      createOracle: () => new CrashOracle(),
      run: async (fs, oracle) => {
        await new HistoryRunner(() => openCounting(fs, isEager, workload), oracle).run(history)
      },
      policies: CRASH_POLICIES.slice(0, 4),
      seeds: [1],
      recoveryEvery: 20,
      maintainEvery: 4,
      crashBefore: oneIn(3),
    })
    const replay = `WK_SEED=${FIRST_SEED} npx vitest run test/readdressing.crash.test.ts`
    expect(report.findings.map(({ law, policy, index, operation, message }) => `law ${law}, ${policy} before operation ${index} (${operation}): ${message}\n  replay: ${replay}`)).toEqual([])
    if (process.env.WK_SEED === undefined) expect(workload.readdressed).toBeGreaterThan(0)
    expect(report.images).toBeGreaterThan(150)
  })
})
