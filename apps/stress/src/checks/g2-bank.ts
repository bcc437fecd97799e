/** G2: money is neither made nor lost, whatever runs and whenever the machine crashes. */
import { CRASH_POLICIES, MemoryFileSystem } from '@wk/fs'
import { EAGER, FEW_RUNS, Rng, SMALLEST } from '@wk/testkit'
import { Bank, type BankReport } from '../bank.js'
import type { Check } from '../check.js'
import { hasFewRuns, RareWork } from '../rare-work.js'

const ACCOUNTS = 1000
const CRASH_EVERY_MS = 500

/** Runs for so many seconds; about every half second the machine crashes before some file-system operation. */
export const check: Check = {
  id: 'G2',
  title: 'bank: 1,000 accounts, transactions, auditors, GC, a crash every 500 ms',
  means: 'the total is the same in every snapshot and after every crash',
  unit: 's',
  cases: { commit: 10, nightly: 300, release: 1800 },
  async run({ cases }, seed, report) {
    const rng = new Rng(seed)
    const bank: BankReport = { transfers: 0, conflicts: 0, audits: 0, collected: 0, rare: new RareWork(10), wrong: [] }
    const begun = performance.now()
    let seconds = 0
    let fs = new MemoryFileSystem()
    let crashes = 0
    while (seconds < cases && bank.wrong.length === 0) {
      const start = performance.now()
      // With few entries of run tables in two of four, with collections in the background and without.
      const bound = hasFewRuns(crashes) ? { mostRuns: FEW_RUNS } : {}
      const options = { ...(crashes % 2 === 0 ? SMALLEST : EAGER), ...bound, valueLogFileSize: 64 * 1024, levelBaseSize: 64 * 1024, tableSize: 16 * 1024, memTableSize: 256 * 1024 }
      const open = await Bank.open(fs, options, ACCOUNTS, rng, bank)
      const policy = rng.pick(CRASH_POLICIES)
      let after: MemoryFileSystem | undefined
      const running = fs
      running.onMutatingOperation = () => {
        // Some operation later than the time, so that it may be any.
        if (after === undefined && performance.now() - start > CRASH_EVERY_MS && rng.chance(0.05)) after = running.crashClone(policy, rng.next())
      }
      await open.run(() => after !== undefined)
      running.onMutatingOperation = undefined
      await open.abandon()
      fs = after ?? running.crashClone('P0')
      crashes++
      const passed = Math.floor((performance.now() - begun) / 1000)
      report.ran(passed - seconds)
      seconds = passed
    }
    const last = await Bank.open(fs, SMALLEST, ACCOUNTS, rng, bank)
    await last.abandon()
    for (const wrong of bank.wrong) report.fail(wrong)
    if (bank.transfers < 20 || bank.audits < 20) report.fail(`only ${bank.transfers} transfers and ${bank.audits} audits`)
    bank.rare.report(report, { readdressed: 1 / 100 })
    report.note(`${bank.transfers} transfers, ${bank.conflicts} conflicts, ${bank.audits} audits, ${crashes} crashes`)
  },
}
