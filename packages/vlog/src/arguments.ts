/**
 * What callers of a value log pass in, checked where it comes in: whatever is wrong is `InvalidArgumentError`, before anything has happened.
 */
import { InvalidArgumentError } from '@wk/codec'

export function checkCount(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError(`${name} must be an integer from 0`)
}

export function checkArray<T>(name: string, value: readonly T[]): readonly T[] {
  if (!Array.isArray(value)) throw new InvalidArgumentError(`${name} must be an array`)
  return value
}
