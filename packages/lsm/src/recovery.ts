/**
 * Opening: find out what is there without changing anything, then bring it into a writable state.
 *
 * In two steps, because a host has a value log to open in between: the first step says how far that log was promised
 * to be durable, the second needs it for checking pointers. Recovery is idempotent: until its one edit is durable, a
 * crash leaves the old manifest or an equal one, the same logs, and orphans, which the next open removes.
 *
 * After an unclean end nothing is appended to an old file: logs are replayed into new tables (CR10). After a clean one
 * nothing is written at all before the first change (ADR 0015).
 */
import { CorruptionError, ExistsError, MAX_SEQUENCE, NotFoundError, formatFileName, invariant, tempName } from '@wk/codec'
import { allDone } from './all-done.js'
import { DeferredTail } from './deferred-tail.js'
import type { TailOperation } from './deferred-tail.js'
import { expectNoData, listDirectory, numberAbove } from './directory-listing.js'
import type { DirectoryListing } from './directory-listing.js'
import { largestSequence } from './largest-sequence.js'
import { laterOf, scanWals } from './log/log-reader.js'
import type { WalScan } from './log/log-reader.js'
import type { LsmTree } from './lsm-tree.js'
import { readCurrent } from './manifest/current.js'
import { readManifest } from './manifest/manifest-reader.js'
import type { ManifestState, TreeState } from './manifest/manifest-reader.js'
import type { CleanClose } from './manifest/version-edit.js'
import { Version } from './manifest/version.js'
import { resolveOptions } from './options.js'
import type { DependencyPosition, LsmOptions, ResolvedLsmOptions } from './options.js'
import { replayWals } from './replay.js'
import type { PointerCheck, ReplaySource } from './replay.js'
import type { TreeContext } from './tree-context.js'

export interface FinishOptions {
  /** Says whether the record that a pointer names is there. Default: every pointer is good. */
  verifyPointer?: PointerCheck
  /**
   * The records of the value log from a position on, in the order in which they were written: those that commit their write
   * and follow on what the logs say are taken over. Default: nothing was staged as `deferred`.
   */
  tail?: ((from: DependencyPosition) => AsyncIterable<TailOperation>) | undefined
  /** Sequence numbers up to this one were used, wherever. Default 0. */
  minSequence?: number
  /** So many sequence numbers may have been used above the last one that is known. Default 0. */
  unknownSequences?: number
  /** Make the directory durable in its parents; run beside the first sync. */
  syncs?: readonly (() => Promise<void>)[]
}

/** Makes a tree in a given state: the constructor of `LsmTree`, which this file must not import. */
export type TreeMaker = (dir: string, options: ResolvedLsmOptions, state: TreeState) => LsmTree

/**
 * Reads what lies in `dir`, changing nothing. Throws `NotFoundError` or `ExistsError` as the options want it, and
 * `CorruptionError` for damage, a missing table, or data without a manifest.
 */
export async function recoverTree(dir: string, options: LsmOptions, makeTree: TreeMaker): Promise<LsmRecovery> {
  const resolved = resolveOptions(options)
  const { fs, runtime, readOnly, createIfMissing, errorIfExists } = resolved
  const listing = await listDirectory(fs, dir)
  const manifestNumber = listing.names.includes(formatFileName('current')) ? readCurrent(fs, dir) : undefined
  if (manifestNumber === undefined) {
    await expectNoData(fs, dir, listing)
    if (readOnly || !createIfMissing) throw new NotFoundError('there is no database in the directory')
    return new LsmRecovery({ dir, options: resolved, listing, state: undefined, scan: NO_LOGS, unnamed: 0, makeTree })
  }
  const state = await readManifest(fs, dir, manifestNumber, runtime)
  expectTables(state.version, listing)
  if (errorIfExists) throw new ExistsError('there is a database in the directory')
  const logs = listing.numbers.wal.filter((number) => number >= state.logNumber)
  const scan = await scanWals({ fs, dir, runtime }, logs, state.lastSequence)
  if (state.cleanClose !== undefined && scan.files.length > 0) throw damagedManifest(state, 'a clean close beside a log')
  const unnamed = state.cleanClose === undefined ? await largestUnnamed(dir, resolved, listing, state) : 0
  return new LsmRecovery({ dir, options: resolved, listing, state, scan, unnamed, makeTree })
}

interface Found {
  dir: string
  options: ResolvedLsmOptions
  listing: DirectoryListing
  state: ManifestState | undefined
  scan: WalScan
  /** Highest sequence number in tables that nothing names; 0 if none is above the tree's. */
  unnamed: number
  makeTree: TreeMaker
}

