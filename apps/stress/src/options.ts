/** Options under which a few hundred small writes cross flush, compaction, manifest, roll of the value log, and collection. */
import type { DbOptions } from '@wk/db'
import type { Rng } from '@wk/testkit'

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

/** Options drawn for one run: small everywhere, different each time; half of them with the collector in the background. */
export function drawOptions(rng: Rng): DbOptions {
  return {
    valueThreshold: rng.pick([64, 64, 1, 300, 1400]),
    memTableSize: 64 * 1024,
    valueLogFileSize: rng.pick([4096, 8192, 16_384, 65_536]),
    valueLogMaxEntries: rng.pick([3, 40, 1_000_000]),
    valueCompression: rng.pick(['none', 'lz4']),
    tableSize: rng.pick([4096, 16_384]),
    blockSize: rng.pick([256, 1024, 4096]),
    levelBaseSize: rng.pick([8192, 65_536]),
    levelSizeMultiplier: rng.pick([2, 10]),
    maxLevels: rng.pick([3, 7]),
    l0CompactionTrigger: rng.pick([1, 2, 4]),
    bloomBitsPerKey: rng.pick([0, 10]),
    blockCacheSize: rng.pick([0, 10_000, 1 << 20]),
    maxOpenFiles: rng.pick([8, 1000]),
    compression: rng.pick(['none', 'lz4']),
    numVersionsToKeep: rng.pick([1, 1, 3]),
    verifyChecksums: rng.chance(0.8),
    syncWrites: rng.chance(0.1),
    ...(rng.chance(0.25) ? { encryptionKey: rng.bytes(rng.pick([16, 24, 32])) } : {}),
    gc: rng.chance(0.5) ? { auto: false } : { auto: true, minGarbage: 8192, maxSpaceAmp: rng.pick([1.05, 1.3]) },
  }
}
