/**
 * The database directory before it is opened, and when it is destroyed: which files in it are ours.
 */
import { CorruptionError, InvalidArgumentError, errnoOf, formatFileName, parseFileName } from '@wk/codec'
import { isNotFound } from '@wk/fs'
import type { FileSystem } from '@wk/fs'

/** What stands in a directory. `locked`: nothing but what whoever opens first may be making just now; only the lock tells. */
export type DirectoryState = 'missing' | 'empty' | 'locked' | 'database'

/** Names that may lie in a fresh directory without telling anything: hidden files, and what file systems put into their root. */
const HARMLESS = /^(?:\.|lost\+found$)/

/** What systems say of a directory that is not ours to remove: it holds something, is reached through a link, or is where a file system is mounted. */
const STAYS = new Set(['ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EBUSY'])

/**
 * Looks at a directory without changing anything in it. Throws `CorruptionError` for one that holds tables or value
 * logs, empty ones aside, but no CURRENT (it was a database, or is another engine's), `InvalidArgumentError` for one with other files only,
 * and `IoError` for what is no directory.
 */
export async function inspectDirectory(fs: FileSystem, dir: string): Promise<DirectoryState> {
  let names: string[]
  try {
    names = await fs.list(dir)
  } catch (error) {
    if (isNotFound(error)) return 'missing'
    throw error
  }
  if (names.includes(formatFileName('current'))) return 'database'
  const kinds = names.map((name) => parseFileName(name)?.kind)
  if (kinds.includes('lock')) return 'locked'
  const lost = names.find((name, i) => (kinds[i] === 'table' || kinds[i] === 'vlog' || kinds[i] === 'relocated') && !isEmptyFile(fs, `${dir}/${name}`))
  if (lost !== undefined) throw new CorruptionError(`the directory holds ${lost}, but no CURRENT`, { file: formatFileName('current') })
  const foreign = names.find((name, i) => kinds[i] === undefined && !HARMLESS.test(name))
  if (foreign !== undefined) throw new InvalidArgumentError('the directory is not a database: it holds other files, and none of ours')
  return 'empty'
}

function isEmptyFile(fs: FileSystem, path: string): boolean {
  const file = fs.openSync(path, 'read')
  try {
    return file.sizeSync() === 0
  } finally {
    file.closeSync()
  }
}

/** Looks for CURRENT by its name: an existing database need not be listed for that. */
export function hasCurrent(fs: FileSystem, dir: string): boolean {
  try {
    fs.openSync(`${dir}/${formatFileName('current')}`, 'read').closeSync()
    return true
  } catch {
    // Missing, or no regular file: the listing tells.
    return false
  }
}

/** Removes the files that bear our names, then the directory if it is empty and can go: a link to it, or a mount point, stays. Resolves when there is nothing. */
export async function destroyDirectory(fs: FileSystem, dir: string): Promise<void> {
  try {
    const names = await fs.list(dir)
    // Where nothing is ours there is nothing to lock, and no LOCK is left.
    const isEmpty = names.some(isOurs) ? await removeOurs(fs, dir) : names.length === 0
    if (isEmpty) await removeDirectory(fs, dir)
  } catch (error) {
    // Somebody else has removed it.
    if (!isNotFound(error)) throw error
  }
}

/** Resolves with whether nothing stays. */
async function removeOurs(fs: FileSystem, dir: string): Promise<boolean> {
  const lockName = formatFileName('lock')
  const lock = await fs.lock(`${dir}/${lockName}`)
  try {
    // Only what is there now: whoever had the directory before may have made files until it gave the lock up.
    const names = await fs.list(dir)
    // CURRENT first: a crash in the middle leaves a directory that is refused, never one that opens with half its data.
    const order = (name: string): number => (name === formatFileName('current') ? 0 : name === lockName ? 2 : 1)
    let stays = names.some((name) => !isOurs(name))
    for (const name of names.filter(isOurs).sort((a, b) => order(a) - order(b))) {
      if (!(await removeFile(fs, `${dir}/${name}`))) stays = true
    }
    await fs.syncDir(dir)
    return !stays
  } finally {
    await lock.release()
  }
}

function isOurs(name: string): boolean {
  return parseFileName(name) !== undefined
}

/** Without its LOCK it may be somebody else's by now: then it stays. */
async function removeDirectory(fs: FileSystem, dir: string): Promise<void> {
  try {
    await fs.rmdir(dir)
  } catch (error) {
    if (!STAYS.has(errnoOf(error) ?? '')) throw error
  }
}

/** Whether there is no file of that name any more. A directory is none of ours, whatever it is called. */
async function removeFile(fs: FileSystem, path: string): Promise<boolean> {
  try {
    await fs.remove(path)
    return true
  } catch (error) {
    if (isNotFound(error)) return true
    if (isDirectory(fs, path)) return false
    throw error
  }
}

function isDirectory(fs: FileSystem, path: string): boolean {
  try {
    fs.openSync(path, 'read').closeSync()
    return false
  } catch (error) {
    return errnoOf(error) === 'EISDIR'
  }
}
