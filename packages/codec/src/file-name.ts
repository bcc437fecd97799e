/**
 * The names of our files, and nothing else: a name is ours only if parsing and formatting it again gives the same text.
 *
 * | name               | kind        |
 * |--------------------|-------------|
 * | `000012.wal`       | wal         |
 * | `000012.sst`       | table       |
 * | `000012.vlog`      | vlog        |
 * | `000012.rlog`      | relocated (values that garbage collection moved) |
 * | `000012.runs`      | runs (what is left of the value log of that number, in which holes were punched) |
 * | `MANIFEST-000003`  | manifest    |
 * | `CURRENT`, `LOCK`, `VLOGSTATE`, `KEYREGISTRY` | current, lock, vlogState, keyRegistry |
 * | any of them `.tmp` | temp        |
 */
import { checkArgument } from './check-argument.js'
import { InvalidArgumentError } from './errors.js'

/** Kinds of files that carry a number. */
export type NumberedFileKind = 'wal' | 'table' | 'vlog' | 'relocated' | 'runs' | 'manifest'
/** Kinds of files of which a directory has at most one. */
export type SingleFileKind = 'current' | 'lock' | 'vlogState' | 'keyRegistry'
/** Every kind of file that is ours. */
export type FileKind = NumberedFileKind | SingleFileKind | 'temp'

const EXTENSIONS = { wal: 'wal', table: 'sst', vlog: 'vlog', relocated: 'rlog', runs: 'runs' } as const
const SINGLE: Record<SingleFileKind, string> = { current: 'CURRENT', lock: 'LOCK', vlogState: 'VLOGSTATE', keyRegistry: 'KEYREGISTRY' }
const TEMP_SUFFIX = '.tmp'

/** The name of a file. Numbers are safe integers from 1; single files take none. */
export function formatFileName(kind: NumberedFileKind, number: number): string
export function formatFileName(kind: SingleFileKind): string
/** @throws InvalidArgumentError for what is no kind, or no number of a file */
export function formatFileName(kind: NumberedFileKind | SingleFileKind, number = 0): string {
  if (kind === 'current' || kind === 'lock' || kind === 'vlogState' || kind === 'keyRegistry') return SINGLE[kind]
  if (kind !== 'manifest' && !Object.hasOwn(EXTENSIONS, kind)) throw new InvalidArgumentError('not a kind of file')
  if (!Number.isSafeInteger(number) || number < 1) throw new InvalidArgumentError(`not a file number: ${number}`)
  const digits = String(number).padStart(6, '0')
  return kind === 'manifest' ? `MANIFEST-${digits}` : `${digits}.${EXTENSIONS[kind]}`
}

/** The name under which `name` is written before it is renamed into place. @throws InvalidArgumentError for what is no text */
export function tempName(name: string): string {
  checkName(name)
  return name + TEMP_SUFFIX
}

/** What a name says. */
export interface ParsedFileName {
  kind: FileKind
  /** 0 for files without a number. */
  number: number
}

/** What a name of ours means, or `undefined` for every other name. @throws InvalidArgumentError for what is no text */
export function parseFileName(name: string): ParsedFileName | undefined {
  checkName(name)
  if (name.endsWith(TEMP_SUFFIX)) {
    return parseFileName(name.slice(0, -TEMP_SUFFIX.length))?.kind === undefined || name.endsWith(TEMP_SUFFIX + TEMP_SUFFIX)
      ? undefined
      : { kind: 'temp', number: 0 }
  }
  for (const [kind, single] of Object.entries(SINGLE)) if (name === single) return { kind: kind as SingleFileKind, number: 0 }
  const match = /^(?:MANIFEST-([0-9]{6,16})|([0-9]{6,16})\.(wal|sst|vlog|rlog|runs))$/.exec(name)
  if (match === null) return undefined
  const kind = match[1] !== undefined ? 'manifest' : kindOfExtension(match[3])
  const number = Number(match[1] ?? match[2])
  if (kind === undefined || !Number.isSafeInteger(number) || number < 1) return undefined
  return formatFileName(kind, number) === name ? { kind, number } : undefined
}

function kindOfExtension(extension: string | undefined): NumberedFileKind | undefined {
  for (const [kind, known] of Object.entries(EXTENSIONS)) if (known === extension) return kind as NumberedFileKind
  return undefined
}

function checkName(name: string): void {
  checkArgument(typeof name === 'string', 'the name of a file')
}
