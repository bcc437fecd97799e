/**
 * Collecting for a host that knows its live ranges: relocation.
 *
 * Pointers name logical places, so nothing that points has to change: live ranges of the victims are copied byte for
 * byte into one new physical file, and one rename inside the value log makes it the place where these logical files
 * lie. No index is asked or written. The caller guarantees that `liveRanges` covers everything any reader can still see, and
 * that victims are sealed; the value log verifies every record it copies, and owns commit and unlinking. Whatever
 * fails before the commit leaves every file as it was.
 */

import { InvalidArgumentError, WkError, checkArgument, checkFlag, checkFunction, checkWork, hasMethods, isU32, throwIfAborted } from '@wk/codec'
import { defaultRuntime, type Runtime } from '@wk/fs'
import type { GcWorkOptions } from './collector.js'
import { Throttle } from './throttle.js'
import type { GcFileInfo } from './value-log.js'

/** One live record or several that touch: a place in a logical file. */
export interface LiveRange {
  readonly offset: number
  readonly len: number
}

/** Many of them, packed: `offsets` ascend, `lengths[i]` belongs to `offsets[i]`. */
export interface RecordRanges {
  readonly offsets: Uint32Array
  readonly lengths: Uint32Array
}

/** Takes copies, and makes them current or forgets them. */
export interface RelocationTarget {
  /** Copies records of a logical file; ascending within each file. Throws `CorruptionError` if one does not verify. */
  copyMany(fid: number, ranges: RecordRanges, signal?: AbortSignal): Promise<void>
  /** Makes the copies durable and current, and retires what they replace; tells the bytes of files that go. Without `sweep` unlinking goes on behind. */
  finish(options?: { readonly sweep?: boolean }): Promise<{ readonly bytesFreed: number }>
  /** Removes what was written. */
  abort(): Promise<void>
}

/** The calls a relocation makes: a structural part of `ValueLog`. */
export interface RelocationLog {
  files(): readonly GcFileInfo[]
  createRelocation(): Promise<RelocationTarget>
  /** Gives files up that have no live byte; resolves with the bytes freed. */
  dropLogical(fids: readonly number[]): Promise<number>
}

export interface RelocateOptions extends GcWorkOptions {
  /** Bytes that are copied at once: after each step it may be aborted, throttled or held up. Default 4 MiB; a record is never parted. */
  readonly stepBytes?: number | undefined
  /** Awaited after each step, with the milliseconds that it took: to give way to others. Default: nothing. */
  readonly pace?: ((milliseconds: number) => Promise<void>) | undefined
  /** Resolves only when what was replaced is unlinked, as far as nothing pins it. Default true. */
  readonly sweep?: boolean | undefined
  /** Clock and sleep. Default: the process's. */
  readonly runtime?: Runtime | undefined
}

export interface RelocateResult {
  /** Bytes of live records that were copied. */
  readonly bytesMoved: number
  /** Bytes of the physical files given up, minus what was copied; 0 while other files still need them. */
  readonly bytesReclaimed: number
}

/**
 * Relocates the live ranges of `victims` into one new physical file and gives up what has none, without reading it.
 *
 * `liveRanges(fid)` is asked once a victim, at the start; its ranges ascend and do not overlap. Throws
 * `InvalidArgumentError` for ranges or victims that cannot be right, `AbortedError`, `CorruptionError` at a record that
 * does not verify, or what the log failed with.
 */
export async function relocate(
  vlog: RelocationLog,
  victims: readonly number[],
  liveRanges: (fid: number) => RecordRanges | Iterable<LiveRange>,
  options: RelocateOptions = {},
): Promise<RelocateResult> {
  const { signal, runtime = defaultRuntime, stepBytes, pace } = checkWork(options)
  if (stepBytes !== undefined && (typeof stepBytes !== 'number' || !(stepBytes >= 1))) throw new InvalidArgumentError('stepBytes must be at least 1')
  checkFunction('pace', pace)
  checkFlag('sweep', options.sweep, true)
  if (!hasMethods(vlog, 'files', 'createRelocation', 'dropLogical')) throw new InvalidArgumentError('vlog must be a ValueLog')
  if (!Array.isArray(victims)) throw new InvalidArgumentError('victims must be an array')
  if (typeof liveRanges !== 'function') throw new InvalidArgumentError('liveRanges must be a function')
  const throttle = new Throttle(options.bytesPerSecond, runtime)
  throwIfAborted(signal)
  const plans = planCopies(vlog, victims, liveRanges)
  const dead = plans.filter(({ bytes }) => bytes === 0).map(({ fid }) => fid)
  const alive = plans.filter(({ bytes }) => bytes > 0)
  // Dead files first: they cost nothing, and may free the very space that the copies need.
  const bytesDropped = dead.length === 0 ? 0 : await vlog.dropLogical(dead)
  if (alive.length === 0) return { bytesMoved: 0, bytesReclaimed: bytesDropped }
  const { bytesMoved, bytesFreed } = await copyAlive(vlog, alive, throttle, runtime, options)
  return { bytesMoved, bytesReclaimed: bytesDropped + Math.max(0, bytesFreed - bytesMoved) }
}

