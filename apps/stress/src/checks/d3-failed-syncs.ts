/** D3: every sync fails in turn. */
import { syncCases } from '@wk/testkit'
import type { Check } from '../check.js'
import { runFaultRounds } from '../fault-round.js'

/** Rounds of each tier; one holds every sync of one workload. */
const ROUNDS = { commit: 1, nightly: 3, release: 6 }

/** Each sync of a file or a directory fails once, and later ones of the same path lie. */
export const check: Check = {
  id: 'D3',
  title: 'sync failure at every sync (CR13, CR14)',
  means: 'read-only in the same turn, no later acknowledgement, reads correct, close() < 1 s; reopens as A1',
  unit: 'runs',
  cases: { commit: Infinity, nightly: Infinity, release: Infinity },
  run: (budget, seed, report) => runFaultRounds(budget, seed, report, syncCases, { rounds: ROUNDS[budget.tier] }),
}
