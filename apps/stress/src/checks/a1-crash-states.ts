/** A1, and A4 with it: a crash before every mutating file-system operation, under every policy. */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { CrashOracle, exploreCrashes } from '@wk/testkit'
import type { Check } from '../check.js'
import { DIR, drawRound, opener, replayed, reportFindings, runRound } from '../crash-round.js'
import { RareWork } from '../rare-work.js'

/** A crash before every mutating operation of one drawn workload after the other. */
export const check: Check = {
  id: 'A1',
  title: 'crash before every mutating operation × P0–P5 (A4: reopen twice, write on)',
  means: 'opens; nothing acknowledged lost, no delete undone, no partial batch, no stale version; unsynced writes only as an ordered prefix; the same twice, and new writes survive',
  unit: 'crash states',
  cases: { commit: 2000, nightly: 20_000, release: 100_000 },
  async run({ cases, only }, seed, report) {
    const replay = replayed(only)
    const rare = new RareWork()
    let ran = 0
    for (let round = replay.round ?? 0; ran < cases && !report.full; round++) {
      const drawn = drawRound(seed, round)
      const explored = await exploreCrashes({
        dir: DIR,
        createFileSystem: () => new MemoryFileSystem(),
        open: opener(drawn.options),
        createOracle: () => new CrashOracle(),
        run: (fs, oracle) => runRound(drawn, rare, fs, oracle),
        policies: CRASH_POLICIES,
        seeds: [round + 1],
        recoveryEvery: 0,
        maintainEvery: 8,
        ...(replay.index === undefined ? {} : { onlyIndex: replay.index }),
      })
      reportFindings(report, round, explored)
      report.ran(explored.images)
      ran += explored.images
      if (only !== undefined) return
    }
    rare.report(report, { readdressed: 1 / 10, punched: 1 / 10, filled: 1 / 10 })
  },
}
