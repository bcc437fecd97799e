/** A5, and A4 with it: a crash while the manifest is written anew because it has grown. */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { type Change, CrashOracle, exploreCrashes, Rng, SMALLEST, valueBytes, writeStep } from '@wk/testkit'
import type { DB } from '@wk/db'
import type { Check } from '../check.js'
import { DIR, opener, replayed, reportFindings } from '../crash-round.js'

/** Keys so long that some thirty flushes, each with its smallest and largest key in the manifest, reach the size at which it rolls. */
const KEY_LENGTH = 20_000
const MOST_FLUSHES = 200

/** What is crashed: the new manifest, CURRENT, the removal of the old one, and what runs beside them. */
const ROLL = /^(create|write|sync|rename|remove) \S*\/(MANIFEST|CURRENT)|^syncDir/

/** Flushes until the manifest rolls, with writes beside it; crashes from its creation until a while after the old one is gone. */
export const check: Check = {
  id: 'A5',
  title: 'crash inside a manifest roll, beside writes and flushes (A4)',
  means: 'as A1; the old manifest or the new one, and none of the other left',
  unit: 'crash states',
  cases: { commit: 60, nightly: 600, release: 3000 },
  async run({ cases, only }, seed, report) {
    const replay = replayed(only)
    let ran = 0
    let rolls = 0
    for (let round = replay.round ?? 0; ran < cases && !report.full; round++) {
      const open = opener(SMALLEST)
      const run = new RollRun(seed * 1000 + round)
      const explored = await exploreCrashes({
        dir: DIR,
        createFileSystem: () => new MemoryFileSystem(),
        open,
        createOracle: () => new CrashOracle(),
        run: async (fs, oracle) => run.run(await open(fs), oracle),
        crashBefore: (_, operation) => run.isInRoll(operation) && ROLL.test(operation),
        policies: CRASH_POLICIES,
        seeds: [round + 1],
        recoveryEvery: 25,
        maintainEvery: 25,
        window: Infinity,
        ...(replay.index === undefined ? {} : { onlyIndex: replay.index }),
      })
      rolls += run.rolls
      if (run.rolls === 0) report.fail(`the manifest of round ${round} did not roll`, `${round}/-1`)
      reportFindings(report, round, explored)
      report.ran(explored.images)
      ran += Math.max(1, explored.images)
      if (only !== undefined) return
    }
    report.note(`${rolls} rolls`)
  },
}

class RollRun {
  rolls = 0
  readonly #seed: number
  #opened = false
  #after = 0

  constructor(seed: number) {
    this.#seed = seed
  }

  /** Told of every operation: from the creation of a manifest until ten operations after the removal of the old one. */
  isInRoll(operation: string): boolean {
    if (!this.#opened) return false
    if (/^create \S*MANIFEST/.test(operation)) this.#after = Infinity
    else if (/^remove \S*MANIFEST/.test(operation)) {
      this.rolls++
      this.#after = 10
    } else if (this.#after > 0) this.#after--
    return this.#after > 0
  }

  async run(db: DB, oracle: CrashOracle): Promise<void> {
    const rng = new Rng(this.#seed)
    this.#opened = true
    for (let flush = 0; flush < MOST_FLUSHES && this.rolls === 0; flush++) {
      const beside = [this.#write(db, oracle, rng), this.#write(db, oracle, rng)]
      const called = oracle.called
      const flushed = db.flush().then(() => oracle.durable(called))
      beside.push(this.#write(db, oracle, rng))
      await Promise.all([flushed, ...beside])
    }
    for (let i = 0; i < 3; i++) await this.#write(db, oracle, rng)
    this.#opened = false
    await db.close()
  }

  async #write(db: DB, oracle: CrashOracle, rng: Rng): Promise<void> {
    const changes: Change[] = Array.from({ length: rng.between(1, 2) }, () => {
      const key = `${rng.below(60)}`.padEnd(KEY_LENGTH, 'k')
      return { key, value: rng.chance(0.2) ? undefined : valueBytes({ size: rng.pick([0, 40, 300]), seed: rng.next() }) }
    })
    const step = oracle.record(changes)
    await writeStep(db, changes)
    oracle.acknowledge(step, false)
  }
}
