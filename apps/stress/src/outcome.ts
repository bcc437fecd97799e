/** What came of a check, as plain data: it crosses from the process of the check to the driver. */
import type { Budget, Check, Report } from './check.js'

/** A failed case. */
export interface Failure {
  readonly message: string
  /** Names the case for `--only`, where it can be replayed alone. */
  readonly only: string | undefined
}

/** What came of one check. */
export interface Outcome {
  cases: number
  failed: number
  /** The first failures; the others are only counted. */
  readonly failures: Failure[]
  readonly notes: string[]
  seconds: number
}

/** Failures after which a check may stop. */
const ENOUGH = 10

/** An outcome to be filled. */
export function emptyOutcome(): Outcome {
  return { cases: 0, failed: 0, failures: [], notes: [], seconds: 0 }
}

/**
 * Runs a check in this process and never throws: what a check throws is a failure. A check that judged no case failed too.
 *
 * @param progress called now and then with what there is so far
 */
export async function runCheck(check: Check, budget: Budget, seed: number, progress?: (outcome: Outcome) => void): Promise<Outcome> {
  const outcome = emptyOutcome()
  const start = performance.now()
  const report: Report = {
    ran(cases = 1) {
      outcome.cases += cases
      progress?.(outcome)
    },
    fail(message, only) {
      outcome.failed++
      if (outcome.failures.length < ENOUGH) outcome.failures.push({ message, only })
      progress?.(outcome)
    },
    note: (text) => outcome.notes.push(text),
    get full() {
      return outcome.failed >= ENOUGH
    },
  }
  try {
    await check.run(budget, seed, report)
    if (outcome.cases === 0 && outcome.failed === 0) report.fail('no case was run')
  } catch (error) {
    report.fail(error instanceof Error ? (error.stack ?? error.message) : String(error), budget.only)
  }
  outcome.seconds = (performance.now() - start) / 1000
  return outcome
}
