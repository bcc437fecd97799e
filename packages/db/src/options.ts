/**
 * Options of a database: meaning, unit, default, when to change it; and the check of what was given.
 *
 * Every option may differ from one open to the next.
 */
import { InvalidArgumentError, checkOptions, flagOption, integerOption, wordOption } from '@wk/codec'
import { copyEncryptionKey, defaultRuntime } from '@wk/fs'
import type { FileSystem, Runtime } from '@wk/fs'
import { WorkerPool } from '@wk/lsm'

/** How the background garbage collector works; see {@link DbOptions.gc}. */
export interface GcOptions {
  /**
   * Holds the space target in the background: removes value logs without a live byte as soon as nothing reads them,
   * brings hidden garbage out, rewrites files. False: only explicit calls collect. Default true.
   */
  auto?: boolean
  /**
   * Bytes on disk (value logs and tables) for each byte of keys and values that the background holds, and `gc()` works
   * towards. Above it collection goes first and writers are slowed in proportion. Smaller means less disk and more
   * copying. Greater than 1. Default 1.3.
   */
  maxSpaceAmp?: number
  /**
   * Soft bound: up to it nothing runs, from it to `maxSpaceAmp` collection gives way to writers. Greater than 1, at most
   * `maxSpaceAmp`. Default: 0.95 of the way from 1 to `maxSpaceAmp`.
   */
  minSpaceAmp?: number
  /** Bytes of garbage that the background leaves alone, whatever the ratio: a small database is not worth the copying. Default 32 MiB. */
  minGarbage?: number
  /**
   * Gives long dead ranges of value logs (128 KiB and more) back in place, as holes, where files hold long values: nothing is copied
   * for them. Takes the optional package `fs-native-extensions` and a file system with holes, and does nothing without. A value log with holes is no
   * file of Badger's format any more. Worth it for values of 128 KiB and more. Default false.
   */
  punchHoles?: boolean
  /**
   * Writes new values where nothing alive is left in older value logs (gaps of 1 KiB and more), instead of copying what is alive somewhere else: about one byte
   * is written for each byte of the user's, and space does not grow. Where values have 1 KiB and more on average, or 8 KiB where more than a million are alive, or what lies beside a gap is not in the
   * cache of the operating system; not in encrypted databases, nor in files that a checkpoint shares. A value log with gaps that were filled is no file of Badger's format any more, and what is alive shares sectors with what is
   * written: set it to false where tools of Badger read the files, where they are hard-linked by others, on file systems that copy on write, or where a device
   * may lose a sector that it writes when the power goes. With `punchHoles` values that are long enough for holes come back as such. Default true.
   */
  fillGaps?: boolean
  /** Bytes that background passes read and write a second, on average. Default: no limit. Set it where the disk is shared. */
  bytesPerSecond?: number | undefined
}

/** Options of `DB.open`. */
export interface DbOptions {
  /** Makes a new database where there is none; otherwise `WK_NOT_FOUND`. Default true. */
  createIfMissing?: boolean
  /** Refuses an existing database with `WK_EXISTS`. Default false. */
  errorIfExists?: boolean
  /** Shared lock, no file is changed; what a crash left is replayed in memory. Writes are `WK_READ_ONLY`. Default false. */
  readOnly?: boolean
  /** No files at all: everything is gone at `close()`. No value log, hence no value-log GC. Default false. */
  inMemory?: boolean

  /**
   * Bytes. A value of at least this length goes to the value log, a shorter one into the tree. Smaller thresholds make
   * compaction cheaper and scans of small values dearer. Default 512: from there on one write to the log costs less
   * than carrying the value through WAL, flush and compaction.
   */
  valueThreshold?: number
  /** Bytes after which the active value log is sealed: 4 KiB to 2 GiB. Smaller files give space back in smaller steps. Default 256 MiB. */
  valueLogFileSize?: number
  /** Entries after which the active value log is sealed. Default 1,000,000. */
  valueLogMaxEntries?: number
  /**
   * Compression of values in the value log, record by record, where it saves at least an eighth. Default `'none'`: values are often
   * compressed already. `'lz4'` needs the optional library `lz4-napi`, else `WK_NOT_SUPPORTED`.
   */
  valueCompression?: 'none' | 'lz4'

