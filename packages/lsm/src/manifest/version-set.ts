/**
 * The current version and the manifest that remembers it: the one place where versions change.
 *
 * Edits are committed one after another: written, synced, then installed in the turn in which the sync was seen. File
 * numbers are handed out from blocks that an earlier edit reserved, so that none comes back, whatever crashes (CR5).
 * The first failure is reported in the same turn and ends all committing.
 */
import { ClosedError, ReadOnlyError, formatFileName, invariant } from '@wk/codec'
import type { WkError } from '@wk/codec'
import type { FileSystem } from '@wk/fs'
import { asWkError } from '../failure.js'
import { laterOf } from '../log/log-reader.js'
import type { ObsoleteFiles } from '../obsolete-files.js'
import type { DependencyPosition } from '../options.js'
import type { TreeState } from './manifest-reader.js'
import { ManifestWriter } from './manifest-writer.js'
import type { VersionEdit } from './version-edit.js'
import type { Version } from './version.js'

/** File numbers that one edit reserves. */
const NUMBER_BLOCK = 64
/** With fewer left, the next edit reserves another block. */
const NUMBERS_LOW = 32

/** A manifest is written anew when it is larger than this and {@link ROLL_FACTOR} times its first edit. */
const ROLL_SIZE = 1024 * 1024
const ROLL_FACTOR = 4

export interface VersionSetOptions {
  fs: FileSystem
  dir: string
  obsolete: ObsoleteFiles
  /** Called once, in the turn of the first failure. */
  onFailure: (error: WkError) => void
}

export class VersionSet {
  readonly #options: VersionSetOptions
  #current: Version
  #logNumber: number
  #lastSequence: number
  #dependency: DependencyPosition | undefined
  #unflushed: DependencyPosition | undefined
  #droppedTombstone: number
  /** The number to hand out next. */
  #next: number
  /** Numbers below it are reserved in the manifest. */
  #reserved: number
  #manifest: ManifestWriter | undefined
  readonly #cleanManifest: number | undefined
  #rollAt = ROLL_SIZE
  #tail: Promise<void> = Promise.resolve()
  #failure: WkError | undefined

  /**
   * A set in the state that a manifest (or nothing) left. Nothing is written before {@link VersionSet.startManifest}.
   * `nextFileNumber` is higher than every number in the directory.
   */
  constructor(options: VersionSetOptions, state: TreeState) {
    this.#options = options
    this.#current = state.version
    this.#logNumber = state.logNumber
    this.#lastSequence = state.lastSequence
    this.#dependency = state.dependency
    this.#unflushed = state.unflushed
    this.#droppedTombstone = state.droppedTombstone
    this.#next = state.nextFileNumber
    this.#reserved = state.nextFileNumber
    this.#cleanManifest = state.cleanManifest
  }

  get current(): Version {
    return this.#current
  }

  /** Logs with smaller numbers are not needed any more. */
  get logNumber(): number {
    return this.#logNumber
  }

  /** Sequence number of the last operation that is in tables. */
  get lastSequence(): number {
    return this.#lastSequence
  }

  /** Highest sequence number of a tombstone that was dropped for good; 0 if none was. */
  get droppedTombstone(): number {
    return this.#droppedTombstone
  }

  /** Number of the manifest that CURRENT names, 0 if there is none. */
  get manifestNumber(): number {
    return this.#manifest?.number ?? this.#cleanManifest ?? 0
  }

  /** Whether a manifest is being written: else the one that is there still marks a clean close. */
  get isStarted(): boolean {
    return this.#manifest !== undefined
  }

  /** Numbers from here on were never used. */
  get nextFileNumber(): number {
    return this.#next
  }

  /**
   * Writes a new manifest with the whole state and makes it the current one, unless that was done. With it a mark of
   * clean close is gone and the first block of numbers is reserved. The first edit does it at the latest; whoever changes
   * files that the mark speaks of does it before. `unflushed`: the end of the value log, if every operation is in tables.
   * `syncs` are run beside those that it takes.
   */
  startManifest(unflushed?: DependencyPosition, syncs: readonly (() => Promise<void>)[] = []): Promise<void> {
    this.#unflushed = laterOf(this.#unflushed, unflushed)
    return this.#queue(() => this.#start(syncs))
  }

  /** A file number that was never used, durably so. */
  async allocate(): Promise<number> {
    const [number] = await this.allocateMany(1)
    invariant(number !== undefined, 'one number was asked for')
    return number
  }

