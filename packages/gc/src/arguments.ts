/**
 * Parts that a caller passes in, told by the methods that they must have.
 */

/** Whether `value` has these methods. */
export function hasMethods(value: unknown, ...names: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null) return false
  return names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}
