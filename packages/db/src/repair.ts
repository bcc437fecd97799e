/**
 * `DB.repair()`: everything that still verifies, into a new database.
 *
 * The source is only read. Of each key the newest surviving version counts: a tombstone deletes it, a value that does not
 * verify loses it (an older one never takes its place). Where entries of the tree are lost, records of the value log that
 * fit into the hole (key, version) and that no surviving entry outdates are taken instead. What could not be saved is
 * reported with file, bytes, and the keys and versions that may be concerned: whatever lies outside of all that is exactly
 * as it was last written.
 */
import { sep } from 'node:path'
import { CorruptionError, InvalidArgumentError, KIND_POINTER, KIND_TOMBSTONE, MAX_SEQUENCE, NotFoundError, baseKind, compareBytes, compareRanges, copyBytes, formatFileName, parseFileName, readPayload, readPointerFid, readPointerLen, readPointerOffset, throwIfAborted } from '@wk/codec'
import { NodeFileSystem, TimeSlice, isNotFound } from '@wk/fs'
import type { FileSystem, Runtime } from '@wk/fs'
import { SalvagedTree } from '@wk/lsm'
import type { Loss, ManifestCondition, SalvageProblem } from '@wk/lsm'
import type { CheckedOperation } from './batch.js'
import { checkEncryption, checkKeyOfFiles, treeFileSystem } from './encryption.js'
import type { MaintenanceOptions } from './maintenance.js'
import type { DbOptions, ResolvedOptions } from './options.js'
import { SalvagedValues } from './repair-values.js'

/** Entries that were there and could not be saved. Bounds include both ends; an absent one is no bound. */
export interface RepairLoss {
  /** Name relative to the directory. */
  file: string
  /** Bytes of it that do not verify; absent if the file is gone. */
  offset: number | undefined
  length: number | undefined
  message: string
  /** Keys that may be concerned. */
  fromKey: Uint8Array | undefined
  toKey: Uint8Array | undefined
  /** Versions that may be concerned. */
  fromVersion: number | undefined
  toVersion: number | undefined
}

/** Options of `DB.repair`. */
export interface RepairOptions extends MaintenanceOptions {
  /** Where the new database goes: a directory that is missing or empty. */
  to: string
  /** File system of both. Default: Node's. */
  fs?: FileSystem
  /** Options of the new database, for example its `valueThreshold`. Its `encryptionKey` must be that of the damaged one. */
  target?: DbOptions
}

/** What `DB.repair()` did. */
export interface RepairReport {
  /** Entries saved. */
  entries: number
  /** Bytes of their keys and values. */
  bytes: number
  /** Entries saved that only the value log still knew: a deletion that came after them may be lost. */
  fromValueLog: number
  /** Entries not saved because they have expired. */
  expired: number
  /** Whether the manifest told which files count. */
  manifest: ManifestCondition
  /** Damage of files with which no entry was lost. */
  problems: SalvageProblem[]
  /** What was lost: at most a thousand; {@link lossCount} counts all. Empty: every key is what it last was. */
  losses: RepairLoss[]
  lossCount: number
}

/** Losses that are listed. */
const MAX_LOSSES = 1000
/** Operations and bytes written to the new database at once. */
const BATCH_COUNT = 1000
const BATCH_BYTES = 1 << 20

/** Where saved entries go. Resolves when they are written. */
export type EntryWriter = (operations: readonly CheckedOperation[]) => Promise<void>

/**
 * Saves what is left in `dir`, under a shared lock. `makeTarget` makes the new database, has it filled, and closes it; nothing is
 * made where there is nothing to save.
 */
export async function repairDatabase(
  target: ResolvedOptions,
  dir: string,
  options: MaintenanceOptions,
  makeTarget: (fill: (write: EntryWriter) => Promise<RepairReport>) => Promise<RepairReport>,
): Promise<RepairReport> {
  const fs = target.fs ?? new NodeFileSystem()
  await expectDatabase(fs, dir)
  const lock = await fs.lock(`${dir}/${formatFileName('lock')}`, { shared: true })
  try {
    await checkKey(fs, dir, target.encryptionKey)
    return await makeTarget((write) => salvageDatabase(fs, dir, target, write, options))
  } finally {
    await lock.release()
  }
}

