/**
 * Assertions that stay on in production. A failing one is our bug, never the user's: the database turns read-only.
 */

/** A broken invariant of the engine itself. */
export class InvariantError extends Error {
  constructor(message: string) {
    super(`invariant broken: ${message}`)
    this.name = 'InvariantError'
  }
}

/** Throws {@link InvariantError} unless `condition` holds. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}
