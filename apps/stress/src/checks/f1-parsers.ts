/** F1: random changes of single files, with knowledge of their structure, given to the parsers. */
import { mutate, Rng } from '@wk/testkit'
import type { Check } from '../check.js'
import { HostileCases, MAX_PARSE_MS } from '../hostile.js'
import { parse, victims } from '../parsers.js'

/** Each case is a seed of its own, so that a number replays it. */
export const check: Check = {
  id: 'F1',
  title: 'structure-aware fuzz of WAL, value log, table, manifest and CURRENT, sums put right in half of the cases',
  means: 'typed errors only, at most 50 ms and 64 MiB a case, no death of the process',
  unit: 'files',
  cases: { commit: 100_000, nightly: 5_000_000, release: 50_000_000 },
  async run({ cases, only }, seed, report) {
    const files = await victims()
    const hostile = new HostileCases(report, MAX_PARSE_MS)
    const { stackTraceLimit } = Error
    // Nearly every case makes an error, and most of its time would go to stacks that nobody reads.
    if (only === undefined) Error.stackTraceLimit = 0
    try {
      for (let i = only === undefined ? 0 : Number(only); i < (only === undefined ? cases : Number(only) + 1) && !report.full; i++) {
        const rng = Rng.of(seed, i)
        const victim = rng.pick(files)
        const bytes = mutate(victim.bytes, victim.parts, rng)
        await hostile.run(`${victim.name}, case ${i}`, String(i), () => parse(victim, bytes))
      }
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
    hostile.note()
  },
}
