/** A2, and A4 with it: crashes while a crash is recovered from, and again while that is. */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { CrashOracle, exploreCrashes } from '@wk/testkit'
import type { Check } from '../check.js'
import { DIR, drawRound, opener, replayed, reportFindings, runRound } from '../crash-round.js'
import { RareWork } from '../rare-work.js'

/** Operations of the workload from one that is crashed before to the next: many workloads rather than all of one. */
const STEP = 53

/** A crash before some operations of each workload, then before the operations of the recovery, then of the next one. */
export const check: Check = {
  id: 'A2',
  title: 'crash during recovery, and again during the next (A4)',
  means: 'the same map as after a recovery that was not disturbed, the same twice, and new writes survive',
  unit: 'crash states',
  cases: { commit: 200, nightly: 2000, release: 10_000 },
  async run({ cases, only }, seed, report) {
    const replay = replayed(only)
    const rare = new RareWork()
    let ran = 0
    for (let round = replay.round ?? 0; ran < cases && !report.full; round++) {
      const drawn = drawRound(seed + 500_000, round)
      const explored = await exploreCrashes({
        dir: DIR,
        createFileSystem: () => new MemoryFileSystem(),
        open: opener(drawn.options),
        createOracle: () => new CrashOracle(),
        run: (fs, oracle) => runRound(drawn, rare, fs, oracle),
        policies: CRASH_POLICIES,
        seeds: [round + 1],
        recoveryEvery: 1,
        recoveryTwice: true,
        maintainEvery: 0,
        crashBefore: (index) => (index + round * 7) % STEP === STEP - 1,
        ...(replay.index === undefined ? { window: Infinity, stop: ({ recoveryImages }) => ran + recoveryImages >= cases } : { onlyIndex: replay.index }),
      })
      reportFindings(report, round, explored)
      report.ran(explored.recoveryImages)
      ran += explored.recoveryImages
      if (only !== undefined) return
    }
    rare.report(report, { readdressed: 1 / 10, punched: 1 / 10, filled: 1 / 10 })
  },
}
