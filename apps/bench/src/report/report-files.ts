/** Writes a report to a directory, as JSON (the data) and as HTML (to look at). */
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UsageError } from '../usage-error.js'
import { renderHtml } from './html.js'
import type { RunReport } from './result.js'

/** Where a report went. */
export interface ReportFiles {
  readonly json: string
  readonly html: string
}

/**
 * Makes the directory and sees that it can be written to: called before a run, so that no run is lost to a bad `--out`.
 *
 * @throws UsageError if not.
 */
export function prepareOutput(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true })
    accessSync(dir, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw new UsageError(`--out ${dir}: cannot be written to (${error instanceof Error ? error.message : String(error)})`)
  }
}

/** Writes both files; their name is the workload and the time of the run. */
export function writeReport(dir: string, report: RunReport): ReportFiles {
  const name = `${report.workload}${report.quick ? '-quick' : ''}-${report.environment.date.replace(/[:.]/g, '-')}`
  const files = { json: join(dir, `${name}.json`), html: join(dir, `${name}.html`) }
  writeFileSync(files.json, `${JSON.stringify(report, null, 2)}\n`)
  writeFileSync(files.html, renderHtml(report))
  return files
}