interface CopyPlan {
  readonly fid: number
  readonly ranges: RecordRanges
  readonly bytes: number
}

function planCopies(
  vlog: RelocationLog,
  victims: readonly number[],
  liveRanges: (fid: number) => RecordRanges | Iterable<LiveRange>,
): CopyPlan[] {
  const files = new Map(vlog.files().map((file) => [file.fid, file]))
  return [...new Set(victims)].sort((a, b) => a - b).map((fid) => {
    const file = files.get(fid)
    if (file === undefined || !file.sealed) throw new InvalidArgumentError('each victim must be the number of a sealed file')
    const given = liveRanges(fid)
    const ranges = isPacked(given) ? given : pack(given, fid)
    let end = 0
    let bytes = 0
    for (let i = 0; i < ranges.offsets.length; i++) {
      const offset = ranges.offsets[i] ?? 0
      const len = ranges.lengths[i] ?? 0
      if (!(offset >= end && len > 0 && offset + len <= file.validEnd)) {
        throw new InvalidArgumentError(`the live ranges of value-log file ${fid} overlap, descend or leave the file`)
      }
      end = offset + len
      bytes += len
    }
    return { fid, ranges, bytes }
  })
}

/** @throws InvalidArgumentError for what looks packed and is not */
function isPacked(given: RecordRanges | Iterable<LiveRange>): given is RecordRanges {
  if (typeof given !== 'object' || given === null || !('offsets' in given)) return false
  const { offsets, lengths } = given
  checkArgument(offsets instanceof Uint32Array && lengths instanceof Uint32Array && offsets.length === lengths.length, 'as many lengths as offsets, as Uint32Arrays')
  return true
}

function pack(given: Iterable<LiveRange>, fid: number): RecordRanges {
  checkArgument(typeof given === 'object' && given !== null && Symbol.iterator in given, `the live ranges of value-log file ${fid}`)
  const ranges = [...given]
  for (const range of ranges) checkArgument(typeof range === 'object' && range !== null && isU32(range.offset) && isU32(range.len), 'ranges with an offset and a len')
  return { offsets: Uint32Array.from(ranges, ({ offset }) => offset), lengths: Uint32Array.from(ranges, ({ len }) => len) }
}

/** Bytes copied at once. */
const STEP_BYTES = 4 * 1024 * 1024

/** The ranges of one file in steps: a step ends with the range that passes `most` bytes. */
function* stepsOf({ offsets, lengths }: RecordRanges, most: number): Generator<{ ranges: RecordRanges; bytes: number }> {
  let first = 0
  let bytes = 0
  for (let i = 0; i < offsets.length; i++) {
    bytes += lengths[i] ?? 0
    if (bytes < most && i + 1 < offsets.length) continue
    yield { ranges: { offsets: offsets.slice(first, i + 1), lengths: lengths.slice(first, i + 1) }, bytes }
    first = i + 1
    bytes = 0
  }
}

async function copyAlive(
  vlog: RelocationLog,
  plans: readonly CopyPlan[],
  throttle: Throttle,
  runtime: Runtime,
  { signal, onProgress, pace, stepBytes = STEP_BYTES, sweep = true }: RelocateOptions,
): Promise<{ bytesMoved: number; bytesFreed: number }> {
  const total = plans.reduce((sum, { bytes }) => sum + bytes, 0)
  const target = await vlog.createRelocation()
  let done = 0
  let bytesFreed: number
  try {
    for (const plan of plans) {
      for (const { ranges, bytes } of stepsOf(plan.ranges, stepBytes)) {
        await throttle.take(2 * bytes, signal)
        const start = runtime.monotonic()
        await target.copyMany(plan.fid, ranges, signal)
        done += bytes
        onProgress?.({ phase: 'relocate', done, total, bytes: done })
        await pace?.(runtime.monotonic() - start)
        throwIfAborted(signal)
      }
    }
    bytesFreed = (await target.finish({ sweep })).bytesFreed
  } catch (error) {
    await abortQuietly(target, error)
    throw error
  }
  return { bytesMoved: done, bytesFreed }
}

/** The first failure is the one to tell; an abort that fails as well leaves a file that the next open removes. */
async function abortQuietly(target: RelocationTarget, first: unknown): Promise<void> {
  try {
    await target.abort()
  } catch (second) {
    if (!(first instanceof WkError) && second instanceof WkError) throw second
  }
}
