/**
 * A bank: accounts whose total never changes. Tellers move money in transactions and in batches, auditors add up
 * snapshots and iterators, and beside them flush, compaction and collection run. Every so often the machine crashes.
 */
import { type DB, WkError } from '@wk/db'
import { openBounded, type BoundedOptions } from '@wk/db/testing'
import type { FileSystem } from '@wk/fs'
import type { Rng } from '@wk/testkit'
import type { RareWork } from './rare-work.js'

/** Money of each account at the start. */
const OPENING = 1000

/** What was done and found. */
export interface BankReport {
  transfers: number
  conflicts: number
  audits: number
  collected: number
  readonly rare: RareWork
  readonly wrong: string[]
}

const nameOf = (account: number): string => `account ${String(account).padStart(5, '0')}`

/** A balance with a tail that makes it long enough for the value log, most of the time. */
function balanceBytes(balance: number, padding: number): Uint8Array {
  return Buffer.from(`${balance} ${'.'.repeat(padding)}`)
}

/** The bank on one open database. */
export class Bank {
  readonly #db: DB
  readonly #accounts: number
  readonly #rng: Rng
  readonly report: BankReport
  #open = true

  private constructor(db: DB, accounts: number, rng: Rng, report: BankReport) {
    this.#db = db
    this.#accounts = accounts
    this.#rng = rng
    this.report = report
  }

  /** Opens the bank, with its accounts if they are not there yet, and audits what is found. */
  static async open(fs: FileSystem, options: BoundedOptions, accounts: number, rng: Rng, report: BankReport): Promise<Bank> {
    const db = report.rare.watch(await openBounded('/bank', { ...options, fs }))
    const bank = new Bank(db, accounts, rng, report)
    if ((await db.get(nameOf(0))) === undefined) {
      await db.batch(Array.from({ length: accounts }, (_, i) => ({ type: 'put', key: nameOf(i), value: balanceBytes(OPENING, rng.below(300)) })), { sync: true })
    }
    await bank.audit('after opening')
    return bank
  }

  /** Business until it is told to stop; resolves when everybody went home. */
  async run(stop: () => boolean): Promise<void> {
    const during = async (work: () => Promise<void>): Promise<void> => {
      while (this.#open && !stop()) {
        await work()
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await Promise.all([during(() => this.#transfer()), during(() => this.#transfer()), during(() => this.#payroll()), during(() => this.audit('at work')), during(() => this.#maintain())])
  }

  /** Ends without a word: the machine crashed. What is under way comes to its end, and nobody looks. */
  async abandon(): Promise<void> {
    this.#open = false
    await this.#db.close().catch(() => undefined)
  }

  /** Adds up one moment, by snapshot and by key or by iterator. */
  async audit(when: string): Promise<void> {
    const snapshot = this.#db.snapshot()
    let total = 0
    let seen = 0
    try {
      if (this.#rng.chance(0.5)) {
        for await (const value of this.#db.values({ snapshot })) {
          total += balanceOf(value)
          seen++
        }
      } else {
        const values = await this.#db.getMany(Array.from({ length: this.#accounts }, (_, i) => nameOf(i)), { snapshot })
        for (const value of values) {
          if (value === undefined) continue
          total += balanceOf(value)
          seen++
        }
      }
    } catch (error) {
      if (!this.#open) return
      throw error
    } finally {
      snapshot.close()
    }
    this.report.audits++
    if (seen !== this.#accounts || total !== this.#accounts * OPENING) this.report.wrong.push(`${when}: ${seen} accounts hold ${total}, not ${this.#accounts} with ${this.#accounts * OPENING}`)
  }

  /** One transaction between two accounts; who loses to another tries again later. */
  async #transfer(): Promise<void> {
    // Half of the business is among a few accounts, so that transfers meet.
    const among = this.#rng.chance(0.5) ? 6 : this.#accounts
    const [from, to] = [nameOf(this.#rng.below(among)), nameOf(this.#rng.below(among))]
    const amount = this.#rng.below(100)
    const [a, b] = [this.#rng.below(300), this.#rng.below(300)]
    await this.#tolerate(() =>
      this.#db.transaction(async (txn) => {
        if (from === to) return
        const paid = balanceOf((await txn.get(from)) as Uint8Array) - amount
        const received = balanceOf((await txn.get(to)) as Uint8Array) + amount
        txn.put(from, balanceBytes(paid, a))
        txn.put(to, balanceBytes(received, b))
      }),
    )
    this.report.transfers++
  }

  /** One account pays many others, all or none. */
  async #payroll(): Promise<void> {
    const payer = this.#rng.below(this.#accounts)
    await this.#tolerate(() =>
      this.#db.transaction(
        async (txn) => {
          let left = balanceOf((await txn.get(nameOf(payer))) as Uint8Array)
          for (let i = 1; i <= 8; i++) {
            const key = nameOf((payer + i) % this.#accounts)
            txn.put(key, balanceBytes(balanceOf((await txn.get(key)) as Uint8Array) + 1, 100))
            left--
          }
          txn.put(nameOf(payer), balanceBytes(left, 100))
        },
        { sync: this.#rng.chance(0.3) },
      ),
    )
    this.report.transfers++
  }

  async #maintain(): Promise<void> {
    const work = this.#rng.pick([() => this.#db.flush(), () => this.#db.compact(), () => this.#db.runValueLogGC(0.3), () => this.#db.runValueLogGC(0.05), () => Promise.resolve()])
    await this.#tolerate(async () => {
      await work()
      this.report.collected = Math.max(this.report.collected, this.#db.stats().gcFilesCollected)
    })
  }

  async #tolerate(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!this.#open) return
      const code = error instanceof WkError ? error.code : undefined
      if (code === 'WK_CONFLICT') this.report.conflicts++
      else if (code !== 'WK_NO_REWRITE' && code !== 'WK_GC_RUNNING') throw error
    }
  }
}

function balanceOf(value: Uint8Array): number {
  return Number(Buffer.from(value.buffer, value.byteOffset, value.length).toString('latin1').split(' ')[0])
}
