/** What the fault checks share: a workload that passes through everything, and the run of a list of cases. */
import { openBounded } from '@wk/db/testing'
import type { FileSystem, OperationKind } from '@wk/fs'
import { crashProfile, drawHistory, EAGER, type FaultCase, type FaultRunOptions, FEW_RUNS, fillingGaps, gapsProfile, holesProfile, type Operation, operationsOf, Rng, runFault, SMALLEST, THRESHOLD, withGaps, withHoles } from '@wk/testkit'
import type { Budget, Report } from './check.js'
import { DIR, rewritingProfile } from './crash-round.js'
import { hasFewRuns, RareWork } from './rare-work.js'
import { SleepingRuntime } from './sleeping-runtime.js'

/**
 * A workload of open, put, flush, compact, GC, scans and close, from a seed and a round; in every other round the collector runs in the
 * background. In two rounds of four, with it and without, run tables may have hardly any entries, so that pointers are rewritten; in the other two
 * values are long, and leave holes, or new ones go where dead ones lie, by turns.
 *
 * @param attempt of several at the same round, each with another workload
 */
function drawFaultRound(seed: number, round: number, attempt: number, rare: RareWork): FaultRunOptions {
  const isBounded = hasFewRuns(round)
  const sizes = round % 2 === 1 ? EAGER : SMALLEST
  const fills = hasGaps(round)
  const options = isBounded ? { ...sizes, mostRuns: FEW_RUNS } : fills ? withGaps(sizes) : withHoles(sizes)
  // Garbage has to come out before it is filled.
  const profile = crashProfile(fills ? 60 : 36, THRESHOLD)
  const rng = new Rng(seed * 1000 + round + 100 * attempt)
  const drawn = drawHistory(rng, isBounded ? rewritingProfile(profile) : fills ? gapsProfile(profile) : holesProfile(profile))
  const history: Operation[] = (fills ? fillingGaps(rng, drawn) : drawn).filter(({ type }) => type !== 'clear')
  history.splice(history.length >> 1, 0, { type: 'compareAll' }, { type: 'verify' })
  return { dir: DIR, open: async (fs: FileSystem) => rare.watch(await openBounded(DIR, { ...options, fs, runtime: new SleepingRuntime(round) })), history }
}

/** Whether a round is one of those without few entries of run tables in which gaps are filled: they meet the collector in the background, and none. */
function hasGaps(round: number): boolean {
  return round % 8 === 2 || round % 8 === 5
}

/** Attempts at a workload that rewrites pointers, leaves holes, or fills gaps, where it should. */
const ATTEMPTS = 10

/** A round as it is run, and the operations of its workload without a fault: of the first attempt that does what the round is for. */
async function prepareRound(seed: number, round: number, rare: RareWork): Promise<{ options: FaultRunOptions; operations: OperationKind[] }> {
  for (let attempt = 0; ; attempt++) {
    const options = drawFaultRound(seed, round, attempt, rare)
    const done = (): number => (hasFewRuns(round) ? rare.readdressed : hasGaps(round) ? rare.filled : rare.punched)
    const before = done()
    const operations = await operationsOf(options)
    if (done() > before || attempt === ATTEMPTS) return { options, operations }
  }
}

/**
 * Runs cases of one round after the other until there were enough, at most `rounds`; of a round at most `perRound`, evenly spread. A case
 * is replayed by round and name.
 */
export async function runFaultRounds(budget: Budget, seed: number, report: Report, casesOf: (operations: OperationKind[], rng: Rng) => FaultCase[], { rounds = Infinity, perRound = Infinity }: { rounds?: number; perRound?: number }): Promise<void> {
  const [, onlyRound, onlyName] = /^(\d+)\/(.*)$/.exec(budget.only ?? '') ?? []
  const rare = new RareWork()
  let leavesHoles = false
  let fillsGaps = false
  let ran = 0
  let injected = 0
  let slowest = 0
  for (let round = Number(onlyRound ?? 0); ran < budget.cases && (round < rounds || onlyRound !== undefined) && !report.full; round++) {
    leavesHoles ||= !hasFewRuns(round) && !hasGaps(round)
    fillsGaps ||= hasGaps(round)
    const { options, operations } = await prepareRound(seed, round, rare)
    const all = casesOf(operations, new Rng(seed * 1000 + round))
    const step = onlyName !== undefined ? 1 : Math.max(1, all.length / Math.min(perRound, budget.cases - ran))
    for (let at = 0; at < all.length && !report.full; at += step) {
      const one = all[Math.floor(at)] as FaultCase
      if (onlyName !== undefined && onlyName !== one.name) continue
      const found = await runFault(options, one)
      for (const message of found.findings) report.fail(message, `${round}/${one.name}`)
      report.ran()
      ran++
      injected += found.injected > 0 ? 1 : 0
      slowest = Math.max(slowest, found.closeMs)
    }
    if (onlyName !== undefined) break
  }
  rare.report(report, { readdressed: 1 / 200, ...(leavesHoles ? { punched: 1 / 200 } : {}), ...(fillsGaps ? { filled: 1 / 200 } : {}) })
  report.note(`the fault was met in ${injected} of ${ran} runs; the slowest close() took ${slowest.toFixed(0)} ms`)
}
