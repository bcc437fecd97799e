/**
 * The process of one check: runs it and sends the outcome to the driver. Whatever nobody handled — a rejection, an
 * exception, a warning of Node's — is a failure of the check.
 */
import { emptyOutcome, runCheck, type Outcome } from './outcome.js'
import { loadChecks } from './registry.js'
import type { Budget } from './check.js'

/** The request, as JSON in the first argument. */
export interface ChildRequest extends Budget {
  readonly id: string
  readonly seed: number
}

/** What the child sends: how far it is, or what came of it. */
export type ChildMessage = { readonly type: 'progress'; readonly cases: number; readonly failed: number } | { readonly type: 'end'; readonly outcome: Outcome }

const PROGRESS_MS = 500

async function main(request: ChildRequest): Promise<void> {
  const unhandled: string[] = []
  for (const event of ['unhandledRejection', 'uncaughtException', 'warning'] as const) {
    process.on(event, (reason: unknown) => unhandled.push(`${event}: ${reason instanceof Error ? (reason.stack ?? reason.message) : String(reason)}`))
  }
  // Errors are made by the million here; a replayed case shows where from.
  Error.stackTraceLimit = request.only === undefined ? 4 : 50
  const check = (await loadChecks()).find(({ id }) => id === request.id)
  let last = performance.now()
  const outcome = check === undefined ? emptyOutcome() : await runCheck(check, request, request.seed, ({ cases, failed }) => {
    if (performance.now() - last < PROGRESS_MS) return
    last = performance.now()
    send({ type: 'progress', cases, failed })
  })
  await new Promise((resolve) => setImmediate(resolve))
  for (const message of unhandled) {
    outcome.failed++
    outcome.failures.push({ message, only: request.only })
  }
  send({ type: 'end', outcome })
  process.disconnect()
}

function send(message: ChildMessage): void {
  process.send?.(message)
}

await main(JSON.parse(process.argv[2] ?? '{}', (key, value: unknown) => (key === 'cases' && value === null ? Infinity : value)) as ChildRequest)
