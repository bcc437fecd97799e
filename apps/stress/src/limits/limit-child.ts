/**
 * The process that lives within a limit: of descriptors, of file size, of space. It writes the endless workload, with
 * flush and collection beside it, until a write is refused or the steps are done; then it looks at itself: whether later
 * writes are refused, whether everything acknowledged is readable, how long `close()` takes. The last line is its report.
 */
import { spawnSync } from 'node:child_process'
import { DB, WkError, type DbOptions } from '@wk/db'
import { bytesOf, endlessStep, Model, sameBytes, writeStep } from '@wk/testkit'

/** The only argument, as JSON. */
export interface LimitRequest {
  readonly dir: string
  readonly seed: number
  readonly steps: number
  readonly options: DbOptions
  /** Most open files, from the moment on when everything is loaded but a worker. Needs `prlimit`. */
  readonly descriptors?: number
}

/** What the child says of itself. */
export interface LimitReport {
  called: number
  acknowledged: number
  /** The first refusal: code of the error, and the errno in its causes. */
  refused: { code: string; errno: string | undefined } | undefined
  /** What was wrong. */
  readonly wrong: string[]
  closeMs: number
}

async function main({ dir, seed, steps, options, descriptors }: LimitRequest): Promise<LimitReport> {
  if (descriptors !== undefined) {
    const { status } = spawnSync('prlimit', ['--pid', String(process.pid), `--nofile=${descriptors}:${descriptors}`])
    if (status !== 0) throw new Error('prlimit does not work here')
  }
  const report: LimitReport = { called: 0, acknowledged: 0, refused: undefined, wrong: [], closeMs: 0 }
  const refuse = (error: unknown): void => {
    if (!(error instanceof WkError)) report.wrong.push(`not a WkError: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    else if (error.code !== 'WK_NO_REWRITE') report.refused ??= { code: error.code, errno: errnoIn(error) }
  }
  let db: DB
  try {
    db = await DB.open(dir, options)
  } catch (error) {
    refuse(error)
    return report
  }
  const model = new Model()
  for (let step = 0; step < steps && report.refused === undefined; step++) {
    const changes = endlessStep(seed, step)
    report.called++
    await writeStep(db, changes).then(() => {
      report.acknowledged++
      for (const change of changes) model.apply(change)
    }, refuse)
    if (report.refused === undefined && step % 60 === 59) await (step % 240 === 239 ? db.runValueLogGC(0.3) : db.flush()).catch(refuse)
  }
  await look(db, model, report)
  const start = performance.now()
  await db.close().catch(refuse)
  report.closeMs = performance.now() - start
  return report
}

async function look(db: DB, model: Model, report: LimitReport): Promise<void> {
  if (report.refused !== undefined && report.acknowledged < report.called) {
    await db.put('late', 'x').then(
      () => report.wrong.push('a write was acknowledged after one had been refused'),
      (error: unknown) => {
        if (!(error instanceof WkError && error.code === 'WK_READ_ONLY')) report.wrong.push(`a later write: ${String(error)}`)
      },
    )
  }
  for (const [key, value] of model.entries()) {
    try {
      if (!sameBytes(await db.get(bytesOf(key)), value)) report.wrong.push(`${key} is another value`)
    } catch (error) {
      // Without descriptors a read may fail, but it says so.
      if (!(error instanceof WkError && errnoIn(error) === 'EMFILE')) report.wrong.push(`${key}: ${String(error)}`)
      else report.refused ??= { code: error.code, errno: 'EMFILE' }
    }
  }
}

function errnoIn(error: unknown): string | undefined {
  for (let at: unknown = error; typeof at === 'object' && at !== null; at = (at as { cause?: unknown }).cause) {
    const { code } = at as { code?: unknown }
    if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return code
  }
  return undefined
}

process.stdout.write(`${JSON.stringify(await main(JSON.parse(process.argv[2] ?? '') as LimitRequest))}\n`)
