/** A3, and A4 with it: a crash inside a collection pass, with something else going on at an await point of the pass. */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { CrashOracle, exploreCrashes, Rng } from '@wk/testkit'
import type { Check } from '../check.js'
import { DIR, opener, replayed, reportFindings } from '../crash-round.js'
import { drawGcRound, type GcPhase, optionsOf, runGcRound } from '../gc-round.js'

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
    let readdressed = 0
    let punched = 0
    let filled = 0
    let whileRewriting = 0
    for (let round = replay.round ?? 0; ran < cases && !report.full; round++) {
      const drawn = drawGcRound(new Rng(seed * 1_000_000 + round))
      let phase: GcPhase | undefined
      // Where pointers are rewritten, the collection before it is the longer part; where there are holes, they come last; gaps are filled before.
      const isDrawn = (index: number): boolean => {
        if (drawn.isHoled || drawn.hasGaps) return (index + round) % 8 === 0
        return drawn.mostRuns !== undefined && phase === 'collecting' ? (index + round) % 25 === 0 : (index + round) % 5 < 2
      }
      let crashes = 0
      try {
        const explored = await exploreCrashes({
          dir: DIR,
          createFileSystem: () => new MemoryFileSystem(),
          open: opener(optionsOf(drawn)),
          createOracle: () => new CrashOracle(),
          run: async (fs, oracle) => {
            passes++
            const pass = await runGcRound(fs, oracle, drawn, (now) => (phase = now))
            if (pass.collected > 0) collected++
            if (pass.readdressed > 0) readdressed++
            if (pass.punched > 0) punched++
            if (pass.filled > 0) filled++
          },
          crashBefore: (index) => {
            if (phase === undefined || (replay.index === undefined && !(isDrawn(index) && crashes++ < STATES / CRASH_POLICIES.length))) return false
            if (phase === 'rewriting') whileRewriting += CRASH_POLICIES.length
            return true
          },
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
    if (collected + punched < passes / 2) report.fail(`only ${collected} of ${passes} collections gave back something`)
    if (passes >= 20 && (readdressed < passes / 5 || whileRewriting < ran / 10)) report.fail(`only ${readdressed} of ${passes} collections had pointers rewritten, ${whileRewriting} of ${ran} states`)
    if (passes >= 40 && punched < passes / 10) report.fail(`only ${punched} of ${passes} collections made holes`)
    if (passes >= 20 && filled < passes / 30) report.fail(`only ${filled} of ${passes} collections came after gaps that were filled`)
    report.note(`${passes} collections, ${collected} of which gave back files, ${punched} made holes, ${filled} came after gaps that were filled, ${readdressed} had pointers rewritten; ${whileRewriting} crash states since that began`)
  },
}
