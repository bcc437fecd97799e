/**
 * The directory of whoever opens files by path for as long as it lives.
 */
import { resolve } from 'node:path'
import { InvalidArgumentError } from '@wk/codec'
import { ioError } from './errno.js'
import type { FileSystem } from './file-system.js'

/** `dir` in a form that a later `process.chdir` does not move; without `fs` Node's. Paths of other file systems are theirs. @throws InvalidArgumentError for what is no path, or no file system; IoError where the working directory is gone */
export function absoluteDirectory(dir: string, fs: FileSystem | undefined): string {
  if (typeof dir !== 'string' || dir === '' || dir.includes('\0')) throw new InvalidArgumentError('the directory must be a path')
  if (fs === undefined) return resolved(dir)
  if (typeof fs?.openSync !== 'function') throw new InvalidArgumentError('fs must be a FileSystem')
  return fs.kind === 'node' ? resolved(dir) : dir
}

function resolved(dir: string): string {
  try {
    return resolve(dir)
  } catch (error) {
    throw ioError('cwd', dir, error)
  }
}