  /** `count` ascending file numbers that were never used, durably so. */
  async allocateMany(count: number): Promise<number[]> {
    if (!this.isStarted) await this.startManifest()
    while (this.#reserved - this.#next < count) await this.commit({ nextFileNumber: this.#next + count + NUMBER_BLOCK })
    const numbers = Array.from({ length: count }, (_, i) => this.#next + i)
    this.#next += count
    return numbers
  }

  /**
   * Commits an edit. Everything it names must be durable (CR2). `install` is called in the turn in which the edit
   * counts, with the new version; when the promise rejects, the edit may or may not be in the manifest.
   */
  commit(edit: VersionEdit, install?: (version: Version) => void): Promise<void> {
    return this.#queue(() => this.#commit(edit, true, install))
  }

  /** Commits the mark of a clean close of a tree that never held anything: nothing is lost with it, so it is not synced. */
  markEmpty(edit: VersionEdit): Promise<void> {
    return this.#queue(() => this.#commit(edit, false, undefined))
  }

  /** Ends all committing: what waits, and what comes, is rejected. */
  stop(error: WkError): void {
    this.#failure ??= error
  }

  /** Waits for commits under way and closes the file. No manifest is begun any more. */
  async close(): Promise<void> {
    await this.#tail
    this.stop(new ClosedError('the tree is closed'))
    this.#manifest?.closeSync()
  }

  /** Runs tasks one after another. */
  #queue(task: () => Promise<void>): Promise<void> {
    const run = this.#tail.then(task)
    this.#tail = run.catch(() => undefined)
    return run
  }

  async #start(syncs: readonly (() => Promise<void>)[] = []): Promise<void> {
    if (this.#manifest !== undefined) return
    this.#check()
    try {
      this.#manifest = await this.#newManifest(syncs)
    } catch (error) {
      throw this.#fail(error)
    }
    if (this.#cleanManifest !== undefined) this.#options.obsolete.remove(formatFileName('manifest', this.#cleanManifest))
  }

  async #commit(edit: VersionEdit, durably: boolean, install: ((version: Version) => void) | undefined): Promise<void> {
    await this.#start()
    this.#check()
    const manifest = this.#manifest
    invariant(manifest !== undefined, 'a commit needs a manifest')
    const version = this.#current.apply(edit.added ?? [], edit.removed ?? [])
    const reserved = Math.max(this.#reserved, edit.nextFileNumber ?? 0, this.#reserved - this.#next < NUMBERS_LOW ? this.#next + NUMBER_BLOCK : 0)
    try {
      // Never less than before: two that found the block used up in one turn asked for different numbers.
      const nextFileNumber = edit.nextFileNumber !== undefined || reserved > this.#reserved ? reserved : undefined
      await manifest.append({ ...edit, ...(nextFileNumber === undefined ? {} : { nextFileNumber }) }, { durably })
      this.#check()
      this.#current = version
      this.#reserved = reserved
      this.#logNumber = Math.max(this.#logNumber, edit.logNumber ?? 0)
      this.#lastSequence = Math.max(this.#lastSequence, edit.lastSequence ?? 0)
      this.#dependency = laterOf(this.#dependency, edit.dependency)
      this.#unflushed = laterOf(this.#unflushed, edit.unflushed)
      this.#droppedTombstone = Math.max(this.#droppedTombstone, edit.droppedTombstone ?? 0)
      install?.(version)
      if (manifest.size > this.#rollAt && edit.cleanClose === undefined) await this.#roll(manifest)
    } catch (error) {
      throw this.#fail(error)
    }
  }

  async #roll(old: ManifestWriter): Promise<void> {
    this.#manifest = await this.#newManifest()
    old.closeSync()
    this.#options.obsolete.remove(formatFileName('manifest', old.number))
  }

  async #newManifest(syncs: readonly (() => Promise<void>)[] = []): Promise<ManifestWriter> {
    const { fs, dir } = this.#options
    const number = this.#next++
    const reserved = Math.max(this.#reserved, this.#next + NUMBER_BLOCK)
    const manifest = await ManifestWriter.start(fs, dir, number, {
      nextFileNumber: reserved,
      logNumber: this.#logNumber,
      lastSequence: this.#lastSequence,
      ...(this.#droppedTombstone === this.#lastSequence ? {} : { droppedTombstone: this.#droppedTombstone }),
      ...(this.#dependency === undefined ? {} : { dependency: this.#dependency }),
      ...(this.#unflushed === undefined ? {} : { unflushed: this.#unflushed }),
      added: this.#current.levels.flatMap((tables, level) => tables.map((table) => ({ level, table }))),
    }, syncs)
    this.#reserved = reserved
    this.#rollAt = Math.max(ROLL_SIZE, manifest.size * ROLL_FACTOR)
    return manifest
  }

  #check(): void {
    if (this.#failure !== undefined) throw new ReadOnlyError('the tree takes no more changes', { cause: this.#failure })
  }

  #fail(error: unknown): WkError {
    const failure = asWkError(error)
    if (this.#failure === undefined) {
      this.#failure = failure
      this.#options.onFailure(failure)
    }
    return failure
  }
}