  /** Default of the write option `sync`. Default false: an acknowledged write survives a crash of the process, not power loss. */
  syncWrites?: boolean

  /** Bytes of one memtable, at least 64 KiB. Larger ones mean fewer flushes, more memory and a longer recovery. Default 32 MiB. */
  memTableSize?: number
  /** Bytes of a table block before compression. Default 4 KiB. */
  blockSize?: number
  /** Bytes of table blocks held in memory. Default 32 MiB. */
  blockCacheSize?: number
  /** Bits of bloom filter a key; 0 is no filter. Default 10: 1 % false positives. */
  bloomBitsPerKey?: number
  /** Bytes after which a compaction begins the next table. Default 4 MiB (tables hold keys and pointers). */
  tableSize?: number
  /** Bytes of level 1. Default 16 MiB. */
  levelBaseSize?: number
  /** How many times more each level may hold than the one above. Default 10. */
  levelSizeMultiplier?: number
  /** Levels, level 0 included. Default 7. */
  maxLevels?: number
  /** Tables in level 0 that start a compaction. Default 4. */
  l0CompactionTrigger?: number
  /** Tables in level 0 from which writers are slowed. Default 12. */
  l0SlowdownTrigger?: number
  /** Tables in level 0 at which writers wait. Default 20. */
  l0StopTrigger?: number
  /** Files held open: half for tables, half for value logs. At least 8. Default 1,000. */
  maxOpenFiles?: number
  /** Compression of table blocks. Default `'lz4'` (falls back to `'none'` where the optional library is absent). */
  compression?: 'none' | 'lz4'
  /** Checks the CRC of every table block that is read from a file. Value-log records are always checked. Default true. */
  verifyChecksums?: boolean

  /** Most operations of one batch. Default 1,000,000. */
  maxBatchCount?: number
  /** Most bytes (keys and values) of one batch. Default 256 MiB. */
  maxBatchSize?: number
  /** Newest versions of a key that compaction keeps. Default 1. Where it was smaller before, `versions()` may leave some out, a deletion too, and then list what is older. */
  numVersionsToKeep?: number
  /**
   * Encryption at rest: 16, 24 or 32 bytes (AES-128, -192, -256), copied. Covers keys and values in every file; names and
   * sizes of files, and expiry and lengths of value-log records, stay visible. A database is encrypted from its creation on, or never:
   * another key, a missing one, or one too many is `WK_WRONG_KEY`. It hides, it does not authenticate. Default: none.
   */
  encryptionKey?: Uint8Array | undefined

  /** Background garbage collection. */
  gc?: GcOptions
  /**
   * Background threads for flush, compaction and the copying of garbage collection, 0 to 64; with nothing else to do they read for long scans. 0 runs all on the calling
   * thread in time slices, as does a file system that is not Node's. One is right for most machines: a second one takes a core from the callers. A {@link WorkerPool}: threads
   * that databases share, for a process that has many or opens one after the other. Default 1.
   */
  workers?: number | WorkerPool
  /**
   * Where the worker's script lies, for bundled applications: a file that imports `@wk/db/worker`. Default: found by itself; where
   * it cannot be, the work is done on the calling thread and the database emits `warning`.
   */
  workerUrl?: URL | string
  /** The file system. Default Node's. */
  fs?: FileSystem
  /** Clock, timers and randomness. Default Node's; tests inject their own. */
  runtime?: Runtime
}

type Defaulted = Omit<DbOptions, 'fs' | 'encryptionKey' | 'gc' | 'workerUrl'>

/** {@link GcOptions} with every default filled in. */
export type ResolvedGcOptions = Required<Omit<GcOptions, 'bytesPerSecond'>> & { bytesPerSecond: number | undefined }

