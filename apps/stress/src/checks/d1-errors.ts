/** D1: an I/O error at every operation of open, put, flush, compact, GC, scan, verify and close. */
import { errorCases } from '@wk/testkit'
import type { Check } from '../check.js'
import { runFaultRounds } from '../fault-round.js'

/** Errors that the system can give at each call, once and for good. */
export const check: Check = {
  id: 'D1',
  title: 'EIO, ENOSPC, EMFILE, EACCES at every operation, once and for good',
  means: 'a typed error with the errno in its chain, or retried; nothing acknowledged after a refused write; then as A1, without debris or open files',
  unit: 'runs',
  cases: { commit: 500, nightly: 5000, release: 20_000 },
  run: (budget, seed, report) => runFaultRounds(budget, seed, report, errorCases, { perRound: budget.tier === 'commit' ? 250 : 1000 }),
}
