/**
 * Errors of background work, in the form in which they may leave the package.
 */
import { ReadOnlyError, WkError } from '@wk/codec'

/** `error` itself if it is one of ours; anything else is our own bug and comes as the cause of a `ReadOnlyError`. */
export function asWkError(error: unknown): WkError {
  return error instanceof WkError ? error : new ReadOnlyError('internal error', { cause: error })
}
