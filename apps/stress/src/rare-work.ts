/**
 * Counts what databases do only under bounds that users cannot set: rewrite pointers (ADR 0018), give long dead ranges back in place (ADR 0024), and
 * write where dead values lie (ADR 0029).
 */
import type { DB } from '@wk/db'
import { countAtClose } from '@wk/testkit'
import type { Report } from './check.js'

/** Fewer databases tell nothing about how often it should happen. */
const LEAST_DATABASES = 40

/** Whether a round is one of the two of four with few entries of run tables: they meet both of what alternates from round to round. */
export function hasFewRuns(round: number): boolean {
  return round % 4 === 0 || round % 4 === 3
}

/** Least shares of the databases in which it must have happened. */
export interface Shares {
  readonly readdressed: number
  /** None where no database is opened with holes. */
  readonly punched?: number
  /** None where no database is opened with gaps. */
  readonly filled?: number
}

/** Added up as databases close. */
export class RareWork {
  readonly #least: number
  #opened = 0
  readonly #readdressed = new Tally('retired', 'logical files by rewriting pointers')
  readonly #punched = new Tally('gave back', 'bytes as holes')
  readonly #filled = new Tally('wrote', 'bytes into gaps')

  /** @param least databases from which on a share is judged */
  constructor(least = LEAST_DATABASES) {
    this.#least = least
  }

  /** Logical files that were retired so far. */
  get readdressed(): number {
    return this.#readdressed.amount
  }

  /** Bytes of holes so far. */
  get punched(): number {
    return this.#punched.amount
  }

  /** Bytes written into gaps so far. */
  get filled(): number {
    return this.#filled.amount
  }

  /** Watches a database until it is closed. */
  watch(db: DB): DB {
    this.#opened++
    return countAtClose(db, () => {
      const { gcReaddressed, gcBytesPunched, gcBytesFilled } = db.stats()
      this.#readdressed.add(gcReaddressed)
      this.#punched.add(gcBytesPunched)
      this.#filled.add(gcBytesFilled)
    })
  }

  /** Notes it. A failure for what happened in less than its share of the databases, or in none: then the check does not do what it says. */
  report(report: Report, { readdressed, punched, filled }: Shares): void {
    this.#judge(report, this.#readdressed, readdressed)
    if (punched !== undefined) this.#judge(report, this.#punched, punched)
    if (filled !== undefined) this.#judge(report, this.#filled, filled)
  }

  #judge(report: Report, { databases, amount, verb, what }: Tally, share: number): void {
    const done = `${databases} of ${this.#opened} databases ${verb} ${amount} ${what}`
    if (this.#opened >= this.#least && (databases === 0 || databases < share * this.#opened)) report.fail(`only ${done}`)
    report.note(done)
  }
}

class Tally {
  readonly verb: string
  readonly what: string
  databases = 0
  amount = 0

  constructor(verb: string, what: string) {
    this.verb = verb
    this.what = what
  }

  add(amount: number): void {
    this.amount += amount
    this.databases += amount > 0 ? 1 : 0
  }
}
