/**
 * Values of the options that something is opened with: checked, and filled in where there are none (`null` counts as none).
 */
import { InvalidArgumentError } from './errors.js'

/** A boolean. @throws InvalidArgumentError */
export function flagOption(name: string, given: boolean | undefined, byDefault: boolean): boolean {
  const value = given ?? byDefault
  if (typeof value !== 'boolean') throw new InvalidArgumentError(`${name} must be a boolean`)
  return value
}

/** A safe integer from `least` to `most`. @throws InvalidArgumentError */
export function integerOption(name: string, given: number | undefined, byDefault: number, least: number, most: number): number {
  const value = given ?? byDefault
  if (!Number.isSafeInteger(value) || value < least || value > most) throw new InvalidArgumentError(`${name} must be an integer from ${least} to ${most}`)
  return value
}

/** One of some words. @throws InvalidArgumentError */
export function wordOption<T extends string>(name: string, given: T | undefined, byDefault: T, allowed: readonly T[]): T {
  const value = given ?? byDefault
  if (!allowed.includes(value)) throw new InvalidArgumentError(`${name} must be one of ${allowed.join(', ')}`)
  return value
}
