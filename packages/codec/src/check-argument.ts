/**
 * Checks of what callers pass in, for the parts that hosts use one by one: whatever is wrong is `InvalidArgumentError`, before anything has
 * happened. `invariant` is for what only a fault of our own can bring about.
 */
import { InvalidArgumentError } from './errors.js'

/** Throws {@link InvalidArgumentError} unless `condition` holds. `message` says what is expected. */
export function checkArgument(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvalidArgumentError(`expected: ${message}`)
}

/** Whether `value` is a safe integer that is not negative: a length, a count, an offset. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Whether `value` has these methods. */
export function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}
