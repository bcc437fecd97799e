/**
 * The directory of a log that opens it itself: makes it where that is wanted, and takes its lock.
 */
import { NotFoundError, formatFileName } from '@wk/codec'
import { isNotFound, type Lock } from '@wk/fs'
import type { ResolvedOptions } from './options.js'

export interface OpenedDirectory {
  /** Absent if the options ask for none. */
  lock: Lock | undefined
  /** What lies in it; absent where that may have changed until the lock was taken. */
  names: readonly string[] | undefined
}

/** @throws NotFoundError, LockedError, IoError */
export async function openDirectory(dir: string, options: ResolvedOptions): Promise<OpenedDirectory> {
  const { fs, readOnly, createIfMissing } = options
  if (options.names !== undefined) return { lock: undefined, names: options.names }
  let names: readonly string[] = []
  try {
    names = await fs.list(dir)
  } catch (error) {
    if (!isNotFound(error)) throw error
    if (readOnly || !createIfMissing) throw new NotFoundError(`there is no directory ${dir}`, { cause: error })
    await fs.mkdir(dir)
  }
  if (!options.lock) return { lock: undefined, names }
  return { lock: await fs.lock(`${dir}/${formatFileName('lock')}`, { shared: readOnly }), names: undefined }
}
