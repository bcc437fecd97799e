/** The command line: what can be asked for, and what is wrong with it. Does nothing itself. */
import { readFileSync } from 'node:fs'
import { cac } from 'cac'

/** Something that cannot be meant. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What to do. */
export interface Request {
  readonly command: 'stats' | 'verify' | 'dump' | 'repair'
  readonly dir: string
  readonly encryptionKey: Uint8Array | undefined
  /** Of `dump`: the range, how much, and whether without values. */
  readonly range: { gt?: string; gte?: string; lt?: string; lte?: string; reverse?: boolean; limit?: number }
  readonly keysOnly: boolean
  /** Of `repair`: where to. */
  readonly to: string
}

/** Reads the arguments (those after the program's name). Undefined after `--help`, which prints. Throws: UsageError. */
export function parseArguments(args: readonly string[]): Request | undefined {
  const cli = cac('wk')
  let request: Request | undefined
  const define = (command: Request['command'], text: string): ReturnType<typeof cli.command> =>
    cli
      .command(`${command} <dir>`, text)
      .option('--key-file <file>', 'File that holds the encryption key: 16, 24 or 32 bytes')
      .action((dir: string, options: Record<string, unknown>) => {
        request = readRequest(command, String(dir), options)
      })
  define('stats', 'Prints sizes and counters')
  define('verify', 'Reads everything and prints what does not hold; status 1 if anything')
  define('dump', 'Prints entries, one JSON line each')
    .option('--gt <key>', 'Keys behind this one')
    .option('--gte <key>', 'Keys from this one on')
    .option('--lt <key>', 'Keys before this one')
    .option('--lte <key>', 'Keys up to this one')
    .option('--reverse', 'Backwards')
    .option('--limit <n>', 'At most so many')
    .option('--keys', 'Keys only: reads no value')
  define('repair', 'Saves what still verifies into a new database; status 1 if something was lost').option('--to <dir>', 'Where the new database goes')
  cli.help()
  try {
    cli.parse(['node', 'wk', ...args], { run: false })
    if (cli.options['help'] === true) return undefined
    if (cli.matchedCommand === undefined) throw new UsageError(args.length === 0 ? 'a command is missing; --help lists them' : `unknown command ${String(args[0])}; --help lists them`)
    cli.runMatchedCommand()
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(error instanceof Error ? error.message : String(error))
  }
  return request
}

function readRequest(command: Request['command'], dir: string, options: Record<string, unknown>): Request {
  const range: Request['range'] = {}
  for (const bound of ['gt', 'gte', 'lt', 'lte'] as const) if (options[bound] !== undefined) range[bound] = String(options[bound])
  if (options['reverse'] === true) range.reverse = true
  if (options['limit'] !== undefined) {
    const limit = Number(options['limit'])
    if (!Number.isSafeInteger(limit) || limit < 0) throw new UsageError('--limit must be a number from 0')
    range.limit = limit
  }
  if (command === 'repair' && typeof options['to'] !== 'string') throw new UsageError('repair needs --to, a directory for the new database')
  const keyFile = options['keyFile']
  return { command, dir, encryptionKey: keyFile === undefined ? undefined : new Uint8Array(readFileSync(String(keyFile))), range, keysOnly: options['keys'] === true, to: String(options['to'] ?? '') }
}