/** What was found. */
export class LsmRecovery {
  /** Whether there is a tree already. */
  readonly exists: boolean
  /** Position up to which the value log was promised to be durable; `null` if nothing promises anything. */
  readonly promise: DependencyPosition | null
  /** Position of the value log before which nothing belongs to operations that only logs say; `undefined` if nobody knows. */
  readonly unflushed: DependencyPosition | undefined
  /** Present after a clean close: newest value-log file (0: none) and its exact size. */
  readonly cleanClose: CleanClose | undefined
  /** Value-log files that tables reference; logs may reference more. */
  readonly referencedFids: ReadonlySet<number>
  /** What lies in the directory. */
  readonly names: readonly string[]
  readonly #found: Found
  #finished = false

  /** Made by {@link recoverTree}. */
  constructor(found: Found) {
    const { state, scan } = found
    this.exists = state !== undefined
    this.promise = laterOf(state?.dependency, scan.dependency) ?? null
    this.unflushed = state?.unflushed
    this.cleanClose = state?.cleanClose
    this.referencedFids = new Set(state?.version.references().keys())
    this.names = found.listing.names
    this.#found = found
  }

  /** Replays the logs and opens the tree. Once. When it rejects, every file is closed and what was there is still whole. */
  async finish({ verifyPointer, tail, minSequence = 0, unknownSequences = 0, syncs = [] }: FinishOptions = {}): Promise<LsmTree> {
    invariant(!this.#finished, 'a recovery is finished once')
    this.#finished = true
    await this.#expectNoLostEdits(tail)
    const { dir, options, listing, scan, unnamed, makeTree } = this.#found
    const state = this.#found.state ?? EMPTY_STATE
    // CR12. A table that nothing names may be all that is left of operations whose log lost them: it must not look, once that
    // log is gone, like one whose edit is missing.
    const lastSequence = Math.max(state.lastSequence, scan.highestSequence, unnamed, minSequence) + unknownSequences
    // Whoever prepared such a file would have the first writes fail on a number that no entry can have.
    if (lastSequence > HIGHEST_SEQUENCE) throw new CorruptionError(`sequence number ${lastSequence} is behind the last one that a database comes to`)
    const cleanManifest = this.#isFinal(lastSequence) ? this.#found.state?.number : undefined
    const tree = makeTree(dir, options, {
      version: state.version.widenedTo(options.maxLevels),
      nextFileNumber: Math.max(state.nextFileNumber, numberAbove(listing)),
      logNumber: state.logNumber,
      lastSequence: state.lastSequence,
      dependency: state.dependency,
      // After a clean end everything is in tables.
      unflushed: cleanManifest === undefined ? state.unflushed : laterOf(state.unflushed, options.dependencyEnd?.()),
      droppedTombstone: state.droppedTombstone,
      cleanManifest,
    })
    const source = { scan, lastSequence: state.lastSequence, durable: this.promise ?? undefined, unflushed: state.unflushed, verifyPointer, tail: this.cleanClose === undefined ? tail : undefined }
    try {
      const recovered = options.readOnly ? this.#replayInMemory(tree.context, source, lastSequence) : this.#makeWritable(tree.context, source, lastSequence, syncs)
      tree.start(await recovered)
      return tree
    } catch (error) {
      await tree.close({ clean: false })
      throw error
    }
  }

  /**
   * A table with operations that neither the manifest nor any log knows may come from a crash only if the value log knows them:
   * its log is removed only after the edit that names it is durable. Else edits were cut off the manifest.
   */
  async #expectNoLostEdits(tail: FinishOptions['tail']): Promise<void> {
    const { unnamed, state, listing } = this.#found
    if (unnamed === 0 || state === undefined || listing.numbers.wal.some((number) => number >= state.logNumber)) return
    const follower = new DeferredTail(state.lastSequence)
    if (tail !== undefined) for await (const operation of tail(state.unflushed ?? { fid: 0, offset: 0 })) follower.accepts(operation)
    if (follower.lastSequence < unnamed) throw damagedManifest(state, 'edits are missing: nothing names a table with later operations')
  }

