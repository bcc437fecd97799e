/** B1: SIGKILL again and again, on the real file system. */
import { Rng } from '@wk/testkit'
import type { Check } from '../check.js'
import { drawMoment, KillLoop } from '../kill/kill-loop.js'
import { withDirectory } from '../temporary.js'

/** Kills of one directory: its history has to be kept as long as it is used. */
const KILLS_EACH = 20

/** A process is killed while it writes, compacts, collects or recovers; a third and more of the kills are aimed at collection and compaction. */
export const check: Check = {
  id: 'B1',
  title: 'kill -9 of a real process on a real file system',
  means: 'all that was acknowledged is there, read-only, recovered, and again; as A1',
  unit: 'kills',
  cases: { commit: 20, nightly: 200, release: 1000 },
  async run({ cases, only }, seed, report) {
    let ran = 0
    let aimed = 0
    for (let place = Number(only ?? 0); ran < cases && !report.full; place++) {
      await withDirectory(async (dir) => {
        const rng = new Rng(seed * 1000 + place)
        const loop = new KillLoop(dir, seed * 1000 + place)
        for (let kill = 0; kill < KILLS_EACH && ran < cases; kill++, ran++) {
          const moment = drawMoment(rng)
          await loop.killAt(moment)
          if (moment.word === 'gc' || moment.word === 'compact') aimed++
          const wrong = await loop.judge(rng.chance(0.5))
          report.ran()
          if (wrong === undefined) continue
          report.fail(`kill ${kill} of directory ${place} (${moment.word} + ${moment.delay} ms): ${wrong}`, String(place))
          return
        }
      })
      if (only !== undefined) return
    }
    report.note(`${aimed} of ${ran} kills were aimed at collection or compaction`)
  },
}
