/** G1: the same history under many option sets, on the simulated and the real file system, in-line and with workers. */
import { join } from 'node:path'
import { DB, type DbOptions } from '@wk/db'
import { MemoryFileSystem } from '@wk/fs'
import { drawHistory, drawOptions, HistoryRunner, modelProfile, Rng } from '@wk/testkit'
import type { Check } from '../check.js'
import { withDirectory } from '../temporary.js'

const OPERATIONS = 500

/** Option sets of one history; every fifth runs on the real file system, with a worker thread every other time. */
const SETS = 20

/** Every answer is compared with a sorted map, so all runs of a history agree with each other as well. */
export const check: Check = {
  id: 'G1',
  title: 'one history under 20 option sets, in-line and with workers, against a sorted map',
  means: 'all answers equal the model and each other, snapshots and reverse iteration included',
  unit: 'operations',
  cases: { commit: 50_000, nightly: 2_000_000, release: 20_000_000 },
  async run({ cases, only }, seed, report) {
    const [onlyHistory, onlySet] = only?.split('/').map(Number) ?? []
    let ran = 0
    for (let number = onlyHistory ?? 0; ran < cases && !report.full; number++) {
      const history = drawHistory(new Rng(seed * 100_000 + number), modelProfile(OPERATIONS, 64))
      for (let set = onlySet ?? 0; set < SETS && ran < cases && !report.full; set++) {
        const options = drawOptions(new Rng((seed * 100_000 + number) * SETS + set + 7))
        const run = (dir: string, more: DbOptions): Promise<void> => new HistoryRunner(() => DB.open(dir, { ...options, ...more })).run(history)
        const place = set % 5 === 4 ? (set % 10 === 4 ? 'disk, one worker' : 'disk, in-line') : 'memory'
        try {
          if (place === 'memory') await run('/db', { fs: new MemoryFileSystem({ crashable: false }) })
          else await withDirectory((dir) => run(join(dir, 'db'), { workers: set % 10 === 4 ? 1 : 0 }))
        } catch (error) {
          report.fail(`history ${number} on ${place} under ${JSON.stringify(options)}: ${String(error)}`, `${number}/${set}`)
        }
        report.ran(history.length)
        ran += history.length
        if (only !== undefined) return
      }
    }
  },
}
