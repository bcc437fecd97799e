/** B1: SIGKILL again and again, on the real file system. */
import { KILLED, KILLED_FILLING, KILLED_REWRITING, Rng } from '@wk/testkit'
import type { Check } from '../check.js'
import { drawMoment, KillLoop } from '../kill/kill-loop.js'
import { withDirectory } from '../temporary.js'

/** Kills of one directory: its history has to be kept as long as it is used. */
const KILLS_EACH = 20

/** Directories until pointers must have been rewritten somewhere, and gaps filled. */
const LEAST_PLACES = 3

/** What one directory of three each is for. */
const KINDS = [
  { options: KILLED, rare: undefined },
  { options: KILLED_REWRITING, rare: 'readdress' },
  { options: KILLED_FILLING, rare: 'filled' },
] as const

/**
 * A process is killed while it writes, compacts, collects or recovers; a third and more of the kills are aimed at collection and compaction. In every
 * third directory pointers are rewritten, in every third gaps are filled, and some kills are aimed at that.
 */
export const check: Check = {
  id: 'B1',
  title: 'kill -9 of a real process on a real file system',
  means: 'all that was acknowledged is there, read-only, recovered, and again; as A1',
  unit: 'kills',
  cases: { commit: 20, nightly: 200, release: 1000 },
  async run({ cases, only }, seed, report) {
    let ran = 0
    let aimed = 0
    let places = 0
    let rewriting = 0
    let readdressings = 0
    let filling = 0
    let fillings = 0
    for (let place = Number(only ?? 0); ran < cases && !report.full; place++) {
      await withDirectory(async (dir) => {
        const rng = new Rng(seed * 1000 + place)
        const { options, rare } = KINDS[place % KINDS.length]!
        const loop = new KillLoop(dir, seed * 1000 + place, { options })
        for (let kill = 0; kill < KILLS_EACH && ran < cases; kill++, ran++) {
          const moment = drawMoment(rng, rare)
          await loop.killAt(moment)
          if (moment.word === 'gc' || moment.word === 'compact') aimed++
          if (moment.word === 'readdress') rewriting++
          if (moment.word === 'filled') filling++
          const wrong = await loop.judge(rng.chance(0.5))
          report.ran()
          if (wrong === undefined) continue
          report.fail(`kill ${kill} of directory ${place} (${moment.word} + ${moment.delay} ms): ${wrong}`, String(place))
          break
        }
        places++
        readdressings += loop.readdressings
        fillings += loop.fillings
      })
      if (only !== undefined) return
    }
    if (places >= LEAST_PLACES && readdressings < places / 2) report.fail(`pointers were rewritten only ${readdressings} times in ${places} directories`)
    if (places >= LEAST_PLACES && fillings < places / 2) report.fail(`gaps were filled only ${fillings} times in ${places} directories`)
    report.note(`${aimed} of ${ran} kills were aimed at collection or compaction, ${rewriting} at rewriting pointers, which was begun ${readdressings} times, ${filling} at the filling of gaps, which was seen ${fillings} times`)
  },
}
