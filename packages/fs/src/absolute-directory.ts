/**
 * The directory of whoever opens files by path for as long as it lives.
 */
import { resolve } from 'node:path'
import { InvalidArgumentError } from '@wk/codec'
import type { FileSystem } from './file-system.js'

/** `dir` in a form that a later `process.chdir` does not move; without `fs` Node's. Paths of other file systems are theirs. @throws InvalidArgumentError for what is no path, or no file system */
export function absoluteDirectory(dir: string, fs: FileSystem | undefined): string {
  if (typeof dir !== 'string' || dir === '' || dir.includes('\0')) throw new InvalidArgumentError('the directory must be a path')
  if (fs === undefined) return resolve(dir)
  if (typeof fs?.openSync !== 'function') throw new InvalidArgumentError('fs must be a FileSystem')
  return fs.kind === 'node' ? resolve(dir) : dir
}
