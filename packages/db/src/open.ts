/**
 * The composition root: lock, recover, wire. The only place that knows how the parts fit together.
 *
 * Order (docs/design.md, Recovery): the tree's manifest and WAL headers tell what was promised durable; with that the
 * value log tells a torn tail from damage; then the WAL is replayed, each pointer checked against its record.
 * Whatever fails on the way releases everything that was taken.
 */
import { CorruptionError, ExistsError, MAX_SEQUENCE, NotFoundError, NotSupportedError, WkError, formatFileName } from '@wk/codec'
import { LoopGuard, MemoryFileSystem, NodeFileSystem, isNotFound } from '@wk/fs'
import type { FileSystem, Lock } from '@wk/fs'
import { LsmTree, NO_DEPENDENCY } from '@wk/lsm'
import type { LsmOptions, LsmRecovery, LsmWarning } from '@wk/lsm'
import { ValueLog, readTask } from '@wk/vlog'
import { hasCurrent, inspectDirectory } from './directory.js'
import { deferredOperations } from './deferred-operations.js'
import { checkEncryption, treeFileSystem } from './encryption.js'
import { GatedFileSystem } from './gated-file-system.js'
import { Health } from './health.js'
import type { ResolvedOptions } from './options.js'
import { LEAST_GAP } from './gap-lengths.js'
import { GcCalls } from './gc-calls.js'
import { LEAST_HOLE } from './hole-collector.js'
import { MOST_RUNS } from './readdressing.js'
import { SpaceKeeper } from './space-keeper.js'
import { ValueLogGc, type CollectorBounds } from './value-log-gc.js'
import { ownWorker } from './worker-file.js'
import { WriteQueue } from './write-queue.js'

/** Everything a database consists of. */
export interface Parts {
  readonly options: ResolvedOptions
  readonly fs: FileSystem
  readonly dir: string
  readonly lock: Lock
  readonly tree: LsmTree
  /** Absent in memory. */
  readonly vlog: ValueLog | undefined
  readonly health: Health
  readonly guard: LoopGuard
  readonly queue: WriteQueue
  readonly gc: ValueLogGc | undefined
  /** Present with `gc`. */
  readonly gcCalls: GcCalls | undefined
  /** Absent without a value log, read-only, and where the background collects nothing. */
  readonly keeper: SpaceKeeper | undefined
  /** Tells listeners of the database about a failure. Set by the database. */
  failureListener: ((failure: WkError) => void) | undefined
  /** The same for warnings: the database works on, but not as configured. */
  warningListener: ((warning: LsmWarning) => void) | undefined
}

/** Where an in-memory database lives in its own file system. */
const MEMORY_DIR = '/memory'

