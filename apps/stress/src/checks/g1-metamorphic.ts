/** G1: the same history under many option sets, on the simulated and the real file system, in-line and with workers. */
import { join } from 'node:path'
import type { DbOptions } from '@wk/db'
import { openBounded } from '@wk/db/testing'
import { MemoryFileSystem } from '@wk/fs'
import { drawHistory, drawOptions, fillingGaps, gapsProfile, HistoryRunner, holesProfile, modelProfile, type Operation, Rng } from '@wk/testkit'
import type { Check } from '../check.js'
import { childPath } from '../child-path.js'
import { RareWork } from '../rare-work.js'
import { withDirectory, withVolatileDirectory } from '../temporary.js'

const OPERATIONS = 500

/** Option sets of one history; every fifth runs on the real file system, with a worker thread every other time. */
const SETS = 20
const isOnDisk = (set: number): boolean => set % 5 === 4
const hasWorker = (set: number): boolean => set % 10 === 4

/** On a disk of those histories only: the model needs nothing that outlives the process. */
const isOnSlowDisk = (history: number): boolean => history % 10 === 0

/** Has values of some blocks: under the option sets with holes many of them. */
const isLong = (history: number): boolean => history % 10 === 1

/** Has values that fit where others of them died, and is compacted often: under the option sets with gaps much is written there. */
const isFilling = (history: number): boolean => history % 10 === 2 || history % 10 === 7

function draw(seed: number, number: number): Operation[] {
  const profile = modelProfile(OPERATIONS, 64)
  const rng = new Rng(seed * 100_000 + number)
  if (isFilling(number)) return fillingGaps(rng, drawHistory(rng, gapsProfile(profile)))
  return drawHistory(rng, isLong(number) ? holesProfile(profile) : profile)
}

/** Every answer is compared with a sorted map, so all runs of a history agree with each other as well. */
export const check: Check = {
  id: 'G1',
  title: 'one history under 20 option sets, in-line and with workers, against a sorted map',
  means: 'all answers equal the model and each other, snapshots and reverse iteration included',
  unit: 'operations',
  cases: { commit: 50_000, nightly: 2_000_000, release: 20_000_000 },
  async run({ cases, only }, seed, report) {
    const [onlyHistory, onlySet] = only?.split('/').map(Number) ?? []
    const rare = new RareWork()
    let ran = 0
    const run = async (history: readonly Operation[], number: number, set: number): Promise<void> => {
      const options = drawOptions(new Rng((seed * 100_000 + number) * SETS + set + 7))
      const runIn = (dir: string, more: DbOptions): Promise<void> => new HistoryRunner(async () => rare.watch(await openBounded(dir, { ...options, ...more }))).run(history)
      const workers = hasWorker(set) ? 1 : 0
      try {
        if (isOnDisk(set)) await (isOnSlowDisk(number) ? withDirectory : withVolatileDirectory)((dir) => runIn(join(dir, 'db'), { workers, workerUrl: childPath('worker') }))
        else await runIn('/db', { fs: new MemoryFileSystem({ crashable: false }) })
      } catch (error) {
        const place = isOnDisk(set) ? `disk, ${workers} workers` : 'memory'
        report.fail(`history ${number} on ${place} under ${JSON.stringify(options)}: ${String(error)}`, `${number}/${set}`)
      }
      report.ran(history.length)
      ran += history.length
    }
    for (let number = onlyHistory ?? 0; ran < cases && !report.full; number++) {
      const history = draw(seed, number)
      if (onlySet !== undefined) return run(history, number, onlySet)
      const runAll = async (sets: readonly number[]): Promise<void> => {
        for (const set of sets) if (ran < cases && !report.full) await run(history, number, set)
      }
      const sets = Array.from({ length: SETS }, (_, set) => set)
      // Beside each other: those on disk and those with workers wait for most of their time.
      const lanes = [hasWorker, (set: number): boolean => isOnDisk(set) && !hasWorker(set), (set: number): boolean => !isOnDisk(set)]
      await Promise.all(lanes.map((belongs) => runAll(sets.filter(belongs))))
    }
    rare.report(report, { readdressed: 1 / 100, punched: 1 / 100, filled: 1 / 200 })
  },
}