async function salvageDatabase(fs: FileSystem, dir: string, { runtime, encryptionKey }: ResolvedOptions, write: EntryWriter, options: MaintenanceOptions): Promise<RepairReport> {
  const tree = await SalvagedTree.read(dir, { fs: treeFileSystem(fs, encryptionKey), runtime, signal: options.signal })
  try {
    const values = await SalvagedValues.open(fs, runtime, dir, encryptionKey)
    try {
      const salvage = new Salvage(tree, values, runtime, options)
      await salvage.fillHoles()
      return await salvage.run(write)
    } finally {
      await values.close()
    }
  } finally {
    await tree.close()
  }
}

/** @throws WrongKeyError as far as a manifest tells, and where no file of the tree opens with the key and one was written with another */
async function checkKey(fs: FileSystem, dir: string, key: Uint8Array | undefined): Promise<void> {
  try {
    await checkEncryption(fs, dir, key)
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
  }
  // That of the value logs is judged when they are opened: with it a damaged header of another file is no more than that.
  if (key === undefined || (await fs.list(dir)).includes(formatFileName('keyRegistry'))) return
  await checkKeyOfFiles(fs, dir, key)
}

/** @throws NotFoundError where nothing of a database is */
async function expectDatabase(fs: FileSystem, dir: string): Promise<void> {
  const kinds = new Set(['wal', 'table', 'vlog', 'relocated', 'manifest', 'current'])
  const names = await fs.list(dir).catch((error: unknown) => {
    if (isNotFound(error)) return []
    throw error
  })
  if (!names.some((name) => kinds.has(parseFileName(name)?.kind ?? ''))) throw new NotFoundError('there is no database in the directory')
}

/** @throws InvalidArgumentError unless `to` names a place of its own */
export function checkTarget(to: unknown, dir: string): asserts to is string {
  if (typeof to !== 'string' || to === '' || to.includes('\0')) throw new InvalidArgumentError('to must be the path of the new database')
  if (to === dir) throw new InvalidArgumentError('to must not be the database that is repaired')
  // A new directory in it would be a change to what is only read.
  if (isWithin(dir, to)) throw new InvalidArgumentError('to must not lie in the database that is repaired')
}

/** Of two paths as they are written. */
function isWithin(dir: string, path: string): boolean {
  const rest = path.startsWith(dir) ? path.slice(dir.length) : ''
  return rest.startsWith('/') || rest.startsWith(sep)
}

class Salvage {
  readonly #report: RepairReport
  readonly #tree: SalvagedTree
  readonly #values: SalvagedValues
  readonly #runtime: Runtime
  readonly #options: MaintenanceOptions
  readonly #slice: TimeSlice
  /** Entries that only the value log knows. */
  readonly #added = new Set<string>()
  /** Those of which it is not known whether they count. */
  readonly #doubted = new Set<string>()

  constructor(tree: SalvagedTree, values: SalvagedValues, runtime: Runtime, options: MaintenanceOptions) {
    this.#tree = tree
    this.#values = values
    this.#runtime = runtime
    this.#options = options
    this.#slice = new TimeSlice(runtime)
    const problems = [...tree.problems, ...values.problems]
    this.#report = { entries: 0, bytes: 0, fromValueLog: 0, expired: 0, manifest: tree.manifest, problems, losses: [], lossCount: 0 }
    for (const loss of tree.losses) this.#lose({ ...loss, fromVersion: loss.fromSequence, toVersion: loss.toSequence })
  }

