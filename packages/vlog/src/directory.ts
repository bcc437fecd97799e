/**
 * The directory of a log that opens it itself: makes it where that is wanted, and takes its lock.
 */
import { InvalidArgumentError, NotFoundError, formatFileName } from '@wk/codec'
import { isNotFound, type Lock } from '@wk/fs'
import type { ResolvedOptions } from './options.js'

/** The lock that was taken, if the options ask for one. @throws NotFoundError, LockedError, IoError */
export async function openDirectory(dir: string, options: ResolvedOptions): Promise<Lock | undefined> {
  if (typeof dir !== 'string' || dir === '') throw new InvalidArgumentError('the directory must be a path')
  const { fs, readOnly, createIfMissing } = options
  try {
    await fs.list(dir)
  } catch (error) {
    if (!isNotFound(error)) throw error
    if (readOnly || !createIfMissing) throw new NotFoundError(`there is no directory ${dir}`, { cause: error })
    await fs.mkdir(dir)
  }
  return options.lock ? fs.lock(`${dir}/${formatFileName('lock')}`, { shared: readOnly }) : undefined
}
