/**
 * What callers of a value log pass in, checked where it comes in: whatever is wrong is `InvalidArgumentError`, before anything has happened.
 */
import { InvalidArgumentError } from '@wk/codec'
import type { VerifyOptions } from './file-walk.js'

export function checkOptions<T extends object>(options: T): T {
  if (typeof options !== 'object' || options === null) throw new InvalidArgumentError('options must be an object')
  return options
}

/** Options of a long call. */
export function checkWork(options: VerifyOptions): VerifyOptions {
  const { signal, onProgress } = checkOptions(options)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new InvalidArgumentError('signal must be an AbortSignal')
  if (onProgress !== undefined && typeof onProgress !== 'function') throw new InvalidArgumentError('onProgress must be a function')
  return options
}

export function checkCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError(`${name} must be an integer from 0`)
}

export function checkArray<T>(name: string, value: readonly T[]): readonly T[] {
  if (!Array.isArray(value)) throw new InvalidArgumentError(`${name} must be an array`)
  return value
}
