/**
 * Collecting for a host that knows its live ranges: relocation.
 *
 * Pointers name logical places, so nothing that points has to change: live ranges of the victims are copied byte for
 * byte into one new physical file, and one rename inside the value log makes it the place where these logical files
 * lie. No index is asked or written. The caller guarantees that `liveRanges` covers everything any reader can still see, and
 * that victims are sealed; the value log verifies every record it copies, and owns commit and unlinking. Whatever
 * fails before the commit leaves every file as it was.
 */

import { InvalidArgumentError, WkError, throwIfAborted } from '@wk/codec'
import { TimeSlice, defaultRuntime, type Runtime } from '@wk/fs'
import type { GcWorkOptions } from './collector.js'
import { Throttle } from './throttle.js'
import type { GcFileInfo } from './value-log.js'

/** One live record or several that touch: a place in a logical file. */
export interface LiveRange {
  readonly offset: number
  readonly len: number
}

/** Takes copies, and makes them current or forgets them. */
export interface RelocationTarget {
  /** Copies one record of a logical file; ascending within each file. Throws `CorruptionError` if it does not verify. */
  copy(fid: number, offset: number, len: number): void | Promise<void>
  /** Makes the copies durable and current, and retires what they replace; tells the bytes of files that go. */
  finish(): Promise<{ readonly bytesFreed: number }>
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
  /** Milliseconds of work between two turns of the event loop. Default 4. */
  readonly sliceBudget?: number | undefined
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
  liveRanges: (fid: number) => Iterable<LiveRange>,
  options: RelocateOptions = {},
): Promise<RelocateResult> {
  const { signal, runtime = defaultRuntime } = options
  const throttle = new Throttle(options.bytesPerSecond, runtime)
  throwIfAborted(signal)
  const plans = planCopies(vlog, victims, liveRanges)
  const dead = plans.filter(({ ranges }) => ranges.length === 0).map(({ fid }) => fid)
  const alive = plans.filter(({ ranges }) => ranges.length > 0)
  // Dead files first: they cost nothing, and may free the very space that the copies need.
  const bytesDropped = dead.length === 0 ? 0 : await vlog.dropLogical(dead)
  if (alive.length === 0) return { bytesMoved: 0, bytesReclaimed: bytesDropped }
  const slice = new TimeSlice(runtime, options.sliceBudget ?? 4)
  const { bytesMoved, bytesFreed } = await copyAlive(vlog, alive, throttle, slice, options)
  return { bytesMoved, bytesReclaimed: bytesDropped + Math.max(0, bytesFreed - bytesMoved) }
}

interface CopyPlan {
  readonly fid: number
  readonly ranges: readonly LiveRange[]
}

function planCopies(
  vlog: RelocationLog,
  victims: readonly number[],
  liveRanges: (fid: number) => Iterable<LiveRange>,
): CopyPlan[] {
  const files = new Map(vlog.files().map((file) => [file.fid, file]))
  return [...new Set(victims)].sort((a, b) => a - b).map((fid) => {
    const file = files.get(fid)
    if (file === undefined || !file.sealed) throw new InvalidArgumentError(`value-log file ${fid} is no sealed file`)
    const ranges = [...liveRanges(fid)]
    let end = 0
    for (const { offset, len } of ranges) {
      if (!(offset >= end && len > 0 && offset + len <= file.validEnd)) {
        throw new InvalidArgumentError(`the live ranges of value-log file ${fid} overlap, descend or leave the file`)
      }
      end = offset + len
    }
    return { fid, ranges }
  })
}

async function copyAlive(
  vlog: RelocationLog,
  plans: readonly CopyPlan[],
  throttle: Throttle,
  slice: TimeSlice,
  { signal, onProgress }: RelocateOptions,
): Promise<{ bytesMoved: number; bytesFreed: number }> {
  const total = plans.reduce((sum, { ranges }) => sum + ranges.reduce((bytes, { len }) => bytes + len, 0), 0)
  const target = await vlog.createRelocation()
  let done = 0
  let bytesFreed: number
  try {
    for (const { fid, ranges } of plans) {
      for (const { offset, len } of ranges) {
        await throttle.take(2 * len, signal)
        await target.copy(fid, offset, len)
        done += len
        if (!slice.due()) continue
        onProgress?.({ phase: 'relocate', done, total, bytes: done })
        await slice.pause()
        throwIfAborted(signal)
      }
    }
    throwIfAborted(signal)
    bytesFreed = (await target.finish()).bytesFreed
  } catch (error) {
    await abortQuietly(target, error)
    throw error
  }
  onProgress?.({ phase: 'relocate', done, total, bytes: done })
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