  /** Resolves to the last sequence number that was used. */
  async #replayInMemory(context: TreeContext, source: ReplaySource, lastSequence: number): Promise<number> {
    const { highestSequence } = await replayWals(context, source)
    context.views.replace(context.memtables.memtables(), context.versions.current)
    return Math.max(lastSequence, highestSequence)
  }

  /** Resolves to the last sequence number that was used. */
  async #makeWritable(context: TreeContext, source: ReplaySource, known: number, syncs: readonly (() => Promise<void>)[]): Promise<number> {
    const { dir, options, versions, views, memtables } = context
    if (versions.manifestNumber > 0) {
      // None, but for a directory that was empty when the host looked, and a database when it had the lock.
      await allDone(syncs.map((sync) => sync()))
      return known
    }
    if (!this.#found.listing.exists) await options.fs.mkdir(dir)
    // From here on the mark of a clean close is gone, and numbers are reserved for the tables to come.
    await versions.startManifest(this.exists && this.cleanClose === undefined ? undefined : options.dependencyEnd?.(), syncs)
    const ownNumbers = versions.nextFileNumber
    const { tables, highestSequence } = await replayWals(context, source).catch(async (error: unknown) => {
      if (error instanceof CorruptionError) await this.#forgetReplay(context, ownNumbers)
      throw error
    })
    const lastSequence = Math.max(known, highestSequence)
    const newestLog = this.#found.listing.numbers.wal.at(-1)
    if (tables.length > 0 || newestLog !== undefined || lastSequence > versions.lastSequence) {
      const dependency = tables.length > 0 ? await options.beforePublish?.() : undefined
      const unflushed = options.dependencyEnd?.()
      await versions.commit(
        {
          added: tables.map((table) => ({ level: 0, table })),
          lastSequence,
          ...(newestLog === undefined ? {} : { logNumber: Math.max(newestLog + 1, versions.logNumber) }),
          ...(dependency === undefined ? {} : { dependency }),
          ...(unflushed === undefined ? {} : { unflushed }),
        },
        (version) => views.replace(memtables.memtables(), version),
      )
    }
    this.#removeOrphans(context)
    await context.obsolete.settle()
    return lastSequence
  }

  /**
   * Whether the tree was closed cleanly, and everything that lies there is what its manifest names. Then all that the manifest
   * says is durable, but perhaps that the end was clean (who wrote the mark may have been killed before its sync): a log is
   * removed after the edit that replaces it is.
   */
  #isFinal(lastSequence: number): boolean {
    const { state, listing, options } = this.#found
    if (options.readOnly || state?.cleanClose === undefined || lastSequence > state.lastSequence) return false
    const { wal, table, manifest } = listing.numbers
    return wal.length === 0 && manifest.length === 1 && !listing.hasTemporary && table.every((number) => state.version.has(number))
  }

  /** The database is refused: whoever tries again and again must not fill the disk with the tables, numbered from `firstNumber` on, and the manifest of each try. */
  async #forgetReplay({ obsolete, versions }: TreeContext, firstNumber: number): Promise<void> {
    for (let number = firstNumber; number < versions.nextFileNumber; number++) obsolete.remove(formatFileName('table', number))
    for (const number of this.#found.listing.numbers.manifest) if (number !== versions.manifestNumber) obsolete.remove(formatFileName('manifest', number))
    await obsolete.settle()
  }

  /** Files of ours that were there before and that nothing names any more. */
  #removeOrphans({ obsolete, versions }: TreeContext): void {
    const { numbers, hasTemporary } = this.#found.listing
    for (const number of numbers.wal) if (number < versions.logNumber) obsolete.remove(formatFileName('wal', number))
    for (const number of numbers.table) if (!versions.current.has(number)) obsolete.remove(formatFileName('table', number))
    for (const number of numbers.manifest) if (number !== versions.manifestNumber) obsolete.remove(formatFileName('manifest', number))
    if (hasTemporary) obsolete.remove(tempName(formatFileName('current')))
  }
}

/** More than any database comes to: a write after it still has a number for years. */
const HIGHEST_SEQUENCE = MAX_SEQUENCE - 2 ** 40

const NO_LOGS: WalScan = { files: [], end: undefined, dependency: undefined, highestSequence: 0 }

const EMPTY_STATE: TreeState = {
  version: Version.empty(1),
  nextFileNumber: 1,
  logNumber: 0,
  lastSequence: 0,
  dependency: undefined,
  unflushed: undefined,
  droppedTombstone: 0,
}

function expectTables(version: Version, listing: DirectoryListing): void {
  const present = new Set(listing.numbers.table)
  for (const { number } of version.tables()) {
    if (present.has(number)) continue
    const file = formatFileName('table', number)
    throw new CorruptionError(`${file} is missing`, { file })
  }
}

/** Highest sequence number in tables that nothing names, if it is above what the manifest knows; else 0. */
async function largestUnnamed(dir: string, options: ResolvedLsmOptions, listing: DirectoryListing, state: ManifestState): Promise<number> {
  let highest = 0
  if (!options.wal) return highest
  for (const number of listing.numbers.table) {
    if (!state.version.has(number)) highest = Math.max(highest, await largestSequence(dir, options, number))
  }
  return highest > state.lastSequence ? highest : 0
}

/** Damage that shows only beside other files: what is wrong with the manifest is where it ends. */
function damagedManifest({ number, end }: ManifestState, message: string): CorruptionError {
  const file = formatFileName('manifest', number)
  return new CorruptionError(`${message}: ${file} at offset ${end}`, { file, offset: end })
}
