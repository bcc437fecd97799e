/**
 * Laws 1 to 8, and 11, at every mutating file-system operation of a history that opens and closes the database every few
 * operations, under all policies: after a clean end nothing is written until something changes (ADR 0015), and a crash
 * may come at any moment of that.
 *
 * `WK_SEED` draws another history, `WK_RUNS` several, `WK_CRASH_INDEX` looks at one operation only.
 */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { CrashOracle, drawHistory, exploreCrashes, HistoryRunner, openCloseProfile, Rng, SMALLEST, THRESHOLD, type Operation } from '@wk/testkit'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? 1)
const ONLY = process.env.WK_CRASH_INDEX === undefined ? undefined : Number(process.env.WK_CRASH_INDEX)

const open = (fs: MemoryFileSystem): Promise<DB> => DB.open('/data/db', { ...SMALLEST, fs })

/** Explores a history; what was found, each with the command that replays it. */
async function explore(history: readonly Operation[], seed: number, least: number): Promise<string[]> {
  const report = await exploreCrashes({
    dir: '/data/db',
    createFileSystem: () => new MemoryFileSystem(),
    open,
    createOracle: () => new CrashOracle(),
    run: (fs, oracle) => new HistoryRunner(() => open(fs), oracle).run(history),
    policies: CRASH_POLICIES,
    seeds: [1],
    recoveryEvery: 50,
    recoveryTwice: true,
    maintainEvery: 20,
    ...(ONLY === undefined ? {} : { onlyIndex: ONLY }),
  })
  if (ONLY === undefined) expect(report.images).toBeGreaterThan(least)
  return report.findings.map(
    ({ law, policy, index, operation, message }) => `law ${law}, ${policy} before operation ${index} (${operation}): ${message}; replay: WK_SEED=${seed} WK_RUNS=1 WK_CRASH_INDEX=${index} npx vitest run test/open-close.crash.test.ts`,
  )
}

it.each(Array.from({ length: RUNS }, (_, run) => FIRST_SEED + run))('opening and closing all the time, seed %i', { timeout: 240_000 }, async (seed) => {
  const history = drawHistory(new Rng(seed), openCloseProfile(28, THRESHOLD))
  expect(history.filter(({ type }) => type === 'reopen').length).toBeGreaterThan(2)
  expect(await explore(history, seed, 500)).toEqual([])
})

it('values that only the value log knows, behind a clean end', { timeout: 60_000 }, async () => {
  const put = (key: string, seed: number): Operation => ({ type: 'write', writes: [{ key, value: { size: 300, seed } }], sync: false, awaited: true, batch: false })
  const round = (seed: number): Operation[] => [put('a', seed), put('b', seed + 1), put('a', seed + 2), { type: 'reopen' }]
  expect(await explore([...round(1), ...round(4), ...round(7)], FIRST_SEED, 200)).toEqual([])
})
