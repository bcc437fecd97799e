/** D2: every read and every write moves less than asked. */
import { shortCases } from '@wk/testkit'
import type { Check } from '../check.js'
import { runFaultRounds } from '../fault-round.js'

/** Seeds of each tier; a round holds every read and write of one workload. */
const ROUNDS = { commit: 1, nightly: 1, release: 5 }

/** Short reads and writes, one at a time, and all of them. */
export const check: Check = {
  id: 'D2',
  title: 'short read, short write at every operation',
  means: 'no visible effect',
  unit: 'runs',
  cases: { commit: Infinity, nightly: Infinity, release: Infinity },
  async run(budget, seed, report) {
    for (let round = 0; round < ROUNDS[budget.tier]; round++) await runFaultRounds(budget, seed + round, report, shortCases)
  },
}
