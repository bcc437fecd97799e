/** Runs the limited child, and judges what it leaves once the limit is gone. */
import { spawnSync } from 'node:child_process'
import { DB } from '@wk/db'
import { CrashOracle, endlessStep, readAll } from '@wk/testkit'
import { childPath } from '../child-path.js'
import { debrisIn } from '../debris.js'
import type { LimitReport, LimitRequest } from './limit-child.js'

/** Most milliseconds that `close()` may take. */
const CLOSE_MS = 1000

/** Runs the child, under a limit of the shell where one is given (`-n 64`). Throws if it dies. */
export function runLimited(request: LimitRequest, limit?: string): LimitReport {
  const child = childPath('limit-child')
  const command = limit === undefined ? [process.execPath, child, JSON.stringify(request)] : ['/bin/sh', '-c', `ulimit ${limit} && exec "$0" "$@"`, process.execPath, child, JSON.stringify(request)]
  const { stdout, stderr, status, signal } = spawnSync(command[0] as string, command.slice(1), { encoding: 'utf8', timeout: 120_000 })
  if (status !== 0) throw new Error(`the child ended with ${signal ?? `status ${status}`}: ${stderr.slice(0, 2000)}`)
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as LimitReport
}

/** What is wrong with the report, and with the directory now that there is no limit any more. */
export async function judgeLimited({ dir, seed, options }: LimitRequest, report: LimitReport): Promise<string[]> {
  const wrong = [...report.wrong]
  if (report.closeMs > CLOSE_MS) wrong.push(`close() took ${report.closeMs.toFixed(0)} ms`)
  const oracle = new CrashOracle()
  for (let step = 0; step < report.called; step++) oracle.record(endlessStep(seed, step))
  oracle.acknowledge(report.acknowledged, false)
  let bounds = oracle.bounds(true)
  for (const round of ['reopened', 'reopened again']) {
    const db = await DB.open(dir, options)
    try {
      const verdict = oracle.check(await readAll(db), bounds)
      if (!verdict.ok) wrong.push(`${round}: law ${verdict.law}: ${verdict.message}`)
      else bounds = { must: verdict.steps, may: verdict.steps }
      const { ok, problems } = await db.verify()
      if (!ok) wrong.push(`${round}: verify: ${JSON.stringify(problems.slice(0, 3))}`)
      await db.flush()
      await db.compact()
    } finally {
      await db.close()
    }
    wrong.push(...(await debrisIn(dir, options)).map((message) => `${round}: ${message}`))
  }
  return wrong
}
