/** A3, and A4 with it: a crash inside a collection pass, with something else going on at an await point of the pass. */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { CrashOracle, exploreCrashes, Rng, SMALLEST } from '@wk/testkit'
import type { Check } from '../check.js'
import { DIR, opener, replayed, reportFindings } from '../crash-round.js'
import { drawGcRound, runGcRound } from '../gc-round.js'

/** Most crash states of one pass: many passes rather than every state of a few. */
const STATES = 60

/** One drawn pass after the other; crashes only while the pass runs. */
export const check: Check = {
  id: 'A3',
  title: 'crash inside a GC pass, beside puts, deletes, snapshots, flush, compaction (A4)',
  means: 'as A1; the pass never changes what a read, an iterator or a snapshot shows',
  unit: 'crash states',
  cases: { commit: 300, nightly: 3000, release: 15_000 },
  async run({ cases, only }, seed, report) {
    const replay = replayed(only)
    let ran = 0
    let collected = 0
    let passes = 0
    for (let round = replay.round ?? 0; ran < cases && !report.full; round++) {
      const drawn = drawGcRound(new Rng(seed * 1_000_000 + round))
      let running = false
      let crashes = 0
      try {
        const explored = await exploreCrashes({
          dir: DIR,
          createFileSystem: () => new MemoryFileSystem(),
          open: opener(SMALLEST),
          createOracle: () => new CrashOracle(),
          run: async (fs, oracle) => {
            passes++
            if ((await runGcRound(fs, oracle, drawn, (begins) => (running = begins))) > 0) collected++
          },
          crashBefore: (index) => running && (replay.index !== undefined || ((index + round) % 5 < 2 && crashes++ < STATES / CRASH_POLICIES.length)),
          policies: CRASH_POLICIES,
          seeds: [round + 1],
          recoveryEvery: 0,
          maintainEvery: 4,
          window: Infinity,
          ...(replay.index === undefined ? {} : { onlyIndex: replay.index }),
        })
        reportFindings(report, round, explored)
        report.ran(explored.images)
        ran += explored.images
      } catch (error) {
        report.fail(error instanceof Error ? error.message : String(error), `${round}/-1`)
        report.ran()
        ran++
      }
      if (only !== undefined) return
    }
    if (collected < passes / 2) report.fail(`only ${collected} of ${passes} passes collected something`)
    report.note(`${passes} passes, ${collected} of which collected files`)
  },
}