export async function openParts(dir: string, options: ResolvedOptions): Promise<Parts> {
  if (options.inMemory && options.readOnly) throw new NotSupportedError('a database in memory cannot be opened read-only')
  const fs = options.inMemory ? new MemoryFileSystem({ crashable: false }) : (options.fs ?? new NodeFileSystem())
  if (options.inMemory) dir = MEMORY_DIR
  const { lock, syncs } = await lockDirectory(fs, dir, options)
  try {
    return await openLocked(fs, dir, lock, options, syncs)
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** How often a directory is looked for, or made, that goes before it is locked. */
const LOCK_ATTEMPTS = 16

interface LockedDirectory {
  lock: Lock
  /** What makes the directory durable. */
  syncs: (() => Promise<void>)[]
}

/** Takes the lock of a directory that is, or may become, a database: one that somebody destroys just now is made again. */
async function lockDirectory(fs: FileSystem, dir: string, options: ResolvedOptions): Promise<LockedDirectory> {
  const mayCreate = options.createIfMissing && !options.readOnly
  for (let attempt = 1; ; attempt++) {
    const syncs: (() => Promise<void>)[] = []
    if (!hasCurrent(fs, dir)) {
      // Also one that is there already: whoever made it may have been killed before it was durable in its parent.
      const made = mayCreate && (await fs.mkdir(dir, { syncs }))
      const state = made ? 'empty' : await inspectDirectory(fs, dir)
      if ((state === 'missing' || state === 'empty') && !mayCreate) throw new NotFoundError('there is no database in the directory')
    }
    try {
      return { lock: await fs.lock(`${dir}/${formatFileName('lock')}`, { shared: options.readOnly }), syncs }
    } catch (error) {
      if (!isNotFound(error) || attempt === LOCK_ATTEMPTS) throw error
    }
  }
}

/** `syncs` make the directory durable in its parents. */
async function openLocked(fs: FileSystem, dir: string, lock: Lock, options: ResolvedOptions, syncs: readonly (() => Promise<void>)[]): Promise<Parts> {
  const wiring: Wiring = { tree: undefined, vlog: undefined, writeAll: undefined, settled: undefined, fail: undefined, warn: undefined, early: undefined }
  const key = options.inMemory ? undefined : options.encryptionKey
  const recovery = await recover(fs, dir, key, lsmOptions(treeFileSystem(fs, key), options, wiring))
  if (recovery.exists && options.errorIfExists) throw new ExistsError('there is a database in the directory already')
  const vlog = options.inMemory ? undefined : await openValueLog(fs, dir, options, recovery, wiring)
  wiring.vlog = vlog
  try {
    const tree = await recovery.finish({
      tail: vlog === undefined ? undefined : (from) => deferredOperations(vlog, from),
      verifyPointer: (key, sequence, fid, offset, len) => {
        if (vlog === undefined) return false
        if (fid < (recovery.promise?.fid ?? 0) && !vlog.hasFile(fid)) throw missingValueLog(fid)
        return vlog.checkPointer(fid, offset, len, key, sequence)
      },
      minSequence: vlog?.maxVersion ?? 0,
      unknownSequences: vlog !== undefined && recovery.cleanClose === undefined && hasGapsFrom(vlog, firstUnknown(recovery)) ? UNKNOWN_SEQUENCES : 0,
      syncs,
    })
    wiring.tree = tree
    // Nothing is missing: what is empty held nothing.
    if (!options.readOnly) await vlog?.removeStrays()
    return wire(fs, dir, lock, options, tree, vlog, wiring)
  } catch (error) {
    vlog?.abandon(error)
    await Promise.all([wiring.tree?.close({ clean: false }), vlog?.close()])
    throw error
  }
}

/** More operations than can be lost with what was not synced of the WAL, while their records in gaps, which nobody can tell from others, are not. */
const UNKNOWN_SEQUENCES = 2 ** 24

/** Whether records may lie in gaps that were not durable. */
function hasGapsFrom(vlog: ValueLog, first: number): boolean {
  return vlog.files().some(({ fid, physical }) => fid > physical && fid >= first)
}

/** The first file that may hold records of operations that a crash took from the logs: those below a mark may be durable, and their operations not. */
function firstUnknown({ promise, unflushed }: LsmRecovery): number {
  return Math.min(promise?.fid ?? 0, unflushed?.fid ?? 0)
}

/** All of it was durable. */
function missingValueLog(fid: number): CorruptionError {
  const file = formatFileName('vlog', fid)
  return new CorruptionError(`${file} is missing`, { file })
}

/** What does not verify may be whole, and written with a key when none was given, or the other way round. */
async function recover(fs: FileSystem, dir: string, key: Uint8Array | undefined, options: LsmOptions): Promise<LsmRecovery> {
  try {
    return await LsmTree.recover(dir, options)
  } catch (error) {
    if (error instanceof CorruptionError) await checkEncryption(fs, dir, key)
    throw error
  }
}

/** Callbacks that are needed before what they call exists. */
interface Wiring {
  tree: LsmTree | undefined
  vlog: ValueLog | undefined
  writeAll: (() => void) | undefined
  settled: (() => Promise<void>) | undefined
  fail: ((error: WkError) => void) | undefined
  warn: ((warning: LsmWarning) => void) | undefined
  early: WkError | undefined
}

function wire(fs: FileSystem, dir: string, lock: Lock, options: ResolvedOptions, tree: LsmTree, vlog: ValueLog | undefined, wiring: Wiring): Parts {
  const health = new Health(options.readOnly, (failure) => {
    queue.abandon()
    keeper?.brake.stop()
    parts.failureListener?.(failure)
  })
  const guard = new LoopGuard(options.runtime)
  const queue: WriteQueue = new WriteQueue(tree, vlog, health, options.runtime, guard)
  const gc = vlog === undefined || options.readOnly ? undefined : new ValueLogGc(dir, tree, vlog, queue, options.runtime, boundsOf(options))
  const gcCalls = gc === undefined || vlog === undefined ? undefined : new GcCalls(gc, tree, vlog)
  const keeper: SpaceKeeper | undefined = gc === undefined || vlog === undefined || !options.gc.auto ? undefined : keepSpace(dir, options, tree, vlog, gc, health, wiring)
  queue.gc = keeper
  const parts: Parts = { options, fs, dir, lock, tree, vlog, health, guard, queue, gc, gcCalls, keeper, failureListener: undefined, warningListener: undefined }
  // A failure is met by whoever waits for the memtable.
  wiring.writeAll = () => {
    if (health.state === 'open') queue.writeAll().catch(() => undefined)
  }
  wiring.settled = () => queue.settled()
  wiring.warn = (warning) => parts.warningListener?.(warning)
  wiring.fail = (error) => {
    if (health.failure !== undefined) return
    tree.fail(error, queue.acknowledgeWritten())
    health.fail(error)
  }
  if (wiring.early !== undefined) wiring.fail(wiring.early)
  keeper?.start()
  return parts
}

function boundsOf({ gc, encryptionKey, mostRuns = MOST_RUNS, leastHole = LEAST_HOLE, leastGap = LEAST_GAP }: ResolvedOptions): CollectorBounds {
  // A gap file has no data key.
  const fills = gc.fillGaps && encryptionKey === undefined
  return { mostRuns, leastHole: gc.punchHoles ? leastHole : undefined, leastGap: fills ? leastGap : undefined }
}

function keepSpace(dir: string, options: ResolvedOptions, tree: LsmTree, vlog: ValueLog, gc: ValueLogGc, health: Health, wiring: Wiring): SpaceKeeper {
  const { minSpaceAmp, maxSpaceAmp, minGarbage, bytesPerSecond } = options.gc
  return new SpaceKeeper({
    dir,
    tree,
    vlog,
    runtime: options.runtime,
    gc,
    bounds: {
      soft: minSpaceAmp,
      hard: maxSpaceAmp,
      allowance: minGarbage,
      fileSize: options.valueLogFileSize,
      leastGap: (references) => gc.gaps.least(references),
    },
    bytesPerSecond,
    isWritable: () => health.state === 'open',
    onFailure: (error) => wiring.fail?.(error),
  })
}

function lsmOptions(fs: FileSystem, options: ResolvedOptions, wiring: Wiring): LsmOptions {
  return {
    fs,
    runtime: options.runtime,
    readOnly: options.readOnly,
    createIfMissing: options.createIfMissing,
    wal: !options.inMemory,
    memTableSize: options.memTableSize,
    blockSize: options.blockSize,
    blockCacheSize: options.blockCacheSize,
    bloomBitsPerKey: options.bloomBitsPerKey,
    compression: options.compression,
    tableSize: options.tableSize,
    maxOpenFiles: Math.max(4, options.maxOpenFiles >> 1),
    verifyChecksums: options.verifyChecksums,
    levelBaseSize: options.levelBaseSize,
    levelSizeMultiplier: options.levelSizeMultiplier,
    maxLevels: options.maxLevels,
    l0CompactionTrigger: options.l0CompactionTrigger,
    l0SlowdownTrigger: options.l0SlowdownTrigger,
    l0StopTrigger: options.l0StopTrigger,
    numVersionsToKeep: options.numVersionsToKeep,
    workers: options.workers,
    workerUrl: options.workerUrl ?? ownWorker(),
    onWarning: (warning) => wiring.warn?.(warning),
    // Law 3: a table is published only after the value-log bytes it points to are durable. Law 9: and after what it holds was not refused.
    beforePublish: async () => {
      await Promise.all([wiring.vlog?.sync(), wiring.settled?.()])
      return wiring.vlog?.syncedPosition()
    },
    dependencyEnd: () => wiring.vlog?.writtenPosition() ?? NO_DEPENDENCY,
    onUnwritten: () => wiring.writeAll?.(),
    onFailure: (error) => noteFailure(wiring, error),
  }
}

/** Ends writing now, or as soon as there is something to end. */
function noteFailure(wiring: Wiring, error: WkError): void {
  if (wiring.fail === undefined) wiring.early ??= error
  else wiring.fail(error)
}

async function openValueLog(fs: FileSystem, dir: string, options: ResolvedOptions, recovery: LsmRecovery, wiring: Wiring): Promise<ValueLog> {
  const clean = recovery.cleanClose
  return ValueLog.open(dir, {
    // What opening itself removes holds nothing, and the mark of a clean close does not speak of it.
    fs: new GatedFileSystem(fs, () => wiring.tree?.begin()),
    runtime: options.runtime,
    lock: false,
    names: recovery.names,
    readOnly: options.readOnly,
    fileSize: options.valueLogFileSize,
    maxEntries: options.valueLogMaxEntries,
    valueCompression: options.valueCompression,
    encryptionKey: options.encryptionKey,
    maxOpenFiles: Math.max(4, options.maxOpenFiles >> 1),
    readHelper: { find: () => wiring.tree?.findIdle(readTask), prepare: () => wiring.tree?.prepare() },
    durable: recovery.promise,
    highestVersion: MAX_SEQUENCE,
    expectedFids: recovery.referencedFids,
    // Law 9 holds also for a sync that no write waits for, as that of a full file.
    onFailure: (error) => noteFailure(wiring, error instanceof WkError ? error : new WkError('WK_IO', `the value log failed: ${String(error)}`, { cause: error })),
    cleanEnd: clean === undefined ? undefined : clean.vlogFid === 0 ? undefined : { fid: clean.vlogFid, size: clean.vlogSize },
  })
}
