/**
 * From the engine's error codes to Level's.
 *
 * Every error that has a counterpart in Level becomes a {@link LevelError} with the original as its `cause`; what has
 * none (a bad argument, a batch that is too big) stays the `WkError` it is. Messages are the engine's, so neither
 * carries bytes of keys or values.
 */
import { WkError } from '@wk/db'
import type { WkErrorCode } from '@wk/db'

/** Codes of the errors that this package makes; `abstract-level` documents them and makes more of its own. */
export type LevelErrorCode =
  | 'LEVEL_DATABASE_NOT_OPEN'
  | 'LEVEL_ITERATOR_NOT_OPEN'
  | 'LEVEL_SNAPSHOT_NOT_OPEN'
  | 'LEVEL_LOCKED'
  | 'LEVEL_CORRUPTION'
  | 'LEVEL_IO_ERROR'
  | 'LEVEL_READONLY'
  | 'LEVEL_NOT_SUPPORTED'
  | 'LEVEL_ABORTED'
  | 'LEVEL_NOT_FOUND'
  | 'LEVEL_EXISTS'

/** An error with a code of Level. */
export class LevelError extends Error {
  /** Stable, for programs. */
  readonly code: LevelErrorCode

  constructor(code: LevelErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    // The platform's own name for it, which callers of `fetch` and the like look for.
    this.name = code === 'LEVEL_ABORTED' ? 'AbortError' : 'LevelError'
    this.code = code
  }
}

/** Codes with a counterpart. `WK_CLOSED` depends on what was closed. */
const CODES: Partial<Record<WkErrorCode, LevelErrorCode>> = {
  WK_LOCKED: 'LEVEL_LOCKED',
  WK_CORRUPTION: 'LEVEL_CORRUPTION',
  WK_IO: 'LEVEL_IO_ERROR',
  WK_READ_ONLY: 'LEVEL_READONLY',
  WK_NOT_SUPPORTED: 'LEVEL_NOT_SUPPORTED',
  WK_ABORTED: 'LEVEL_ABORTED',
  WK_NOT_FOUND: 'LEVEL_NOT_FOUND',
  WK_EXISTS: 'LEVEL_EXISTS',
}

/** What Level calls an error of the engine. `closed` is the code for the handle that was used after its end. */
export function levelError(error: unknown, closed: LevelErrorCode = 'LEVEL_DATABASE_NOT_OPEN'): unknown {
  if (!(error instanceof WkError)) return error
  const code = error.code === 'WK_CLOSED' ? closed : CODES[error.code]
  return code === undefined ? error : new LevelError(code, error.message, error)
}

/** {@link levelError} for an open of `location`, in the words that users of Level look for. */
export function openError(error: unknown, location: string): unknown {
  const mapped = levelError(error)
  if (!(mapped instanceof LevelError)) return mapped
  if (mapped.code === 'LEVEL_NOT_FOUND') return new LevelError(mapped.code, `${location}: does not exist (createIfMissing is false)`, error)
  if (mapped.code === 'LEVEL_EXISTS') return new LevelError(mapped.code, `${location}: exists (errorIfExists is true)`, error)
  return mapped
}

/** The error of a database that is not open. */
export function notOpen(): LevelError {
  return new LevelError('LEVEL_DATABASE_NOT_OPEN', 'Database is not open')
}