/** Options with every default filled in. `mostRuns`: most entries of run tables, `leastHole` and `leastGap`: least dead bytes for a hole and a gap, where a test wants fewer. */
export type ResolvedOptions = Required<Defaulted> & { fs: FileSystem | undefined; workerUrl: URL | string | undefined; encryptionKey: Uint8Array | undefined; gc: ResolvedGcOptions; mostRuns?: number; leastHole?: number; leastGap?: number }

const KIB = 1024
const MIB = 1024 * KIB

/** Longest value, in bytes: 1 GiB. */
export const MAX_VALUE_LENGTH = 1024 * MIB

/** Where the soft bound lies by default, from 1 to `maxSpaceAmp`. */
const SOFT_SHARE = 0.95

/** Default of {@link DbOptions.valueThreshold}, in bytes. */
export const DEFAULT_VALUE_THRESHOLD = 512

/** Fills in defaults. Throws `InvalidArgumentError`; nothing has been touched then. */
export function resolveOptions(options: DbOptions): ResolvedOptions {
  const gc = resolveGc(checkOptions(options).gc ?? {})
  return {
    createIfMissing: flagOption('createIfMissing', options.createIfMissing, true),
    errorIfExists: flagOption('errorIfExists', options.errorIfExists, false),
    readOnly: flagOption('readOnly', options.readOnly, false),
    inMemory: flagOption('inMemory', options.inMemory, false),
    valueThreshold: integerOption('valueThreshold', options.valueThreshold, DEFAULT_VALUE_THRESHOLD, 0, Number.MAX_SAFE_INTEGER),
    valueLogFileSize: integerOption('valueLogFileSize', options.valueLogFileSize, 256 * MIB, 4 * KIB, 2048 * MIB),
    valueCompression: wordOption('valueCompression', options.valueCompression, 'none', ['none', 'lz4']),
    valueLogMaxEntries: integerOption('valueLogMaxEntries', options.valueLogMaxEntries, 1_000_000, 1, 0xffff_ffff),
    syncWrites: flagOption('syncWrites', options.syncWrites, false),
    memTableSize: integerOption('memTableSize', options.memTableSize, 32 * MIB, 64 * KIB, 1024 * MIB),
    blockSize: integerOption('blockSize', options.blockSize, 4 * KIB, 256, 4 * MIB),
    blockCacheSize: integerOption('blockCacheSize', options.blockCacheSize, 32 * MIB, 0, Number.MAX_SAFE_INTEGER),
    bloomBitsPerKey: integerOption('bloomBitsPerKey', options.bloomBitsPerKey, 10, 0, 64),
    tableSize: integerOption('tableSize', options.tableSize, 4 * MIB, 4 * KIB, 1024 * MIB),
    levelBaseSize: integerOption('levelBaseSize', options.levelBaseSize, 16 * MIB, 4 * KIB, Number.MAX_SAFE_INTEGER),
    levelSizeMultiplier: integerOption('levelSizeMultiplier', options.levelSizeMultiplier, 10, 2, 1000),
    maxLevels: integerOption('maxLevels', options.maxLevels, 7, 2, 32),
    ...levelZeroTriggers(options),
    maxOpenFiles: integerOption('maxOpenFiles', options.maxOpenFiles, 1000, 8, 1_000_000),
    compression: wordOption('compression', options.compression, 'lz4', ['none', 'lz4']),
    verifyChecksums: flagOption('verifyChecksums', options.verifyChecksums, true),
    maxBatchCount: integerOption('maxBatchCount', options.maxBatchCount, 1_000_000, 1, 0xffff_ffff),
    maxBatchSize: integerOption('maxBatchSize', options.maxBatchSize, 256 * MIB, 1, 1024 * MIB),
    numVersionsToKeep: integerOption('numVersionsToKeep', options.numVersionsToKeep, 1, 1, Number.MAX_SAFE_INTEGER),
    workers: options.workers instanceof WorkerPool ? options.workers : integerOption('workers', options.workers, 1, 0, 64),
    gc,
    encryptionKey: options.encryptionKey === undefined ? undefined : copyEncryptionKey(options.encryptionKey),
    fs: fileSystem(options.fs),
    workerUrl: scriptPlace(options.workerUrl),
    runtime: clock(options.runtime),
  }
}

