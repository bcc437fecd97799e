/**
 * What is left of a damaged tree: every entry that still verifies, of every version, in internal order; and what is lost.
 *
 * Changes nothing and throws for no damage. Which files count: with a sound manifest those that it names, so that nothing
 * comes back that a compaction dropped. Without one, every table and log that no edit still readable gave up. Logs are
 * read to their end, behind torn places too: all that verifies is wanted here, not a prefix.
 *
 * Of the tables only places and one block each are in memory; the logs, which are as large as some memtables, wholly.
 */
import { formatFileName, throwIfAborted } from '@wk/codec'
import type { EntryCursor } from '@wk/codec'
import type { File, FileSystem, Runtime } from '@wk/fs'
import { SalvagedTable } from '@wk/sstable'
import type { TableSummary } from '@wk/sstable'
import { listDirectory } from '../directory-listing.js'
import type { DirectoryListing } from '../directory-listing.js'
import { MergingCursor } from '../iterator/merging-cursor.js'
import { GatheredEntries } from './gathered-entries.js'
import { openDamaged } from './open-damaged.js'
import { salvageLog } from './salvaged-log.js'
import type { SalvagedLog } from './salvaged-log.js'
import { salvageManifest } from './salvaged-manifest.js'
import type { SalvagedManifest } from './salvaged-manifest.js'

/** Entries that were there and do not verify. Bounds include both ends; an absent one is no bound. */
export interface Loss {
  /** Name relative to the directory. */
  file: string
  /** Bytes of it; absent if the file is gone. */
  offset: number | undefined
  length: number | undefined
  message: string
  /** The keys that may be concerned. */
  fromKey: Uint8Array | undefined
  toKey: Uint8Array | undefined
  /** Their sequence numbers. */
  fromSequence: number | undefined
  toSequence: number | undefined
  /** Perhaps nothing is missed: what lay there may be in another table by now, as far as it is still needed. */
  isDoubtful?: boolean
}

/** Damage of a file with which no entry is lost. */
export interface SalvageProblem {
  file: string
  offset: number | undefined
  message: string
}

/** How much of the manifest could be read: `intact`, `damaged` (parts of it), `missing` (nothing). */
export type ManifestCondition = SalvagedManifest['condition']

/** What to salvage from, and with what. */
export interface SalvageOptions {
  fs: FileSystem
  runtime: Runtime
  /** Ends the reading of tables and logs with `AbortedError`. */
  signal?: AbortSignal | undefined
}

export class SalvagedTree {
  readonly manifest: ManifestCondition
  readonly losses: readonly Loss[]
  /**
   * Sequence number of the last operation in tables and logs; undefined where neither a sound manifest nor a log tells it (a
   * compaction may have dropped the last ones).
   */
  readonly lastSequence: number | undefined
  /** What is wrong with the files that only name others. */
  readonly problems: readonly SalvageProblem[]
  readonly #files: readonly File[]
  readonly #tables: readonly SalvagedTable[]
  readonly #logs: readonly SalvagedLog[]
  readonly #more = new GatheredEntries()

  private constructor({ condition, problems, lastSequence }: SalvagedManifest, losses: readonly Loss[], files: readonly File[], tables: readonly SalvagedTable[], logs: readonly SalvagedLog[]) {
    this.manifest = condition
    this.problems = problems
    this.losses = losses
    this.#files = files
    this.#tables = tables
    this.#logs = logs
    const last = logs.flatMap(({ frames }) => frames).reduce((highest, { firstSequence, count }) => Math.max(highest, firstSequence + count - 1), lastSequence ?? 0)
    this.lastSequence = last === 0 && lastSequence === undefined ? undefined : last
  }

  /** Reads the tree in `dir`. Close it. @throws IoError, AbortedError, and nothing for damage */
  static async read(dir: string, options: SalvageOptions): Promise<SalvagedTree> {
    const listing = await listDirectory(options.fs, dir)
    const manifest = await salvageManifest(dir, listing, options)
    const losses: Loss[] = []
    const files: File[] = []
    try {
      const tables = await readTables(dir, listing, manifest, options, files, losses)
      const logs: SalvagedLog[] = []
      for (const number of listing.numbers.wal) {
        throwIfAborted(options.signal)
        if (number >= manifest.logNumber) logs.push(await salvageLog(dir, number, options))
      }
      losses.push(...logLosses(logs, manifest.lastSequence))
      return new SalvagedTree(manifest, losses, files, tables, logs)
    } catch (error) {
      await closeAll(files)
      throw error
    }
  }

