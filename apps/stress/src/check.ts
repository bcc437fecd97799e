/**
 * What a check is, what it is given, and what it reports to. A check is one file in `checks/` that exports `check`; the
 * driver finds it there, nothing else has to know of it.
 */

/** How much is done: `commit` in about a minute and a half, `nightly` in twenty minutes, `release` in two hours, on two cores. */
export type Tier = 'commit' | 'nightly' | 'release'

/** All of them, smallest first. */
export const TIERS: readonly Tier[] = ['commit', 'nightly', 'release']

/** What a run of a check may spend, and what it must do. */
export interface Budget {
  readonly tier: Tier
  /**
   * How many cases to run, in the unit of the check: as many, or a few more to end a round. `Infinity` where the check
   * does all there are, whatever their number.
   */
  readonly cases: number
  /** Replay: the one case that a failure named (see {@link Report.fail}); undefined runs them all. */
  readonly only: string | undefined
}

/** Where a check tells what it did. */
export interface Report {
  /** So many cases were run and judged, failed ones included. */
  ran(cases?: number): void
  /**
   * A case failed. The check goes on with the next one, and ends by itself once {@link full} says so.
   *
   * @param only names the case for `--only`: with the same seed and this text the check runs this very case again
   */
  fail(message: string, only?: string): void
  /** A figure for the reader, printed under the table: what was crossed, how fast. */
  note(text: string): void
  /** True once there are so many failures that more would tell nothing new. */
  readonly full: boolean
}

/** One line of the table. */
export interface Check {
  /** Its name in the table: `A1`. */
  readonly id: string
  /** What is done, in a few words. */
  readonly title: string
  /** What it means that it passed. */
  readonly means: string
  /** What a case is: `crash states`, `kills`, `s`. */
  readonly unit: string
  /** Cases of each tier; 0: not in this tier; Infinity: all there are. */
  readonly cases: Readonly<Record<Tier, number>>
  /**
   * Runs the check. Everything it draws follows from the seed. What it throws counts as a failure of the whole check.
   */
  run(budget: Budget, seed: number, report: Report): Promise<void>
}
