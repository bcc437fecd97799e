/** A1, and A4 with it: a crash before every mutating file-system operation, under every policy. */
import { DB } from '@wk/db'
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { CrashOracle, crashProfile, drawHistory, exploreCrashes, HistoryRunner, Rng } from '@wk/testkit'
import type { Check } from '../check.js'
import { EAGER, SMALL, THRESHOLD } from '../options.js'

/** A crash before every mutating operation of one drawn workload after the other. */
export const check: Check = {
  id: 'A1',
  title: 'crash before every mutating operation × P0–P5 (A4: reopen twice, write on)',
  means: 'opens; nothing acknowledged lost, no delete undone, no partial batch, no stale version; unsynced writes only as an ordered prefix; the same twice, and new writes survive',
  unit: 'crash states',
  cases: { commit: 2000, nightly: 20_000, release: 100_000 },
  async run({ cases, only }, seed, report) {
    const [onlyRound, onlyIndex] = only === undefined ? [] : only.split('/').map(Number)
    let ran = 0
    for (let round = onlyRound ?? 0; ran < cases && !report.full; round++) {
      const options = round % 3 === 2 ? EAGER : SMALL
      const open = (fs: MemoryFileSystem): Promise<DB> => DB.open('/db', { ...options, fs })
      const history = drawHistory(new Rng(seed * 1000 + round), crashProfile(100, THRESHOLD))
      const explored = await exploreCrashes({
        dir: '/db',
        createFileSystem: () => new MemoryFileSystem(),
        open,
        createOracle: () => new CrashOracle(),
        run: (fs, oracle) => new HistoryRunner(() => open(fs), oracle).run(history),
        policies: CRASH_POLICIES,
        seeds: [round + 1],
        recoveryEvery: 0,
        maintainEvery: 8,
        ...(onlyIndex === undefined ? {} : { onlyIndex }),
      })
      for (const { law, policy, index, operation, message } of explored.findings) report.fail(`law ${law}, ${policy} before operation ${index} (${operation}): ${message}`, `${round}/${index}`)
      report.ran(explored.images)
      ran += explored.images
      if (only !== undefined) return
    }
  },
}
