/**
 * What lies in a database directory, by kind. Only names that our own formatter would produce are looked at; all
 * others are nobody's business here.
 */
import { CorruptionError, formatFileName, parseFileName, tempName } from '@wk/codec'
import type { NumberedFileKind } from '@wk/codec'
import { isNotFound } from '@wk/fs'
import type { FileSystem } from '@wk/fs'

export interface DirectoryListing {
  /** Whether the directory is there. */
  exists: boolean
  /** All of them, ours or not. */
  names: readonly string[]
  /** Numbers by kind, ascending. */
  numbers: Record<NumberedFileKind, number[]>
  /** Whether CURRENT.tmp lies there: the tree has no other temporary files. */
  hasTemporary: boolean
}

/** Lists `dir`; a missing directory is an empty one. */
export async function listDirectory(fs: FileSystem, dir: string): Promise<DirectoryListing> {
  const listing: DirectoryListing = {
    exists: true,
    names: [],
    numbers: { wal: [], table: [], vlog: [], relocated: [], runs: [], manifest: [] },
    hasTemporary: false,
  }
  let names: string[]
  try {
    names = await fs.list(dir)
  } catch (error) {
    if (!isNotFound(error)) throw error
    return { ...listing, exists: false }
  }
  listing.names = names
  for (const name of names) {
    if (name === tempName(formatFileName('current'))) listing.hasTemporary = true
    const parsed = parseFileName(name)
    if (parsed !== undefined && parsed.kind in listing.numbers) listing.numbers[parsed.kind as NumberedFileKind].push(parsed.number)
  }
  for (const numbers of Object.values(listing.numbers)) numbers.sort((a, b) => a - b)
  return listing
}

/** The smallest number above all of the tree's own files: value logs count for themselves. */
export function numberAbove(listing: DirectoryListing): number {
  const { wal, table, manifest } = listing.numbers
  return 1 + Math.max(0, wal.at(-1) ?? 0, table.at(-1) ?? 0, manifest.at(-1) ?? 0)
}

/**
 * Throws `CorruptionError` if a directory without CURRENT holds data: it was a database, and must not be taken for an
 * empty place. A lone manifest is what a crash while a database was being made leaves; empty files are strays.
 */
export async function expectNoData(fs: FileSystem, dir: string, listing: DirectoryListing): Promise<void> {
  for (const kind of ['table', 'vlog', 'relocated', 'wal'] as const) {
    for (const number of listing.numbers[kind]) {
      if ((await sizeOf(fs, `${dir}/${formatFileName(kind, number)}`)) === 0) continue
      const file = formatFileName('current')
      throw new CorruptionError(`${file} is missing beside ${formatFileName(kind, number)}`, { file })
    }
  }
}

async function sizeOf(fs: FileSystem, path: string): Promise<number> {
  const file = await fs.open(path, 'read')
  try {
    return await file.size()
  } finally {
    await file.close()
  }
}
