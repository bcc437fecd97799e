/**
 * What callers of a value log pass in, checked where it comes in: whatever is wrong is `InvalidArgumentError`, before anything has happened.
 */
import { InvalidArgumentError, checkArgument, isCount, isValuePointer } from '@wk/codec'
import { ValueBatch, type ValueRequest } from './record-batch.js'
import type { LogPosition } from './sync-tracker.js'

export function checkCount(name: string, value: number): void {
  if (!isCount(value)) throw new InvalidArgumentError(`${name} must be an integer from 0`)
}

export function checkArray<T>(name: string, value: readonly T[]): readonly T[] {
  if (!Array.isArray(value)) throw new InvalidArgumentError(`${name} must be an array`)
  return value
}

/** A place in the log, as `writtenPosition` gives it. */
export function checkPosition(position: LogPosition): LogPosition {
  checkArgument(typeof position === 'object' && position !== null && isCount(position.fid) && isCount(position.offset), 'a position with fid and offset')
  return position
}

/** Requests as a batch. */
export function batchOf(requests: readonly ValueRequest[]): ValueBatch {
  const batch = new ValueBatch()
  for (const [slot, request] of checkArray('requests', requests).entries()) {
    checkArgument(typeof request === 'object' && request !== null, 'a request')
    const { pointer, key, version } = request
    checkArgument(isValuePointer(pointer) && key instanceof Uint8Array && isCount(version), 'a pointer, a key as a Uint8Array, and a version')
    batch.add(slot, pointer.fid, pointer.offset, pointer.len, key, version)
  }
  return batch
}

export function checkBatch(batch: ValueBatch): ValueBatch {
  checkArgument(batch instanceof ValueBatch, 'a ValueBatch')
  return batch
}

/** Limits in bytes, `Infinity` for none. */
export function checkLimits(...limits: readonly number[]): void {
  for (const limit of limits) checkArgument(typeof limit === 'number' && limit >= 0, 'limits in bytes')
}
