/**
 * What callers pass in, checked where it comes in: whatever is wrong is `InvalidArgumentError`, before anything has happened.
 */
import { InvalidArgumentError } from '@wk/codec'
import type { GcWorkOptions } from './collector.js'

/** Options of a long call. The rate is the throttle's to check. */
export function checkWork<T extends GcWorkOptions>(options: T): T {
  if (typeof options !== 'object' || options === null) throw new InvalidArgumentError('options must be an object')
  const { signal, onProgress } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new InvalidArgumentError('signal must be an AbortSignal')
  checkFunction('onProgress', onProgress)
  return options
}

/** A function, or nothing. */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw new InvalidArgumentError(`${name} must be a function`)
}

/** Whether `value` has these methods. */
export function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}
