/**
 * Opening a file that may be damaged before its content begins.
 */
import { CorruptionError, WrongKeyError } from '@wk/codec'
import type { File, FileSystem } from '@wk/fs'

/** Opens a file, or says what keeps it from being read: an encrypted one may be damaged at its very beginning. */
export async function openDamaged(fs: FileSystem, dir: string, name: string): Promise<File | string> {
  try {
    return await fs.open(`${dir}/${name}`, 'read')
  } catch (error) {
    if (error instanceof CorruptionError || error instanceof WrongKeyError) return error.message
    throw error
  }
}
