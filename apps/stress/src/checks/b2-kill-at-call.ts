/** B2: a process kills itself at the n-th sync, rename, unlink or truncation, for every n. */
import { KILLED_FILLING, KILLED_REWRITING } from '@wk/testkit'
import type { Check } from '../check.js'
import { KillLoop } from '../kill/kill-loop.js'
import { withDirectory } from '../temporary.js'

/** Steps of the workload: past a flush, a compaction and a collection, each several times. */
const STEPS = 600
/** Workloads: in every second one pointers are rewritten, in the others gaps are filled. */
const WORKLOADS = { commit: 0, nightly: 2, release: 6 }

/** Every n of each workload on the real file system; the next process then writes on for a while and ends well. */
export const check: Check = {
  id: 'B2',
  title: 'kill at the n-th sync, rename, unlink, truncate, every n',
  means: 'as A1',
  unit: 'kills',
  cases: { commit: 0, nightly: Infinity, release: Infinity },
  async run({ tier, cases, only }, seed, report) {
    const [onlyRound, onlyCall] = only?.split('/').map(Number) ?? []
    let ran = 0
    let readdressings = 0
    let fillings = 0
    for (let round = onlyRound ?? 0; round < Math.max(WORKLOADS[tier], (onlyRound ?? 0) + 1) && !report.full; round++) {
      const rewrites = round % 2 === 1
      const loopIn = (dir: string): KillLoop => new KillLoop(dir, seed * 1000 + round, { options: rewrites ? KILLED_REWRITING : KILLED_FILLING })
      const calls = await withDirectory(async (dir) => {
        const loop = loopIn(dir)
        const counted = await loop.killAtCall(-1, STEPS)
        if (rewrites && loop.readdressings === 0) report.fail(`no pointer was rewritten in workload ${round}`, `${round}/0`)
        if (!rewrites && loop.fillings === 0) report.fail(`no gap was filled in workload ${round}`, `${round}/0`)
        readdressings += loop.readdressings
        fillings += loop.fillings
        return counted
      })
      for (let call = onlyCall ?? 0; call < (calls ?? 0) && ran < cases && !report.full; call++, ran++) {
        await withDirectory(async (dir) => {
          const loop = loopIn(dir)
          await loop.killAtCall(call, STEPS)
          const wrong = (await loop.judge(call % 2 === 0)) ?? (call % 10 === 0 ? await loop.killAtCall(-1, 100).then(() => loop.judge(false)) : undefined)
          if (wrong !== undefined) report.fail(`killed at call ${call}: ${wrong}`, `${round}/${call}`)
          report.ran()
        })
        if (only !== undefined) return
      }
    }
    report.note(`pointers are rewritten ${readdressings} times in the workloads, gaps filled ${fillings} times`)
  },
}
