/** Shared by C1 to C3: runs a list of damages against a small database and reports what must not be. */
import type { DB } from '@wk/db'
import { openBounded } from '@wk/db/testing'
import { cleanSpecimen, GAPPED_SPECIMEN_OPTIONS, gappedSpecimen, HOLED_SPECIMEN_OPTIONS, holedSpecimen, holesIn, MAX_PROBE_MS, type OptionSet, probe, SPECIMEN_OPTIONS, uncleanSpecimen, type Damage, type ProbeTarget, type Specimen } from '@wk/testkit'
import type { MemoryFileSystem } from '@wk/fs'
import type { Budget, Report } from './check.js'

/** Growth of the resident set over the whole check that is too much. */
const MAX_GROWTH = 256 << 20

/** Where the specimens live. */
export const DIR = '/db'

/** A small database to damage, and how it is opened. */
export interface Subject {
  /** Names its cases. */
  readonly name: string
  readonly specimen: Specimen
  readonly open: (fs: MemoryFileSystem, readOnly?: boolean) => Promise<DB>
}

const opener = (options: OptionSet): Subject['open'] => (fs, readOnly = false) => openBounded(DIR, { ...options, fs, readOnly })

/** Opens a database under the smallest sizes. */
export const open = opener(SPECIMEN_OPTIONS)

/** Closed cleanly; `scale` times as large as the smallest. */
export async function cleanSubject(scale = 1): Promise<Subject> {
  return { name: 'clean', specimen: await cleanSpecimen(DIR, open, scale), open }
}

/** Closed cleanly, with holes in two files. */
export async function holedSubject(): Promise<Subject> {
  const holed = opener(HOLED_SPECIMEN_OPTIONS)
  return { name: 'holed', specimen: await holedSpecimen(DIR, holed), open: holed }
}

/** Closed cleanly, with values in gaps of two files. */
export async function gappedSubject(): Promise<Subject> {
  const gapped = opener(GAPPED_SPECIMEN_OPTIONS)
  return { name: 'gapped', specimen: await gappedSpecimen(DIR, gapped), open: gapped }
}

/** Left by a killed process. */
export async function uncleanSubject(scale = 1): Promise<Subject> {
  return { name: 'unclean', specimen: await uncleanSpecimen(DIR, open, scale), open }
}

/** Bytes inside of holes of which one is damaged: they are all alike. */
const HOLE_STRIDE = 64

/** Without most of the damages to bytes inside of holes, which nobody looks at. */
export function* sparingHoles({ specimen: { image } }: Subject, damages: Iterable<Damage>): Generator<Damage> {
  const holes = holesIn(image)
  for (const damage of damages) {
    const { files, from } = damage
    const isInside = holes.some(({ file, start, end }) => file === files[0] && from > start && from < end)
    if (!isInside || from % HOLE_STRIDE === 0) yield damage
  }
}

/** Runs the damages of each subject, which share the budget. */
export async function runAllDamages(subjects: readonly Subject[], damagesOf: (subject: Subject) => Iterable<Damage>, budget: Budget, seed: number, report: Report): Promise<void> {
  for (const subject of subjects) await runDamages(subject, () => damagesOf(subject), { ...budget, cases: budget.cases / subjects.length }, seed, report)
}

/** Probes at most `budget.cases` of the damages, evenly chosen; each by name and number, so that a failure can be named. */
async function runDamages(subject: Subject, damages: () => Iterable<Damage>, budget: Budget, seed: number, report: Report): Promise<void> {
  const { name, specimen } = subject
  const target: ProbeTarget = { dir: DIR, open: subject.open }
  let total = 0
  for (const _ of damages()) total++
  const stride = budget.cases === Infinity ? 1 : Math.max(1, Math.floor(total / budget.cases))
  const before = process.memoryUsage().rss
  const counts = { identical: 0, partly: 0, refused: 0 }
  let slowest = 0
  let index = -1
  for (const damage of damages()) {
    index++
    if (budget.only === undefined ? (index + seed) % stride !== 0 : `${name}/${index}` !== budget.only) continue
    if (report.full) return
    const result = await probe(target, specimen, damage, index % 2 === 0)
    report.ran()
    counts[result.outcome]++
    slowest = Math.max(slowest, result.milliseconds)
    for (const finding of result.findings) report.fail(finding, `${name}/${index}`)
    if (result.milliseconds > MAX_PROBE_MS) report.fail(`${damage.what}: took ${result.milliseconds.toFixed()} ms`, `${name}/${index}`)
  }
  const growth = process.memoryUsage().rss - before
  if (growth > MAX_GROWTH) report.fail(`the resident set grew by ${growth >> 20} MiB`)
  const holes = holesIn(specimen.image)
  const holed = holes.length === 0 ? '' : ` with ${holes.length} holes of ${holes.reduce((sum, { start, end }) => sum + end - start, 0)} bytes`
  report.note(`${name}${holed}: ${counts.identical} identical, ${counts.partly} partly refused, ${counts.refused} refused at open; slowest ${slowest.toFixed()} ms; resident set +${Math.max(0, growth) >> 20} MiB`)
}
