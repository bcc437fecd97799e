/**
 * What a manifest still says: which tables and logs count. Read strictly if it can be; else edit by edit, over damage.
 *
 * File numbers are never given twice, so an edit that gave a table up holds for ever, whatever of the manifest is missing.
 */
import { ByteReader, CorruptionError, WkError, WrongKeyError, formatFileName } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import type { DirectoryListing } from '../directory-listing.js'
import { largestSequence } from '../largest-sequence.js'
import { FrameScanner } from '../log/frame-scanner.js'
import { readCurrent } from '../manifest/current.js'
import { readManifest } from '../manifest/manifest-reader.js'
import type { ManifestState } from '../manifest/manifest-reader.js'
import { decodeRecord } from '../manifest/version-edit.js'
import type { VersionEdit } from '../manifest/version-edit.js'
import type { SalvageOptions, SalvageProblem } from './salvaged-tree.js'

export interface SalvagedManifest {
  /** `intact`: it says all. `damaged`: some edits are gone. `missing`: there is none, or nothing of it can be read. */
  condition: 'intact' | 'damaged' | 'missing'
  /** Logs with smaller numbers are not needed. */
  logNumber: number
  /** Last operation that is in tables; undefined where the manifest does not tell for sure. */
  lastSequence: number | undefined
  /** What edits say of tables that count. */
  summaries: Map<number, TableSummary>
  problems: SalvageProblem[]
  /** The tables that count, whether they are there or not. */
  tables: number[]
}

/** Reads what is left of the manifest. */
export async function salvageManifest(dir: string, listing: DirectoryListing, options: SalvageOptions): Promise<SalvagedManifest> {
  const problems: SalvageProblem[] = []
  const present = listing.numbers.table
  const current = await attempt(async () => readCurrent(options.fs, dir), problems)
  if (current === undefined && problems.length === 0) problems.push({ file: formatFileName('current'), offset: undefined, message: 'CURRENT is missing' })
  // Without CURRENT the newest manifest counts: CURRENT names a new one only once its first edit is durable.
  for (const number of current === undefined ? listing.numbers.manifest.toReversed() : [current]) {
    const state = await attempt(() => readManifest(options.fs, dir, number, options.runtime), problems)
    if (state !== undefined && !(await isCut(dir, listing, state, options, problems))) {
      const summaries = new Map([...state.version.tables()].map((table) => [table.number, table]))
      return { condition: 'intact', logNumber: state.logNumber, lastSequence: state.lastSequence, summaries, problems, tables: [...summaries.keys()] }
    }
    const edits = await readEdits(dir, number, options)
    if (edits.length > 0) return fromEdits(edits, present, problems)
  }
  return fromEdits([], present, problems)
}

/**
 * Whether edits are missing at the end, which no checksum tells: a table that is named is gone while one that is not named is there,
 * or one that is not named holds operations that no log has.
 */
async function isCut(dir: string, { numbers }: DirectoryListing, state: ManifestState, options: SalvageOptions, problems: SalvageProblem[]): Promise<boolean> {
  const unnamed = numbers.table.filter((number) => !state.version.has(number))
  const gone = [...state.version.tables()].filter(({ number }) => !numbers.table.includes(number))
  let isCut = gone.length > 0 && unnamed.length > 0
  const hasLogs = numbers.wal.some((number) => number >= state.logNumber)
  for (const number of isCut || hasLogs ? [] : unnamed) isCut ||= (await largestSequence(dir, options, number)) > state.lastSequence
  if (isCut) problems.push({ file: formatFileName('manifest', state.number), offset: state.end, message: 'edits are missing at the end of the manifest' })
  return isCut
}

function fromEdits(edits: readonly VersionEdit[], present: readonly number[], problems: SalvageProblem[]): SalvagedManifest {
  const summaries = new Map<number, TableSummary>()
  const dead = new Set<number>()
  let logNumber = 0
  for (const { added, removed, logNumber: log } of edits) {
    for (const { number } of removed ?? []) {
      summaries.delete(number)
      dead.add(number)
    }
    // A table that moves to another level is removed and added by the same edit.
    for (const { table } of added ?? []) {
      summaries.set(table.number, table)
      dead.delete(table.number)
    }
    logNumber = Math.max(logNumber, log ?? 0)
  }
  // One that is named and gone may have been given up by an edit that is lost: what it held is not looked for, but told.
  const tables = present.filter((number) => !dead.has(number))
  return { condition: edits.length > 0 ? 'damaged' : 'missing', logNumber, lastSequence: undefined, summaries, problems, tables }
}

/** Every edit that verifies, over damage. */
async function readEdits(dir: string, number: number, { fs, runtime }: SalvageOptions): Promise<VersionEdit[]> {
  const name = formatFileName('manifest', number)
  const edits: VersionEdit[] = []
  let file
  try {
    file = await fs.open(`${dir}/${name}`, 'read')
  } catch (error) {
    if (error instanceof WkError) return []
    throw error
  }
  try {
    const scanner = new FrameScanner(file, number, await file.size(), runtime)
    while (!scanner.atEnd) {
      const frame = (await scanner.next()) ?? (await scanner.findNext())
      if (frame === undefined || frame === 'exhausted') break
      try {
        const record = decodeRecord(new ByteReader(frame.bytes, { file: name, start: frame.start, end: frame.end }))
        if (record.type === 'edit') edits.push(record.edit)
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error
      }
    }
  } finally {
    await file.close()
  }
  return edits
}

async function attempt<T>(read: () => Promise<T>, problems: SalvageProblem[]): Promise<T | undefined> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof CorruptionError || error instanceof WrongKeyError)) throw error
    const { file = '', offset } = error instanceof CorruptionError ? error : {}
    problems.push({ file, offset, message: error.message })
    return undefined
  }
}
