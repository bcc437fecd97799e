/**
 * Histories and crashes with a background that collects eagerly: a target of 1.05 over the smallest files. `WK_SEED` is
 * the first seed, `WK_RUNS` the number of histories; `WK_CRASH_EVERY=1` crashes before every operation instead of one in three.
 */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { countAtClose, CrashOracle, crashProfile, drawHistory, EAGER, exploreCrashes, HistoryRunner, modelProfile, Rng, THRESHOLD } from '@wk/testkit'
import { describe, expect, it } from 'vitest'
import { DB } from '../src/index.js'
import { oneIn } from './crash-sample.js'

const FIRST_SEED = Number(process.env.WK_SEED ?? 1)
const RUNS = Number(process.env.WK_RUNS ?? (process.env.WK_SEED === undefined ? 20 : 1))

describe('with eager background collection', () => {
  it(`the database equals a sorted map: histories ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}`, async () => {
    let moved = 0
    for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
      const fs = new MemoryFileSystem({ crashable: false })
      const open = async (): Promise<DB> => {
        const db = await DB.open('/db', { ...EAGER, fs })
        return countAtClose(db, () => (moved += db.stats().gcBytesMoved))
      }
      const history = drawHistory(new Rng(seed), modelProfile(300, THRESHOLD)).filter(({ type }) => type !== 'gc' && type !== 'compact')
      await new HistoryRunner(open, undefined).run(history).catch((cause: unknown) => {
        throw new Error(`seed ${seed}: ${String(cause)}\n  replay: WK_SEED=${seed} WK_RUNS=1 npx vitest run test/gc-auto.crash.test.ts`, { cause })
      })
    }
    if (RUNS > 10) expect(moved).toBeGreaterThan(100_000)
  })

  it('laws 1 to 8 and 11 at mutating operations of the whole history, under P0 to P3', async () => {
    const open = (fs: MemoryFileSystem): Promise<DB> => DB.open('/db', { ...EAGER, fs })
    const relocated: string[] = []
    const history = drawHistory(new Rng(FIRST_SEED), { ...crashProfile(140, THRESHOLD), keys: 24, sizes: [20, 400, 900, 1400], syncOdds: 0.1, maintenance: [] }).filter(({ type }) => type !== 'gc')
    const report = await exploreCrashes({
      dir: '/db',
      createFileSystem: () => new MemoryFileSystem(),
      open,
      createOracle: () => new CrashOracle(),
      run: async (fs, oracle) => {
        const hook = fs.onMutatingOperation
        fs.onMutatingOperation = (at, operation) => {
          hook?.(at, operation)
          if (operation.kind === 'rename' && operation.path.includes('.rlog')) relocated.push(operation.path)
        }
        await new HistoryRunner(() => open(fs), oracle).run(history)
      },
      policies: CRASH_POLICIES.slice(0, 4),
      seeds: [1],
      recoveryEvery: 20,
      maintainEvery: 12,
      crashBefore: oneIn(3),
    })
    const replay = `WK_SEED=${FIRST_SEED} npx vitest run test/gc-auto.crash.test.ts`
    expect(report.findings.map(({ law, policy, index, operation, message }) => `law ${law}, ${policy} before operation ${index} (${operation}): ${message}\n  replay: ${replay}`)).toEqual([])
    expect(new Set(relocated).size).toBeGreaterThan(2)
    expect(report.images).toBeGreaterThan(150)
  })
})
