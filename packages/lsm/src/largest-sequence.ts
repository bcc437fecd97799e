/**
 * The one thing that is asked of a table which no manifest names.
 */
import { CorruptionError, formatFileName } from '@wk/codec'
import type { FileSystem } from '@wk/fs'
import { TableReader } from '@wk/sstable'
import { openDamaged } from './salvage/open-damaged.js'

/** The largest sequence number in a table; 0 if it is not a whole table. */
export async function largestSequence(dir: string, { fs }: { fs: FileSystem }, number: number): Promise<number> {
  const file = await openDamaged(fs, dir, formatFileName('table', number))
  // An encrypted one that is damaged at its very beginning.
  if (typeof file === 'string') return 0
  try {
    return TableReader.openSync(file, number, await file.size()).properties.largestSequence
  } catch (error) {
    if (error instanceof CorruptionError) return 0
    throw error
  } finally {
    await file.close()
  }
}
