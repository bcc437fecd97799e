/** Shared by C1 to C3: runs a list of damages against a small database and reports what must not be. */
import { DB } from '@wk/db'
import { MAX_PROBE_MS, probe, SPECIMEN_OPTIONS, type Damage, type ProbeTarget, type Specimen } from '@wk/testkit'
import type { MemoryFileSystem } from '@wk/fs'
import type { Budget, Report } from './check.js'

/** Growth of the resident set over the whole check that is too much. */
const MAX_GROWTH = 256 << 20

/** Where the specimens live. */
export const DIR = '/db'

/** Opens a database under the smallest sizes. */
export const open = (fs: MemoryFileSystem): Promise<DB> => DB.open(DIR, { ...SPECIMEN_OPTIONS, fs })

const target: ProbeTarget = { dir: DIR, open: (fs, readOnly) => DB.open(DIR, { ...SPECIMEN_OPTIONS, fs, readOnly }) }

/** Probes at most `budget.cases` of the damages, evenly chosen; each by its number, so that a failure can be named. */
export async function runDamages(specimen: Specimen, damages: () => Iterable<Damage>, budget: Budget, seed: number, report: Report): Promise<void> {
  let total = 0
  for (const _ of damages()) total++
  const stride = budget.cases === Infinity ? 1 : Math.max(1, Math.floor(total / budget.cases))
  const before = process.memoryUsage().rss
  const counts = { identical: 0, partly: 0, refused: 0 }
  let slowest = 0
  let index = -1
  for (const damage of damages()) {
    index++
    if (budget.only === undefined ? (index + seed) % stride !== 0 : index !== Number(budget.only)) continue
    if (report.full) return
    const result = await probe(target, specimen, damage, index % 2 === 0)
    report.ran()
    counts[result.outcome]++
    slowest = Math.max(slowest, result.milliseconds)
    for (const finding of result.findings) report.fail(finding, String(index))
    if (result.milliseconds > MAX_PROBE_MS) report.fail(`${damage.what}: took ${result.milliseconds.toFixed()} ms`, String(index))
  }
  const growth = process.memoryUsage().rss - before
  if (growth > MAX_GROWTH) report.fail(`the resident set grew by ${growth >> 20} MiB`)
  report.note(`${counts.identical} identical, ${counts.partly} partly refused, ${counts.refused} refused at open; slowest ${slowest.toFixed()} ms; resident set +${Math.max(0, growth) >> 20} MiB`)
}
