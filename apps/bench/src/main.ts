/**
 * The program. Status 0: the engines that are there ran and held what they were given. 1: one failed or gave back
 * something else, or none is there.
 * 2: the request cannot be carried out. 130: interrupted; nothing is left behind.
 */
import { parseArguments } from './cli.js'
import { describeFailure } from './engine-run.js'
import { ProgressLine } from './progress-line.js'
import { prepareOutput, writeReport } from './report/report-files.js'
import { renderTables } from './report/table.js'
import { InterruptedError, runAll } from './runner.js'
import { UsageError } from './usage-error.js'

async function main(): Promise<number> {
  const request = parseArguments(process.argv.slice(2))
  if (request.kind === 'help') return 0
  prepareOutput(request.out)
  const report = await runAll(request.options, new ProgressLine(process.stderr))
  const files = writeReport(request.out, report)
  process.stdout.write(renderTables(report, process.stdout.isTTY && process.env['NO_COLOR'] === undefined))
  process.stdout.write(`report: ${files.html}\n        ${files.json}\n`)
  const ran = report.engines.filter(({ absent }) => absent === null)
  return ran.length > 0 && ran.every(({ failure }) => failure === null) ? 0 : 1
}

main().then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    const expected = error instanceof UsageError || error instanceof InterruptedError
    process.stderr.write(`wk-bench: ${expected ? error.message : describeFailure(error)}\n`)
    process.exitCode = error instanceof UsageError ? 2 : error instanceof InterruptedError ? 130 : 1
  },
)
