/** D2: every read and every write moves less than asked. */
import { shortCases } from '@wk/testkit'
import type { Check } from '../check.js'
import { runFaultRounds } from '../fault-round.js'

/** Rounds of each tier; one holds every read and write of one workload. */
const ROUNDS = { commit: 1, nightly: 3, release: 6 }

/** Short reads and writes, one at a time, and all of them. */
export const check: Check = {
  id: 'D2',
  title: 'short read, short write at every operation',
  means: 'no visible effect',
  unit: 'runs',
  cases: { commit: Infinity, nightly: Infinity, release: Infinity },
  run: (budget, seed, report) => runFaultRounds(budget, seed, report, shortCases, { rounds: ROUNDS[budget.tier] }),
}
