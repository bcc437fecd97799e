/**
 * Histories and crashes with long dead ranges given back in place: against a sorted map, and at mutating operations. `WK_SEED` is the first
 * seed, `WK_RUNS` the number of histories; `WK_CRASH_EVERY=1` crashes before every operation instead of some.
 */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { countAtClose, CrashOracle, crashProfile, drawHistory, EAGER, exploreCrashes, HistoryRunner, holesProfile, LONG_SIZES, modelProfile, Rng, SMALLEST, THRESHOLD, withHoles } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import type { DB } from '../src/index.js'
import { openBounded } from '../src/testing.js'
import { oneIn } from './crash-sample.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 12 : 1))

/** Opens it, and adds up at its end how much came back in place. */
async function openCounting(fs: MemoryFileSystem, isEager: boolean, counts: { punched: number }): Promise<DB> {
  const db = await openBounded('/db', { ...withHoles(isEager ? EAGER : SMALLEST), fs, workers: 0 })
  return countAtClose(db, () => (counts.punched += db.stats().gcBytesPunched))
}

describe.each([true, false])('with holes, background collection: %s', (isEager) => {
  it(`the database equals a sorted map: histories ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}`, async () => {
    const counts = { punched: 0 }
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const fs = new MemoryFileSystem({ crashable: false })
      const history = drawHistory(new Rng(seed), { ...modelProfile(400, THRESHOLD), sizes: LONG_SIZES })
      await new HistoryRunner(() => openCounting(fs, isEager, counts), undefined).run(history).catch((cause: unknown) => {
        throw new Error(`seed ${seed}: ${String(cause)}\n  replay: WK_SEED=${seed} WK_RUNS=1 npx vitest run test/holes.crash.test.ts`, { cause })
      })
    }
    if (RUNS > 10) expect(counts.punched).toBeGreaterThan(300_000)
  })

  it('laws 1 to 8 and 11 at mutating operations of the whole history, under P0 to P3', async () => {
    const workload = { punched: 0 }
    const history = drawHistory(new Rng(FIRST_SEED), holesProfile(crashProfile(120, THRESHOLD)))
    const report = await exploreCrashes({
      dir: '/db',
      createFileSystem: () => new MemoryFileSystem(),
      open: (fs) => openCounting(fs, isEager, { punched: 0 }),
      createOracle: () => new CrashOracle(),
      run: async (fs, oracle) => {
        await new HistoryRunner(() => openCounting(fs, isEager, workload), oracle).run(history)
      },
      policies: CRASH_POLICIES.slice(0, 4),
      seeds: [1],
      recoveryEvery: 20,
      maintainEvery: 4,
      crashBefore: oneIn(isEager ? 9 : 4),
    })
    const replay = `WK_SEED=${FIRST_SEED} npx vitest run test/holes.crash.test.ts`
    expect(report.findings.map(({ law, policy, index, operation, message }) => `law ${law}, ${policy} before operation ${index} (${operation}): ${message}\n  replay: ${replay}`)).toEqual([])
    if (process.env.WK_SEED === undefined) expect(workload.punched).toBeGreaterThan(0)
    expect(report.images).toBeGreaterThan(100)
  })
})
