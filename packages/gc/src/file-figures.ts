/**
 * Figures of files as callers pass them to the parts that stand alone, checked: what is no number there would count as a file without garbage.
 */
import { checkArgument, isCount } from '@wk/codec'
import type { GcFileInfo } from './value-log.js'

/** @throws InvalidArgumentError unless these are files as `files()` of a log tells them */
export function checkFiles(files: readonly GcFileInfo[]): void {
  checkArgument(Array.isArray(files), 'a list of files')
  for (const file of files) checkFile(file)
}

/** @throws InvalidArgumentError */
export function checkFile(file: GcFileInfo): void {
  checkArgument(typeof file === 'object' && file !== null, 'a file')
  const { fid, size, validEnd, liveBytes, discardBytes } = file
  checkArgument(isCount(fid) && isCount(size) && isCount(validEnd), 'the number, size and end of a file')
  checkArgument(isBytes(liveBytes) && isBytes(discardBytes), 'figures of a file in bytes')
}

/** A figure that may be absent. */
export function isBytes(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'number' && value >= 0)
}
