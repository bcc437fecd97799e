/** Runs checks, each in a process of its own, a few at a time. A process that dies is a failure of its check. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Check, Tier } from './check.js'
import type { ChildMessage, ChildRequest } from './child.js'
import { emptyOutcome, type Outcome } from './outcome.js'

/** A check that was run. */
export interface Finished {
  readonly check: Check
  readonly outcome: Outcome
}

/** How to run. */
export interface Plan {
  readonly tier: Tier
  readonly seed: number
  readonly only: string | undefined
  /** Cases instead of those of the tier. */
  readonly cases: number | undefined
  readonly jobs: number
}

/** Told of what happens. */
export interface Watcher {
  progress(check: Check, cases: number, failed: number): void
  finished(finished: Finished): void
}

const CHILD = fileURLToPath(new URL('child.js', import.meta.url))

/** The checks that take longest, the longest first: begun first, they leave no core idle at the end. */
const LONGEST = ['G1', 'F1', 'G2', 'H1', 'B2', 'B1', 'A1', 'D1', 'E2', 'F3', 'C3']

const rank = ({ id }: Check): number => (LONGEST.includes(id) ? LONGEST.indexOf(id) : LONGEST.length)

/** Runs all checks. */
export async function runAll(checks: readonly Check[], plan: Plan, watcher: Watcher): Promise<Finished[]> {
  const queue = [...checks].sort((a, b) => rank(a) - rank(b))
  const done: Finished[] = []
  const worker = async (): Promise<void> => {
    for (let check = queue.shift(); check !== undefined; check = queue.shift()) {
      const current = check
      const finished = { check, outcome: await runInChild(check, plan, (cases, failed) => watcher.progress(current, cases, failed)) }
      done.push(finished)
      watcher.finished(finished)
    }
  }
  await Promise.all(Array.from({ length: plan.jobs }, worker))
  return done.sort((a, b) => (a.check.id < b.check.id ? -1 : 1))
}

async function runInChild(check: Check, plan: Plan, progress: (cases: number, failed: number) => void): Promise<Outcome> {
  const request: ChildRequest = { id: check.id, tier: plan.tier, seed: plan.seed, only: plan.only, cases: plan.cases ?? check.cases[plan.tier] }
  const child = fork(CHILD, [JSON.stringify(request)], { execArgv: ['--expose-gc'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const start = performance.now()
  let outcome: Outcome | undefined
  const seen = emptyOutcome()
  child.on('message', (message: ChildMessage) => {
    if (message.type === 'end') outcome = message.outcome
    else {
      seen.cases = message.cases
      progress(message.cases, message.failed)
    }
  })
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => child.once('exit', (...end) => resolve(end)))
  if (outcome !== undefined && code === 0) return outcome
  const died = outcome ?? { ...seen, seconds: (performance.now() - start) / 1000 }
  died.failed++
  died.failures.push({ message: `the process of the check ended with ${signal ?? `status ${String(code)}`}`, only: plan.only })
  return died
}