  /** Adds the records of the value log that may be entries that the tree lost, and puts that its logs do not say yet. */
  async fillHoles(): Promise<void> {
    const { lastSequence } = this.#tree
    // What was dropped with a table that was given up would come back.
    const losses = this.#tree.losses.filter(({ isDoubtful }) => isDoubtful !== true)
    const highest = lastSequence ?? (await this.#highestSequence())
    for await (const { key, sequence: version, kind, payload, commits } of this.#values.records()) {
      if (this.#slice.due()) await this.#pause('value log')
      if (commits && lastSequence === undefined && version > highest && version <= MAX_SEQUENCE) this.#doubt(key, version, payload)
      const isNew = commits && lastSequence !== undefined && version > lastSequence
      if (!isNew && !losses.some((loss) => fits(loss, key, version))) continue
      const name = nameOf(key, version)
      // A version that no write can have: the file was prepared.
      if (version > MAX_SEQUENCE || this.#added.has(name)) continue
      this.#added.add(name)
      this.#tree.add(key, version, kind, payload)
    }
  }

  /** The highest sequence number in tables and logs. */
  async #highestSequence(): Promise<number> {
    const cursor = this.#tree.cursor()
    let highest = 0
    for (cursor.first(); cursor.valid; cursor.next()) {
      highest = Math.max(highest, cursor.sequence)
      if (this.#slice.due()) await this.#pause('entries')
    }
    return highest
  }

  /** A put that is newer than all that is left: the last ones, which no log says yet, or dropped by a compaction with a deletion behind it. Without the manifest nothing tells. */
  #doubt(key: Uint8Array, version: number, payload: Uint8Array): void {
    const name = nameOf(key, version)
    // It may be in more than one file.
    if (this.#doubted.has(name)) return
    this.#doubted.add(name)
    const fid = readPointerFid(payload, 0)
    const one = copyBytes(key, 0, key.length)
    const message = 'it was put after all that is left in tables and logs, and nothing tells whether it was deleted again'
    this.#lose({ file: fid === 0 ? '' : formatFileName('vlog', fid), offset: fid === 0 ? undefined : readPointerOffset(payload, 0), length: undefined, message, fromKey: one, toKey: one, fromVersion: version, toVersion: version })
  }

  async run(write: EntryWriter): Promise<RepairReport> {
    throwIfAborted(this.#options.signal)
    const cursor = this.#tree.cursor()
    let last: Uint8Array | undefined
    let operations: CheckedOperation[] = []
    let bytes = 0
    for (cursor.first(); cursor.valid; cursor.next()) {
      if (this.#slice.due()) await this.#pause('entries')
      const { keyBytes, keyStart, keyEnd } = cursor
      if (last !== undefined && compareRanges(keyBytes, keyStart, keyEnd, last, 0, last.length) === 0) continue
      last = copyBytes(keyBytes, keyStart, keyEnd)
      const saved = await this.#save(last, cursor.sequence, cursor.kind, cursor.valueBytes, cursor.valueStart, cursor.valueEnd)
      if (saved === undefined) continue
      operations.push(saved)
      bytes += last.length + (saved.value?.length ?? 0)
      if (operations.length < BATCH_COUNT && bytes < BATCH_BYTES) continue
      await write(operations)
      operations = []
      bytes = 0
    }
    if (operations.length > 0) await write(operations)
    return this.#report
  }

  /** The newest entry of a key, as an operation; undefined if there is nothing to write. */
  async #save(key: Uint8Array, version: number, kind: number, bytes: Uint8Array, start: number, end: number): Promise<CheckedOperation | undefined> {
    const base = baseKind(kind)
    if (base === KIND_TOMBSTONE) return undefined
    const payload = { userMeta: 0, expiresAt: 0, valueStart: 0, valueEnd: 0 }
    const one = { fromKey: key, toKey: key, fromVersion: version, toVersion: version }
    let value: Uint8Array
    try {
      readPayload(kind, bytes, start, end, payload)
      if (payload.expiresAt !== 0 && payload.expiresAt * 1000 <= this.#runtime.now()) {
        this.#report.expired++
        return undefined
      }
      if (base === KIND_POINTER) value = await this.#values.read(readPointerFid(bytes, start), readPointerOffset(bytes, start), readPointerLen(bytes, start), key, version)
      else value = copyBytes(bytes, payload.valueStart, payload.valueEnd)
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      const fid = base === KIND_POINTER && end - start >= 12 ? readPointerFid(bytes, start) : 0
      this.#lose({ ...one, file: error.file ?? (fid > 0 ? formatFileName('vlog', fid) : ''), offset: error.offset, length: undefined, message: error.message })
      return undefined
    }
    this.#report.entries++
    this.#report.bytes += key.length + value.length
    if (this.#added.has(nameOf(key, version))) this.#report.fromValueLog++
    return { key, value, userMeta: payload.userMeta, expiresAt: payload.expiresAt }
  }

  #lose({ file, offset, length, message, fromKey, toKey, fromVersion, toVersion }: RepairLoss): void {
    const report = this.#report
    report.lossCount++
    if (report.losses.length < MAX_LOSSES) report.losses.push({ file, offset, length, message, fromKey, toKey, fromVersion, toVersion })
  }

  async #pause(phase: string): Promise<void> {
    throwIfAborted(this.#options.signal)
    const { entries, bytes } = this.#report
    this.#options.onProgress?.({ phase, done: entries, total: entries, bytes })
    await this.#slice.pause()
  }
}

function fits({ fromKey, toKey, fromSequence = 0, toSequence = Infinity }: Loss, key: Uint8Array, version: number): boolean {
  if (version < fromSequence || version > toSequence) return false
  return (fromKey === undefined || compareBytes(fromKey, key) <= 0) && (toKey === undefined || compareBytes(key, toKey) <= 0)
}

/** A key and a version as one text. */
function nameOf(key: Uint8Array, version: number): string {
  return `${version}:${Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')}`
}
