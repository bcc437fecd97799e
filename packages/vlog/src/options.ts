/**
 * Options of a value log: meaning, unit, default, limits.
 */
import { randomBytes as secretBytes } from 'node:crypto'
import { InvalidArgumentError, checkFunction, checkOptions, flagOption } from '@wk/codec'
import { NodeFileSystem, copyEncryptionKey, defaultRuntime, type FileSystem, type Runtime } from '@wk/fs'
import { checkArray } from './arguments.js'
import { BASE_IV_LENGTH } from './format.js'
import { requireLz4 } from './lz4.js'
import type { ReadHelper } from './read-help.js'
import type { LogPosition } from './sync-tracker.js'

/** Options of `ValueLog.open`. */
export interface ValueLogOptions {
  /**
   * Bytes after which the active file is sealed: the group of records that passes the limit still goes to it.
   * Default 2^30 - 1, as Badger. 4 KiB to 2 GiB. Smaller files are collected in smaller steps and cost more handles.
   */
  fileSize?: number | undefined
  /** Records after which the active file is sealed, likewise. Default 1,000,000. At least 1. */
  maxEntries?: number | undefined
  /** Default of `append`'s `sync`: whether it resolves only when the records are on the device. Default false. */
  sync?: boolean | undefined
  /** Take a shared lock, change no file at all, refuse every write. Default false. */
  readOnly?: boolean | undefined
  /** Files kept open for reading, at least 1. Default 256. */
  maxOpenFiles?: number | undefined
  /** Create the directory if it is missing. Default true. */
  createIfMissing?: boolean | undefined
  /**
   * Encryption at rest: the storage key, 16, 24 or 32 bytes (AES-128, -192, -256), copied. Keys and values of every new
   * file are encrypted under a data key of their own, kept under the storage key in `KEYREGISTRY`, as Badger does. A
   * directory is encrypted from its first record on, or never: another key, a missing one, or one too many is
   * `WrongKeyError`. Default: none.
   */
  encryptionKey?: Uint8Array | undefined
  /**
   * Seconds after which a new file gets a new data key. Default 864,000 (ten days), as Badger. Old keys are kept: old
   * files need them.
   */
  encryptionKeyRotationDuration?: number | undefined
  /**
   * `'lz4'`: a value is stored compressed where that saves at least an eighth. Needs the optional package `lz4-napi`
   * (`NotSupportedError` without it). Badger can't read such values. Compressed values are always read, whatever this
   * says. Default `'none'`: Badger's exact bytes.
   */
  valueCompression?: 'none' | 'lz4' | undefined
  /**
   * Open for reading what is left of a damaged log, with `readOnly` only: damage in the newest file and a broken promise
   * of a clean close are then no reason to refuse; walk with `iterate(fid, { salvage: true })`. Default false.
   */
  salvage?: boolean | undefined
  /** File system. Default: Node's. */
  fs?: FileSystem | undefined
  /** Clock, randomness, yielding. Default: the process's. */
  runtime?: Runtime | undefined
  /**
   * For hosts with durable marks of their own: every byte below this place was durable. Damage below it is
   * corruption, at or above it a torn tail. `null`: the host has promised nothing at all. Left out: a tail is torn if
   * no valid record follows the damage.
   *
   * It also turns the log's own figures of garbage and its marks off, which such a host keeps itself: `GarbageCollector` then finds
   * nothing (`WK_NO_REWRITE`) and a retired file that is pinned comes back after a restart. Any other host passes it once at most, to get past an image
   * that is refused, closes, and opens without it.
   */
  durable?: LogPosition | null | undefined
  /** For such hosts: the log was closed cleanly with its newest file at exactly this size. Then open scans nothing. */
  cleanEnd?: { fid: number; size: number } | undefined
  /**
   * For such hosts: no record has a version above this. In the torn tail of an encrypted file one that seems to is none of the file's. Default 2^53 - 1.
   */
  highestVersion?: number | undefined
  /**
   * Logical files that the host refers to, all of them: one that is not there is `CorruptionError`, before anything is changed. Where
   * records of other relocated files lie is not kept in memory, and reading them is `CorruptionError`. Default: the host does not say.
   */
  expectedFids?: ReadonlySet<number> | undefined
  /**
   * For such hosts: the next file is made when the active one has less than this many bytes of room left, in files of at least
   * twice as many; where files are so short that several are made at once, the later ones when one is left. A close may leave
   * them behind, empty; they go when there is a newer one. Default 4 MiB.
   */
  prepareAhead?: number | undefined
  /** For such hosts: bytes of full files that may wait for their sync while a newer file takes records. Default 128 MiB. */
  syncBehind?: number | undefined
  /**
   * For such hosts: a thread that may help with batches of many scattered short records while it has nothing else to do. Default: none.
   */
  readHelper?: ReadHelper | undefined
  /** Take the directory lock. Default true; false only for a host that holds it. */
  lock?: boolean | undefined
  /** What lies in the directory, from a host that holds its lock and has looked. Default: it is listed. */
  names?: readonly string[] | undefined
  /**
   * Told of the failure that ends all writing, in its turn, where it happens beside the calls: sealing a full file, for
   * one, waits for nobody. Must not throw. Default: the next call meets it.
   */
  onFailure?: ((error: unknown) => void) | undefined
  /**
   * Source of base IVs, for tests that compare bytes. Default: `crypto.randomBytes` where the log is encrypted, else the
   * runtime's random numbers. An IV that comes twice under one data key breaks the encryption.
   */
  randomBytes?: ((length: number) => Uint8Array) | undefined
}

