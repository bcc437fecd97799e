#!/usr/bin/env node
/** The program. Status 0: all is well. 1: damage. 2: the request cannot be carried out, or nobody reads the answer. */
import { once } from 'node:events'
import { WkError, errnoOf } from '@wk/codec'
import { parseArguments, UsageError } from './cli.js'
import { run } from './commands.js'

/** Why nothing more can be printed. */
let outputError: Error | undefined
process.stdout.on('error', (error) => (outputError ??= error))

async function print(text: string): Promise<void> {
  if (outputError !== undefined) throw outputError
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

async function main(): Promise<number> {
  const request = parseArguments(process.argv.slice(2))
  if (typeof request !== 'string') return run(request, print)
  await print(request)
  return 0
}

function messageOf(error: unknown): string {
  if (error instanceof WkError) return `${error.code} ${error.message}`
  if (error instanceof UsageError) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

main().then(
  (status) => {
    process.exitCode = status
  },
  (error: unknown) => {
    // A reader that has seen enough, such as `head`, needs no message.
    if (errnoOf(error) !== 'EPIPE') process.stderr.write(`wk: ${messageOf(error)}\n`)
    process.exitCode = error instanceof WkError && error.code === 'WK_CORRUPTION' ? 1 : 2
  },
)
