/** Databases of small values whose run tables may have hardly any entries. */
import type { DB } from '../src/db.js'
import type { DbOptions } from '../src/options.js'
import { openBounded } from '../src/testing.js'
import { SMALL } from './harness.js'

/** Every value goes to the value log. */
export const BOUNDED: DbOptions = { ...SMALL, valueThreshold: 1, tableSize: 4096, levelBaseSize: 8192, l0CompactionTrigger: 2, gc: { auto: false, maxSpaceAmp: 1.2 } }

/** Opens it with at most `mostRuns` entries of run tables. */
export async function openWith(dir: string, options: DbOptions, mostRuns: number): Promise<DB> {
  return openBounded(dir, { ...options, mostRuns })
}
