/**
 * What callers of any package pass in beside data, checked where it comes in: whatever is wrong is `InvalidArgumentError`, before anything
 * has happened.
 */
import { InvalidArgumentError } from './errors.js'

/** What every long call takes. */
export interface WorkOptions {
  /** Aborting it ends the call with `AbortedError` at the next safe point. */
  readonly signal?: AbortSignal | undefined
  /** Told how far the call has come. */
  readonly onProgress?: ((progress: never) => void) | undefined
}

/** Options of any call: an object. @throws InvalidArgumentError */
export function checkOptions<T extends object>(options: T): T {
  if (typeof options !== 'object' || options === null) throw new InvalidArgumentError('options must be an object')
  return options
}

/** Options of a long call. A signal that is aborted already is none of the faults. @throws InvalidArgumentError */
export function checkWork<T extends WorkOptions>(options: T): T {
  const { signal, onProgress } = checkOptions(options)
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new InvalidArgumentError('signal must be an AbortSignal')
  checkFunction('onProgress', onProgress)
  return options
}

/** A boolean, or `byDefault` where there is none. @throws InvalidArgumentError */
export function checkFlag(name: string, given: boolean | undefined, byDefault: boolean): boolean {
  if (given !== undefined && typeof given !== 'boolean') throw new InvalidArgumentError(`${name} must be a boolean`)
  return given ?? byDefault
}

/** A function, or nothing. @throws InvalidArgumentError */
export function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw new InvalidArgumentError(`${name} must be a function`)
}
