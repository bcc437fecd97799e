/**
 * Option sets of a database under test, small enough that a few hundred writes cross flush, compaction, the roll of the
 * value log, and collection. Plain data: whoever opens a database adds where it lies.
 */
import { SPECIMEN_THRESHOLD } from './damage-images.js'
import type { Rng } from './rng.js'

/** Options of `DB.open` that tests set. */
export interface OptionSet {
  readonly valueThreshold: number
  readonly memTableSize: number
  readonly valueLogFileSize: number
  readonly tableSize: number
  readonly valueLogMaxEntries?: number
  readonly valueCompression?: 'none' | 'lz4'
  readonly blockSize?: number
  readonly levelBaseSize?: number
  readonly levelSizeMultiplier?: number
  readonly maxLevels?: number
  readonly l0CompactionTrigger?: number
  readonly bloomBitsPerKey?: number
  readonly blockCacheSize?: number
  readonly maxOpenFiles?: number
  readonly compression?: 'none' | 'lz4'
  readonly numVersionsToKeep?: number
  readonly verifyChecksums?: boolean
  readonly syncWrites?: boolean
  readonly encryptionKey?: Uint8Array
  readonly workers?: number
  /** Most entries of run tables; a bound that only tests can set. */
  readonly mostRuns?: number
  /** Dead bytes side by side that are worth a hole; a bound that only tests can set. */
  readonly leastHole?: number
  /** Dead bytes side by side that are filled; a bound that only tests can set. */
  readonly leastGap?: number
  /** A compaction ends with opening gaps; so it does for tests only. */
  readonly opensGaps?: boolean
  readonly gc?: { readonly auto: boolean; readonly minGarbage?: number; readonly maxSpaceAmp?: number; readonly punchHoles?: boolean; readonly fillGaps?: boolean }
}

/** Values of at least so many bytes go to the value log, in the sets that are not drawn. */
export const THRESHOLD = 64

/** The smallest sizes, nothing collected but what the workload asks for. */
export const SMALLEST: OptionSet = {
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
export const EAGER: OptionSet = { ...SMALLEST, gc: { auto: true, minGarbage: 8192, maxSpaceAmp: 1.05 } }

/** For processes that are killed: a little larger, so that they come to something in between. */
export const KILLED: OptionSet = { valueThreshold: THRESHOLD, memTableSize: 64 * 1024, valueLogFileSize: 32 * 1024, tableSize: 8192, blockSize: 1024, levelBaseSize: 32 * 1024, l0CompactionTrigger: 2 }

/** The same with so few entries of run tables that pointers are rewritten after many a collection. */
export const KILLED_REWRITING: OptionSet = { ...KILLED, mostRuns: 12 }

/** The same with new values where dead ones lie. */
export const KILLED_FILLING: OptionSet = { ...KILLED, leastGap: 512, opensGaps: true, gc: { auto: true, fillGaps: true } }

/** So few entries of run tables that pointers are rewritten after nearly every collection. */
export const FEW_RUNS = 8

/** Options under which values of some blocks (`LONG_SIZES`) leave holes when they die. */
export function withHoles(options: OptionSet): OptionSet {
  return { ...options, valueLogFileSize: 96 * 1024, leastHole: 8192, gc: { auto: true, ...options.gc, punchHoles: true } }
}

/** Options under which new values of some hundred bytes go where dead ones lie, given histories that are `fillingGaps`. */
export function withGaps(options: OptionSet): OptionSet {
  return { ...options, valueLogFileSize: 6 * 1024, leastGap: 256, opensGaps: true, gc: { auto: true, ...options.gc, fillGaps: true } }
}

/** For small databases to damage (`damage-images.ts`). */
export const SPECIMEN_OPTIONS: OptionSet = { valueThreshold: SPECIMEN_THRESHOLD, memTableSize: 64 * 1024, valueLogFileSize: 4096, valueLogMaxEntries: 8, tableSize: 4096, blockSize: 256, workers: 0, gc: { auto: false } }

/** The same for one with holes. */
export const HOLED_SPECIMEN_OPTIONS: OptionSet = { ...SPECIMEN_OPTIONS, valueLogFileSize: 16 * 1024, leastHole: 1024, gc: { auto: false, punchHoles: true } }

/** The same for one with gaps. */
export const GAPPED_SPECIMEN_OPTIONS: OptionSet = { ...SPECIMEN_OPTIONS, valueLogMaxEntries: 10, leastGap: 128, opensGaps: true, gc: { auto: false, fillGaps: true } }

/** Options drawn for one run: small everywhere, different each time; half of them with the collector in the background, a quarter with holes, a quarter with gaps. */
export function drawOptions(rng: Rng): OptionSet {
  const sizes = drawSizes(rng)
  const options = rng.chance(0.25) ? { ...sizes, leastHole: rng.pick([1024, 8192]), gc: { auto: true, ...sizes.gc, punchHoles: true } } : sizes
  return rng.chance(0.25) ? { ...options, leastGap: rng.pick([256, 1024, 8192]), opensGaps: true, gc: { auto: true, ...options.gc, fillGaps: true } } : options
}

function drawSizes(rng: Rng): OptionSet {
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
    ...(rng.chance(0.4) ? { mostRuns: rng.pick([6, 30]) } : {}),
    gc: rng.chance(0.5) ? { auto: false } : { auto: true, minGarbage: 8192, maxSpaceAmp: rng.pick([1.05, 1.3]) },
  }
}
