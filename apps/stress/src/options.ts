/** Options under which a few hundred small writes cross flush, compaction, manifest, roll of the value log, and collection. */
import type { DbOptions } from '@wk/db'

/** Values of at least so many bytes go to the value log. */
export const THRESHOLD = 64

/** The smallest sizes, nothing in the background but what the workload asks for. */
export const SMALL: DbOptions = {
  valueThreshold: THRESHOLD,
  memTableSize: 64 * 1024,
  valueLogFileSize: 4096,
  tableSize: 4096,
  blockSize: 512,
  levelBaseSize: 8192,
  l0CompactionTrigger: 2,
  gc: { auto: false },
}

/** The same with a background that collects eagerly. */
export const EAGER: DbOptions = { ...SMALL, gc: { auto: true, minGarbage: 8192, maxSpaceAmp: 1.05 } }
