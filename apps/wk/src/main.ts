#!/usr/bin/env node
/** The program. Status 0: all is well. 1: damage. 2: the request cannot be carried out. */
import { once } from 'node:events'
import { WkError } from '@wk/codec'
import { parseArguments, UsageError } from './cli.js'
import { run } from './commands.js'

async function main(): Promise<number> {
  const request = parseArguments(process.argv.slice(2))
  if (request === undefined) return 0
  return run(request, async (text) => {
    if (!process.stdout.write(text)) await once(process.stdout, 'drain')
  })
}

main().then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    const isKnown = error instanceof WkError || error instanceof UsageError
    process.stderr.write(`wk: ${isKnown ? `${error instanceof WkError ? `${error.code} ` : ''}${error.message}` : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exitCode = error instanceof WkError && error.code === 'WK_CORRUPTION' ? 1 : 2
  },
)
