/**
 * Laws 1 to 8, and 11, at mutating file-system operation of a history of small synced writes, under all policies: their value
 * log has zeros ahead (docs/adr/0021), which a crash may leave behind in part, in any file, and a clean end must not.
 *
 * `WK_SEED` draws another history, `WK_CRASH_EVERY=1` crashes before every operation instead of one in three, `WK_CRASH_INDEX` looks
 * at one only.
 */
import { CRASH_POLICIES, MemoryFileSystem, type MutatingOperation } from '@wk/fs'
import { CrashOracle, crashProfile, drawHistory, exploreCrashes, HistoryRunner, Rng, SMALLEST, THRESHOLD } from '@wk/testkit'
import { expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { oneIn } from './crash-sample.js'

const SEED = Number(process.env.WK_SEED ?? 1)
const ONLY = process.env.WK_CRASH_INDEX === undefined ? undefined : Number(process.env.WK_CRASH_INDEX)

/** What only zeros come to: the longest value of the history is far shorter. */
const LONG_WRITE = 16 * 1024

it('laws 1 and 6: small synced writes, with zeros behind them', { timeout: 240_000 }, async () => {
  const profile = { ...crashProfile(60, THRESHOLD), sizes: [THRESHOLD, 200, 600, 1400], syncOdds: 0.9, overlapOdds: 0.1, reopens: 1 }
  const history = drawHistory(new Rng(SEED), profile)
  const counts = { zeros: 0, cuts: 0 }
  const open = (fs: MemoryFileSystem): Promise<DB> => DB.open('/db', { ...SMALLEST, fs })
  const count = ({ kind, path, length = 0 }: MutatingOperation): void => {
    if (!path.endsWith('.vlog')) return
    if (kind === 'write' && length >= LONG_WRITE) counts.zeros++
    if (kind === 'truncate') counts.cuts++
  }
  const report = await exploreCrashes({
    dir: '/db',
    createFileSystem: () => new MemoryFileSystem(),
    open,
    createOracle: () => new CrashOracle(),
    run: async (fs, oracle) => {
      const explore = fs.onMutatingOperation
      fs.onMutatingOperation = (index, operation) => {
        count(operation)
        explore?.(index, operation)
      }
      await new HistoryRunner(() => open(fs), oracle).run(history)
    },
    policies: CRASH_POLICIES,
    seeds: [1],
    recoveryEvery: 40,
    recoveryTwice: true,
    maintainEvery: 10,
    ...(ONLY === undefined ? { crashBefore: oneIn(3) } : { onlyIndex: ONLY }),
  })
  const replay = (index: number): string => `WK_SEED=${SEED} WK_CRASH_INDEX=${index} npx vitest run test/synced-puts.crash.test.ts`
  expect(report.findings.map(({ law, policy, index, operation, message }) => `law ${law}, ${policy} before operation ${index} (${operation}): ${message}; replay: ${replay(index)}`)).toEqual([])
  expect(counts.zeros).toBeGreaterThan(1)
  expect(counts.cuts).toBeGreaterThan(1)
  if (ONLY === undefined) expect(report.images).toBeGreaterThan(300)
})
