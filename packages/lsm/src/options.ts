/**
 * Options of the tree: meaning, unit, default, and the check of what was given.
 *
 * Every option may differ from one open to the next.
 */
import { InvalidArgumentError, checkOptions, flagOption, integerOption, wordOption } from '@wk/codec'
import type { WkError } from '@wk/codec'
import { defaultRuntime } from '@wk/fs'
import type { FileSystem, Runtime } from '@wk/fs'
import type { Executor } from './compaction/executor.js'
import { WorkerPool } from './compaction/worker-pool.js'
import type { LsmWarning } from './compaction/worker-executor.js'

/** A place in the host's value log; everything before it, and every lower file, is meant too. */
export interface DependencyPosition {
  fid: number
  offset: number
}

/** No value log: nothing is promised about it. */
export const NO_DEPENDENCY: DependencyPosition = { fid: 0, offset: 0 }

export interface LsmOptions {
  /** Where the files live. */
  fs: FileSystem
  /** Clock, randomness, timers. Default: Node's. */
  runtime?: Runtime
  /** Changes no file; the WAL is replayed in memory. Default false. */
  readOnly?: boolean
  /** Makes a new tree where there is none; otherwise `WK_NOT_FOUND`. Default true. */
  createIfMissing?: boolean
  /** Refuses an existing tree with `WK_EXISTS`. Default false. */
  errorIfExists?: boolean
  /** Writes a WAL. Without it a write survives only once it was flushed: for file systems that are gone at the end anyway. Default true. */
  wal?: boolean

  /** Bytes of one memtable. Larger ones mean fewer flushes, more memory and a longer recovery. Default 32 MiB, at least 64 KiB. */
  memTableSize?: number
  /** Sealed memtables that may wait for their flush before writers are held. Default 2. */
  maxImmutableMemtables?: number

  /** Bytes of a table block before compression. Smaller ones make point reads cheaper, larger ones scans. Default 4 KiB. */
  blockSize?: number
  /** Entries between two restart points of a block. Default 16. */
  restartInterval?: number
  /** Bits of bloom filter per key; 0 is no filter. Default 10 (1 % false positives). */
  bloomBitsPerKey?: number
  /** Compression of table blocks. Default `'lz4'`. */
  compression?: 'none' | 'lz4'
  /** Bytes after which a compaction begins the next table. Default 4 MiB. */
  tableSize?: number
  /** Bytes of table blocks held in memory. Default 32 MiB. */
  blockCacheSize?: number
  /** Tables held open at once. Default 500. */
  maxOpenFiles?: number
  /** Checks the CRC of every block that is read from a file. Default true. */
  verifyChecksums?: boolean

  /** Bytes of level 1; each level below may hold `levelSizeMultiplier` times more. Default 16 MiB. */
  levelBaseSize?: number
  /** Default 10. */
  levelSizeMultiplier?: number
  /** Levels, level 0 included: 2 to 32. Default 7. */
  maxLevels?: number
  /** Tables in level 0 that start a compaction. Default 4. */
  l0CompactionTrigger?: number
  /** Tables in level 0 from which writers are slowed. Default 12. */
  l0SlowdownTrigger?: number
  /** Tables in level 0 at which writers wait. Default 20. */
  l0StopTrigger?: number
  /** Newest versions of a key that a compaction keeps though no snapshot needs them. Default 1. */
  numVersionsToKeep?: number

  /**
   * Threads that flushes and compactions run in, started at the first job; 0: they run on the calling thread, in time
   * slices, as they always do where the file system is not Node's. Or those that several trees share ({@link WorkerPool}). Default 1.
   */
  workers?: number | WorkerPool
  /**
   * The file that such a thread runs, for bundled applications: a URL or an absolute path of a file that imports
   * `@wk/lsm/worker`. Default: found by itself; where it cannot be, jobs run on the calling thread and `onWarning` is told.
   */
  workerUrl?: URL | string | undefined
  /** Told about what works, but not as it was meant to: background threads that cannot be started, or died. */
  onWarning?: ((warning: LsmWarning) => void) | undefined
  /** Runs the background jobs instead of what `workers` says. It is not closed with the tree. */
  executor?: Executor
  /**
   * Awaited before tables are published: makes durable what their entries point to (law 3). May resolve to the position
   * up to which that holds; the manifest keeps it as a promise for recovery.
   */
  beforePublish?: () => Promise<DependencyPosition | undefined | void>
  /**
   * The end of what is in the value log now: operations that are staged from now on lie behind it. For a host that stages
   * operations as `deferred`; the manifest keeps it, so that recovery knows from where on to look for them.
   */
  dependencyEnd?: () => DependencyPosition
  /** Frames of a sealed memtable wait for the next group that is written: the host writes one soon, even an empty one. */
  onUnwritten?: () => void
  /**
   * Told in the same turn about the first failure of a write or sync of WAL or manifest, or of background work that
   * gave up. The host answers with {@link LsmTree.fail}; if it does not, the tree fails itself. `firstSequence`: of the
   * first operation that is not written; one that was written and waits for its sync may lie before it.
   */
  onFailure?: (error: WkError, firstSequence: number) => void
}

