/** Counts what became of pointers while databases were open whose run tables have few entries (ADR 0018). */
import type { DB } from '@wk/db'
import { countAtClose } from '@wk/testkit'
import type { Report } from './check.js'

/** Fewer databases tell nothing about how often it should happen. */
const LEAST_DATABASES = 40

/** Whether a round is one of the two of four with few entries of run tables: they meet both of what alternates from round to round. */
export function hasFewRuns(round: number): boolean {
  return round % 4 === 0 || round % 4 === 3
}

/** Added up as databases close. */
export class Readdressed {
  #opened = 0
  #databases = 0
  #files = 0

  /** Logical files that were retired so far. */
  get files(): number {
    return this.#files
  }

  /** Watches a database until it is closed. */
  watch(db: DB): DB {
    this.#opened++
    return countAtClose(db, () => {
      const { gcReaddressed } = db.stats()
      this.#files += gcReaddressed
      this.#databases += gcReaddressed > 0 ? 1 : 0
    })
  }

  /** Notes it. A failure if it happened in less than `share` of the databases, or in none: then the check does not do what it says. */
  report(report: Report, share: number, least = LEAST_DATABASES): void {
    const done = `${this.#databases} of ${this.#opened} databases retired ${this.#files} logical files by rewriting pointers`
    if (this.#opened >= least && (this.#databases === 0 || this.#databases < share * this.#opened)) report.fail(`only ${done}`)
    report.note(done)
  }
}