/** The three triggers, in their order: those that are not given keep out of the way of those that are. */
function levelZeroTriggers({ l0CompactionTrigger, l0SlowdownTrigger, l0StopTrigger }: DbOptions): Pick<ResolvedOptions, 'l0CompactionTrigger' | 'l0SlowdownTrigger' | 'l0StopTrigger'> {
  const compaction = integerOption('l0CompactionTrigger', l0CompactionTrigger, Math.min(4, l0SlowdownTrigger ?? 4, l0StopTrigger ?? 4), 1, 10_000)
  const slowdown = integerOption('l0SlowdownTrigger', l0SlowdownTrigger, Math.max(compaction, Math.min(12, l0StopTrigger ?? 12)), 1, 10_000)
  const stop = integerOption('l0StopTrigger', l0StopTrigger, Math.max(20, slowdown), 1, 10_000)
  if (compaction > slowdown || slowdown > stop) throw new InvalidArgumentError('l0CompactionTrigger <= l0SlowdownTrigger <= l0StopTrigger does not hold')
  return { l0CompactionTrigger: compaction, l0SlowdownTrigger: slowdown, l0StopTrigger: stop }
}

function resolveGc(gc: GcOptions): ResolvedGcOptions {
  if (typeof gc !== 'object') throw new InvalidArgumentError('gc must be an object')
  const { maxSpaceAmp = 1.3, bytesPerSecond } = gc
  checkSpaceAmp(maxSpaceAmp)
  const minSpaceAmp = gc.minSpaceAmp ?? 1 + SOFT_SHARE * (maxSpaceAmp - 1)
  if (typeof minSpaceAmp !== 'number' || !(minSpaceAmp > 1 && minSpaceAmp <= maxSpaceAmp)) {
    throw new InvalidArgumentError('gc.minSpaceAmp must be a number greater than 1 and at most maxSpaceAmp')
  }
  if (bytesPerSecond !== undefined && !(typeof bytesPerSecond === 'number' && bytesPerSecond > 0)) throw new InvalidArgumentError('gc.bytesPerSecond must be a positive number')
  const minGarbage = integerOption('gc.minGarbage', gc.minGarbage, 32 * MIB, 0, Number.MAX_SAFE_INTEGER)
  return { auto: flagOption('gc.auto', gc.auto, true), maxSpaceAmp, minSpaceAmp, minGarbage, punchHoles: flagOption('gc.punchHoles', gc.punchHoles, false), fillGaps: flagOption('gc.fillGaps', gc.fillGaps, true), bytesPerSecond }
}

/** Throws `InvalidArgumentError` unless `value` can be a space target. */
export function checkSpaceAmp(value: unknown): asserts value is number {
  if (typeof value !== 'number' || !(value > 1) || !Number.isFinite(value)) throw new InvalidArgumentError('maxSpaceAmp must be a number greater than 1')
}

/** A file system that was given, or `undefined`. Throws `InvalidArgumentError` for what can't be one. */
export function fileSystem(given: FileSystem | undefined): FileSystem | undefined {
  const fs = given ?? undefined
  if (fs !== undefined && typeof fs.openSync !== 'function') throw new InvalidArgumentError('fs must be a FileSystem')
  return fs
}

function clock(given: Runtime | undefined): Runtime {
  const runtime = given ?? defaultRuntime
  if (typeof runtime.now !== 'function') throw new InvalidArgumentError('runtime must be a Runtime')
  return runtime
}

function scriptPlace(given: URL | string | undefined): URL | string | undefined {
  const place = given ?? undefined
  if (place !== undefined && typeof place !== 'string' && !(place instanceof URL)) throw new InvalidArgumentError('workerUrl must be a URL or a string')
  return place
}
