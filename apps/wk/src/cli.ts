/** The command line: what can be asked for, and what is wrong with it. Does nothing itself. */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'

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

interface OptionHelp {
  readonly type: 'string' | 'boolean'
  /** What stands for its value. */
  readonly value?: string
  readonly text: string
}

const COMMON: Record<string, OptionHelp> = {
  'key-file': { type: 'string', value: 'file', text: 'File that holds the encryption key: 16, 24 or 32 bytes' },
  help: { type: 'boolean', text: 'Prints this' },
}

const COMMANDS: Record<Request['command'], { readonly text: string; readonly options: Record<string, OptionHelp> }> = {
  stats: { text: 'Prints sizes and counters', options: {} },
  verify: { text: 'Reads everything and prints what does not hold; status 1 if anything', options: {} },
  dump: {
    text: 'Prints entries, one JSON line each',
    options: {
      gt: { type: 'string', value: 'key', text: 'Keys behind this one' },
      gte: { type: 'string', value: 'key', text: 'Keys from this one on' },
      lt: { type: 'string', value: 'key', text: 'Keys before this one' },
      lte: { type: 'string', value: 'key', text: 'Keys up to this one' },
      reverse: { type: 'boolean', text: 'Backwards' },
      limit: { type: 'string', value: 'n', text: 'At most so many' },
      keys: { type: 'boolean', text: 'Keys only: reads no value' },
    },
  },
  repair: {
    text: 'Saves what still verifies into a new database; status 1 if something was lost',
    options: { to: { type: 'string', value: 'dir', text: 'Where the new database goes' } },
  },
}

/** Reads the arguments (those after the program's name). A text is what `--help` asks for. Throws: UsageError. */
export function parseArguments(args: readonly string[]): Request | string {
  const [command, ...rest] = args
  if (command === '--help' || command === '-h') return helpText()
  if (command === undefined) throw new UsageError('a command is missing; --help lists them')
  if (!isCommand(command)) throw new UsageError(`unknown command ${command}; --help lists them`)
  const { values, positionals } = parse(rest, { ...COMMANDS[command].options, ...COMMON })
  if (values['help'] === true) return helpText(command)
  const [dir, surplus] = positionals
  if (dir === undefined) throw new UsageError(`${command} needs a directory`)
  if (surplus !== undefined) throw new UsageError(`${command} takes one directory, not ${surplus} as well`)
  return readRequest(command, dir, values)
}

type Values = Record<string, string | boolean | undefined>

function isCommand(text: string): text is Request['command'] {
  return Object.hasOwn(COMMANDS, text)
}

/** Values as they were typed: `007` is a key, and no number. */
function parse(args: string[], options: Record<string, OptionHelp>): { values: Values; positionals: string[] } {
  const types = Object.fromEntries(Object.entries(options).map(([name, { type }]) => [name, name === 'help' ? { type, short: 'h' } : { type }]))
  try {
    return parseArgs({ args, options: types, allowPositionals: true }) as { values: Values; positionals: string[] }
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function readRequest(command: Request['command'], dir: string, values: Values): Request {
  const text = (name: string): string | undefined => values[name] as string | undefined
  const range: Request['range'] = {}
  for (const bound of ['gt', 'gte', 'lt', 'lte'] as const) {
    const key = text(bound)
    if (key !== undefined) range[bound] = key
  }
  if (values['reverse'] === true) range.reverse = true
  const limit = text('limit')
  if (limit !== undefined) {
    if (!/^\d{1,15}$/.test(limit)) throw new UsageError('--limit must be a number from 0')
    range.limit = Number(limit)
  }
  const to = text('to')
  if (command === 'repair' && (to === undefined || to === '')) throw new UsageError('repair needs --to, a directory for the new database')
  return { command, dir, encryptionKey: readKey(text('key-file')), range, keysOnly: values['keys'] === true, to: to ?? '' }
}

function readKey(file: string | undefined): Uint8Array | undefined {
  if (file === undefined) return undefined
  try {
    return new Uint8Array(readFileSync(file))
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function helpText(only?: Request['command']): string {
  const lines = ['wk: looks at a database of @wk/db, checks it, repairs it', '']
  for (const [name, { text, options }] of Object.entries(COMMANDS)) {
    if (only !== undefined && name !== only) continue
    lines.push(`wk ${name} <dir>`.padEnd(28) + text, ...Object.entries(options).map(optionLine))
  }
  lines.push('', 'With every command:', ...Object.entries(COMMON).map(optionLine), '')
  return lines.join('\n')
}

function optionLine([name, { value, text }]: [string, OptionHelp]): string {
  return `  --${name}${value === undefined ? '' : ` <${value}>`}`.padEnd(28) + text
}
