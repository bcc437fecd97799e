/** B2: a process kills itself at the n-th sync, rename, unlink or truncation, for every n. */
import type { Check } from '../check.js'
import { KillLoop } from '../kill/kill-loop.js'
import { withDirectory } from '../temporary.js'

/** Steps of the workload: past a flush, a compaction and a collection, each several times. */
const STEPS = 600
const SEEDS = { commit: 0, nightly: 1, release: 3 }

/** Every n of one workload on the real file system; the next process then writes on for a while and ends well. */
export const check: Check = {
  id: 'B2',
  title: 'kill at the n-th sync, rename, unlink, truncate, every n',
  means: 'as A1',
  unit: 'kills',
  cases: { commit: 0, nightly: Infinity, release: Infinity },
  async run({ tier, cases, only }, seed, report) {
    const [onlyRound, onlyCall] = only?.split('/').map(Number) ?? []
    let ran = 0
    for (let round = onlyRound ?? 0; round < Math.max(SEEDS[tier], (onlyRound ?? 0) + 1) && !report.full; round++) {
      const calls = await withDirectory((dir) => new KillLoop(dir, seed * 1000 + round).killAtCall(-1, STEPS))
      for (let call = onlyCall ?? 0; call < (calls ?? 0) && ran < cases && !report.full; call++, ran++) {
        await withDirectory(async (dir) => {
          const loop = new KillLoop(dir, seed * 1000 + round)
          await loop.killAtCall(call, STEPS)
          const wrong = (await loop.judge(call % 2 === 0)) ?? (call % 10 === 0 ? await loop.killAtCall(-1, 100).then(() => loop.judge(false)) : undefined)
          if (wrong !== undefined) report.fail(`killed at call ${call}: ${wrong}`, `${round}/${call}`)
          report.ran()
        })
        if (only !== undefined) return
      }
    }
  },
}