/** Options with defaults filled in. */
export interface ResolvedOptions {
  fileSize: number
  maxEntries: number
  sync: boolean
  readOnly: boolean
  maxOpenFiles: number
  createIfMissing: boolean
  fs: FileSystem
  runtime: Runtime
  durable: LogPosition | null | undefined
  cleanEnd: { fid: number; size: number } | undefined
  highestVersion: number
  expectedFids: ReadonlySet<number> | undefined
  lock: boolean
  names: readonly string[] | undefined
  readHelper: ReadHelper | undefined
  onFailure: ((error: unknown) => void) | undefined
  encryptionKey: Uint8Array | undefined
  /** Seconds. */
  encryptionKeyRotationDuration: number
  compress: boolean
  salvage: boolean
  prepareAhead: number
  syncBehind: number
  /** The log keeps its own marks in VLOGSTATE, because no host does. */
  standalone: boolean
  randomBytes: (length: number) => Uint8Array
}

export const DEFAULT_FILE_SIZE = 2 ** 30 - 1
const DEFAULT_PREPARE_AHEAD = 1 << 22
const DEFAULT_SYNC_BEHIND = 1 << 27
export const MIN_FILE_SIZE = 4096
export const MAX_FILE_SIZE = 2 ** 31

/** @throws InvalidArgumentError, NotSupportedError */
export function resolveOptions(options: ValueLogOptions): ResolvedOptions {
  const compress = checkCompression(checkOptions(options).valueCompression)
  const encryptionKey = copyKey(options.encryptionKey)
  const salvage = flagOption('salvage', options.salvage, false)
  if (salvage && options.readOnly !== true) throw new InvalidArgumentError('salvage needs readOnly')
  const { fs = new NodeFileSystem(), runtime = defaultRuntime } = options
  if (typeof runtime?.monotonic !== 'function') throw new InvalidArgumentError('runtime must be a Runtime')
  const { durable, cleanEnd, expectedFids, names, onFailure } = options
  if (expectedFids !== undefined && !(expectedFids instanceof Set)) throw new InvalidArgumentError('expectedFids must be a Set')
  if (names !== undefined) checkArray('names', names)
  checkFunction('onFailure', onFailure)
  checkFunction('randomBytes', options.randomBytes)
  if (durable !== undefined && durable !== null) checkPosition('durable', durable.fid, durable.offset)
  if (cleanEnd !== undefined) checkPosition('cleanEnd', cleanEnd.fid, cleanEnd.size)
  return {
    fileSize: integer('fileSize', options.fileSize ?? DEFAULT_FILE_SIZE, MIN_FILE_SIZE, MAX_FILE_SIZE),
    maxEntries: integer('maxEntries', options.maxEntries ?? 1_000_000, 1, Number.MAX_SAFE_INTEGER),
    sync: flagOption('sync', options.sync, false),
    readOnly: flagOption('readOnly', options.readOnly, false),
    maxOpenFiles: integer('maxOpenFiles', options.maxOpenFiles ?? 256, 1, Number.MAX_SAFE_INTEGER),
    createIfMissing: flagOption('createIfMissing', options.createIfMissing, true),
    fs,
    runtime,
    durable,
    cleanEnd,
    highestVersion: integer('highestVersion', options.highestVersion ?? Number.MAX_SAFE_INTEGER, 0, Number.MAX_SAFE_INTEGER),
    expectedFids,
    lock: flagOption('lock', options.lock, true),
    names,
    readHelper: options.readHelper,
    onFailure,
    encryptionKey,
    encryptionKeyRotationDuration: positive('encryptionKeyRotationDuration', options.encryptionKeyRotationDuration ?? 864_000),
    compress,
    salvage,
    prepareAhead: integer('prepareAhead', options.prepareAhead ?? DEFAULT_PREPARE_AHEAD, 1, MAX_FILE_SIZE),
    syncBehind: integer('syncBehind', options.syncBehind ?? DEFAULT_SYNC_BEHIND, 0, Number.MAX_SAFE_INTEGER),
    standalone: durable === undefined && cleanEnd === undefined,
    randomBytes: options.randomBytes ?? ((length) => (encryptionKey === undefined ? randomBytes(runtime, length) : new Uint8Array(secretBytes(length)))),
  }
}

function integer(name: string, value: number, min: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  throw new InvalidArgumentError(`${name} must be an integer from ${min} to ${max}, not ${String(value)}`)
}

function checkPosition(name: string, fid: number, offset: number): void {
  integer(`${name}.fid`, fid, 0, 0xffff_ffff)
  integer(name === 'durable' ? 'durable.offset' : 'cleanEnd.size', offset, 0, 0xffff_ffff)
}

function positive(name: string, value: number): number {
  if (Number.isFinite(value) && value > 0) return value
  throw new InvalidArgumentError(`${name} must be a positive number, not ${String(value)}`)
}

function checkCompression(compression: unknown = 'none'): boolean {
  if (compression !== 'none' && compression !== 'lz4') throw new InvalidArgumentError(`valueCompression must be 'none' or 'lz4'`)
  if (compression === 'lz4') requireLz4()
  return compression === 'lz4'
}

/** A private copy of a storage key. @throws InvalidArgumentError */
export function copyKey(key: unknown): Uint8Array | undefined {
  return key === undefined ? undefined : copyEncryptionKey(key)
}

/** A plaintext log only stores its base IV; an encrypted one must not take it from here. */
function randomBytes(runtime: Runtime, length: number = BASE_IV_LENGTH): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(runtime.random() * 256))
}