  /** Adds an entry that is known from elsewhere. Where the tree has one of the same key and sequence number, that one counts. No two may be the same. */
  add(key: Uint8Array, sequence: number, kind: number, payload: Uint8Array): void {
    this.#more.prepare(1, key.length + payload.length)
    this.#more.add(key, sequence, kind, payload)
  }

  /** All that is left, and what was added: `first` and `next` only. */
  cursor(): EntryCursor {
    const logs = this.#logs.flatMap(({ entries }) => entries.cursors())
    return new MergingCursor([...logs, ...this.#tables.map((table) => table.cursor()), ...this.#more.cursors()])
  }

  async close(): Promise<void> {
    await closeAll(this.#files)
  }
}

async function readTables(dir: string, listing: DirectoryListing, manifest: SalvagedManifest, { fs, runtime, signal }: SalvageOptions, files: File[], losses: Loss[]): Promise<SalvagedTable[]> {
  const present = new Set(listing.numbers.table)
  const tables: SalvagedTable[] = []
  for (const number of manifest.tables) {
    const name = formatFileName('table', number)
    const summary = manifest.summaries.get(number)
    if (!present.has(number)) {
      losses.push({ file: name, offset: undefined, length: undefined, message: `${name} is missing`, ...boundsOf(summary) })
      continue
    }
    const file = await openDamaged(fs, dir, name)
    if (typeof file === 'string') {
      losses.push({ file: name, offset: 0, length: undefined, message: file, ...boundsOf(summary) })
      continue
    }
    files.push(file)
    const size = file.sizeSync()
    const table = await SalvagedTable.read(file, number, size, runtime, signal)
    tables.push(table)
    const bounds = boundsOf(summary)
    for (const { offset, length, message, fromKey, toKey } of table.losses) {
      losses.push({ ...bounds, file: name, offset, length, message, fromKey: fromKey ?? bounds.fromKey, toKey: toKey ?? bounds.toKey })
    }
    // Cut short with nothing left to see at the end: only the count tells.
    if (summary !== undefined && table.losses.length === 0 && table.entries < summary.entries) {
      losses.push({ ...bounds, file: name, offset: size, length: Math.max(0, summary.size - size), message: `${name} has ${table.entries} of ${summary.entries} entries` })
    }
  }
  // Other tables may stand for one that a damaged manifest names; or it is gone, and those are what an unfinished job left.
  for (const [number, summary] of manifest.summaries) {
    if (present.has(number) || manifest.condition === 'intact') continue
    const name = formatFileName('table', number)
    losses.push({ file: name, offset: undefined, length: undefined, message: `${name} is missing, unless an edit that is lost gave it up`, ...boundsOf(summary), isDoubtful: true })
  }
  return tables
}

function boundsOf(summary: TableSummary | undefined): Pick<Loss, 'fromKey' | 'toKey' | 'fromSequence' | 'toSequence'> {
  return { fromKey: summary?.smallestKey, toKey: summary?.largestKey, fromSequence: summary?.smallestSequence, toSequence: summary?.largestSequence }
}

/** What is missing in the logs and between them: the sequence numbers of frames follow on from each other. */
function logLosses(logs: readonly SalvagedLog[], lastSequence: number | undefined): Loss[] {
  const losses: Loss[] = []
  let next = lastSequence === undefined ? undefined : lastSequence + 1
  for (const { number, frames, gaps } of logs) {
    const file = formatFileName('wal', number)
    const unseen = [...gaps]
    for (const { offset, firstSequence, count } of frames) {
      const before = unseen.filter((gap) => gap.offset < offset)
      unseen.splice(0, before.length)
      const isGap = next !== undefined && firstSequence > next
      const range = { fromKey: undefined, toKey: undefined, fromSequence: next, toSequence: firstSequence - 1 }
      for (const gap of before) losses.push({ file, ...gap, ...range })
      if (isGap && before.length === 0) losses.push({ file, offset, length: 0, message: `operations before it are missing: ${file} at offset ${offset}`, ...range })
      next = Math.max(next ?? 0, firstSequence + count)
    }
    for (const gap of unseen) losses.push({ file, ...gap, fromKey: undefined, toKey: undefined, fromSequence: next, toSequence: undefined })
  }
  return losses
}

async function closeAll(files: readonly File[]): Promise<void> {
  await Promise.all(files.map((file) => file.close()))
}
