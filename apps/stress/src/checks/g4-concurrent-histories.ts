/**
 * G4: many clients at once on one database, judged by what each was answered.
 *
 * On the simulated file system, in the calling thread. Left to others: crashes (A, B), faults (D), `ttl`, `inMemory`, `repair`, workers,
 * and calls that it does not make: `seek`, `values()`, `has`, `clear` of a snapshot or up to a limit.
 */
import type { Check } from '../check.js'
import { judgeHistory } from '../history/oracle.js'
import { recordHistory } from '../history/round.js'

export const check: Check = {
  id: 'G4',
  title: 'concurrent clients, judged by what each was answered',
  means: 'every answer is that of one state that was current; nothing is lost, torn, or refused without a reason',
  unit: 'histories',
  cases: { commit: 12, nightly: 400, release: 4000 },
  async run({ cases, only }, seed, report) {
    const first = Number(only ?? 0)
    const end = only === undefined ? cases : first + 1
    const done = { calls: 0, committed: 0, conflicts: 0, aborted: 0, collected: 0 }
    for (let number = first; number < end && !report.full; number++) {
      try {
        const { events, collected } = await recordHistory(seed, number)
        const wrong = judgeHistory(events)
        if (wrong.length > 0) report.fail(`history ${number} of ${events.length} calls: ${wrong.slice(0, 3).join('; ')}`, String(number))
        done.calls += events.length
        done.collected += collected
        for (const event of events) {
          if (event.kind === 'transaction' && event.outcome === 'committed') done.committed++
          if (event.kind === 'transaction' && event.outcome === 'conflict') done.conflicts++
          if (event.kind === 'maintenance' && event.refused === 'WK_ABORTED') done.aborted++
        }
      } catch (error) {
        report.fail(`history ${number}: ${String(error)}`, String(number))
      }
      report.ran()
    }
    const { calls, committed, conflicts, aborted, collected } = done
    const shown = `${calls.toLocaleString('en')} calls; ${committed} transactions committed, ${conflicts} in conflict; ${aborted} calls aborted; ${collected} value logs collected`
    // A dozen histories have all of it, whatever the seed.
    if (only === undefined && cases >= 12 && Math.min(committed, conflicts, aborted, collected) === 0) report.fail(`too little happened: ${shown}`)
    report.note(shown)
  },
}