/** Options with every default filled in. */
export type ResolvedLsmOptions = Required<Omit<LsmOptions, OptionalKeys>> & Pick<LsmOptions, OptionalKeys>

type OptionalKeys = 'workerUrl' | 'onWarning' | 'executor' | 'beforePublish' | 'dependencyEnd' | 'onUnwritten' | 'onFailure'

const MIB = 1024 * 1024

/** Smallest memtable, in bytes. */
export const MIN_MEMTABLE_SIZE = 64 * 1024

/** Fills in defaults. Throws `InvalidArgumentError` for what is out of range. */
export function resolveOptions(options: LsmOptions): ResolvedLsmOptions {
  const { fs, runtime = defaultRuntime } = checkOptions(options)
  if (typeof fs?.openSync !== 'function') throw new InvalidArgumentError('fs must be a FileSystem')
  if (typeof runtime?.monotonic !== 'function') throw new InvalidArgumentError('runtime must be a Runtime')
  const resolved: ResolvedLsmOptions = {
    ...options,
    fs,
    runtime,
    readOnly: flagOption('readOnly', options.readOnly, false),
    createIfMissing: flagOption('createIfMissing', options.createIfMissing, true),
    errorIfExists: flagOption('errorIfExists', options.errorIfExists, false),
    wal: flagOption('wal', options.wal, true),
    memTableSize: integerOption('memTableSize', options.memTableSize, 32 * MIB, MIN_MEMTABLE_SIZE, 2 ** 31 - 1),
    maxImmutableMemtables: integerOption('maxImmutableMemtables', options.maxImmutableMemtables, 2, 1, 64),
    blockSize: integerOption('blockSize', options.blockSize, 4096, 256, 4 * MIB),
    restartInterval: integerOption('restartInterval', options.restartInterval, 16, 1, 1024),
    bloomBitsPerKey: integerOption('bloomBitsPerKey', options.bloomBitsPerKey, 10, 0, 64),
    compression: wordOption('compression', options.compression, 'lz4', ['none', 'lz4']),
    tableSize: integerOption('tableSize', options.tableSize, 4 * MIB, 4096, 2 ** 31 - 1),
    blockCacheSize: integerOption('blockCacheSize', options.blockCacheSize, 32 * MIB, 0, Number.MAX_SAFE_INTEGER),
    maxOpenFiles: integerOption('maxOpenFiles', options.maxOpenFiles, 500, 4, 1_000_000),
    verifyChecksums: flagOption('verifyChecksums', options.verifyChecksums, true),
    levelBaseSize: integerOption('levelBaseSize', options.levelBaseSize, 16 * MIB, 4096, Number.MAX_SAFE_INTEGER),
    levelSizeMultiplier: integerOption('levelSizeMultiplier', options.levelSizeMultiplier, 10, 2, 1000),
    maxLevels: integerOption('maxLevels', options.maxLevels, 7, 2, 32),
    l0CompactionTrigger: integerOption('l0CompactionTrigger', options.l0CompactionTrigger, 4, 1, 10_000),
    l0SlowdownTrigger: integerOption('l0SlowdownTrigger', options.l0SlowdownTrigger, 12, 1, 10_000),
    l0StopTrigger: integerOption('l0StopTrigger', options.l0StopTrigger, 20, 1, 10_000),
    numVersionsToKeep: integerOption('numVersionsToKeep', options.numVersionsToKeep, 1, 1, Number.MAX_SAFE_INTEGER),
    workers: options.workers instanceof WorkerPool ? options.workers : integerOption('workers', options.workers, 1, 0, 64),
  }
  if (resolved.l0SlowdownTrigger < resolved.l0CompactionTrigger || resolved.l0StopTrigger < resolved.l0SlowdownTrigger) {
    throw new InvalidArgumentError('l0CompactionTrigger <= l0SlowdownTrigger <= l0StopTrigger does not hold')
  }
  return resolved
}
