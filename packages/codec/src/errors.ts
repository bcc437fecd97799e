/**
 * Every error that leaves a public function of this engine.
 *
 * One class per code, so that callers may use either `instanceof` or `code`. `instanceof WkError` also holds for an
 * error made by another copy of this package (brand by `Symbol.for`). Codes are stable; messages are not. No error
 * ever carries key or value bytes.
 */

/** Why something failed: stable, for programs. */
export type WkErrorCode =
  | 'WK_INVALID_ARGUMENT'
  | 'WK_CLOSED'
  | 'WK_LOCKED'
  | 'WK_CORRUPTION'
  | 'WK_IO'
  | 'WK_READ_ONLY'
  | 'WK_CONFLICT'
  | 'WK_TXN_TOO_BIG'
  | 'WK_NO_REWRITE'
  | 'WK_GC_RUNNING'
  | 'WK_NOT_SUPPORTED'
  | 'WK_ABORTED'
  | 'WK_NOT_FOUND'
  | 'WK_EXISTS'
  | 'WK_WRONG_KEY'

const BRAND = Symbol.for('@wk/error')

/** What every error may carry. */
export interface WkErrorOptions {
  /** The error that caused this one. */
  cause?: unknown
}

/** Base of every error of the engine. */
export class WkError extends Error {
  /** Stable, machine-readable reason. */
  readonly code: WkErrorCode

  constructor(code: WkErrorCode, message: string, options: WkErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    Object.defineProperty(this, BRAND, { value: true })
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this === WkError) return typeof value === 'object' && value !== null && BRAND in value
    return Function.prototype[Symbol.hasInstance].call(this, value)
  }
}

/** An argument of the wrong type or out of range. Nothing was changed. */
export class InvalidArgumentError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_INVALID_ARGUMENT', message, options)
  }
}

/** The handle was used after `close()`. */
export class ClosedError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_CLOSED', message, options)
  }
}

/** Another open handle, in this or another process, owns the directory. */
export class LockedError extends WkError {
  /** Process that holds the lock, where it is known. */
  readonly pid: number | undefined

  constructor(message: string, options: WkErrorOptions & { pid?: number | undefined } = {}) {
    super('WK_LOCKED', message, options)
    this.pid = options.pid
  }
}

/** Bytes on disk that do not verify, or a file that is gone. */
export class CorruptionError extends WkError {
  /** File name, relative to the database directory where the thrower knows it. */
  readonly file: string | undefined
  /** Offset of the damage in the file, in bytes; absent when the file itself is missing. */
  readonly offset: number | undefined

  constructor(message: string, options: WkErrorOptions & { file?: string | undefined; offset?: number | undefined } = {}) {
    super('WK_CORRUPTION', message, options)
    this.file = options.file
    this.offset = options.offset
  }
}

/** The operating system failed; `cause` is its errno error. */
export class IoError extends WkError {
  /** Path the operation was for. */
  readonly file: string
  /** Name of the operation, for example `read`, `sync` or `rename`. */
  readonly operation: string

  constructor(message: string, options: WkErrorOptions & { file: string; operation: string }) {
    super('WK_IO', message, options)
    this.file = options.file
    this.operation = options.operation
  }
}

/** Opened read-only, or turned read-only by an earlier failure, which is then the `cause`. */
export class ReadOnlyError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_READ_ONLY', message, options)
  }
}

/** A transaction lost to a concurrent commit. */
export class ConflictError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_CONFLICT', message, options)
  }
}

/** A batch or transaction over `maxBatchCount` operations or `maxBatchSize` bytes. */
export class TxnTooBigError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_TXN_TOO_BIG', message, options)
  }
}

/** Garbage collection found no file worth rewriting. */
export class NoRewriteError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_NO_REWRITE', message, options)
  }
}

/** A garbage collection is running already. */
export class GcRunningError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_GC_RUNNING', message, options)
  }
}

/** Not available in this mode or version. */
export class NotSupportedError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_NOT_SUPPORTED', message, options)
  }
}

/** The caller's signal was aborted; `name` is `AbortError`, as the platform's own. */
export class AbortedError extends WkError {
  constructor(message = 'The operation was aborted', options?: WkErrorOptions) {
    super('WK_ABORTED', message, options)
    this.name = 'AbortError'
  }
}

/** There is no database and none may be created. */
export class NotFoundError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_NOT_FOUND', message, options)
  }
}

/** There is a database already. */
export class ExistsError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_EXISTS', message, options)
  }
}

/** The encryption key is missing or not the one the files were written with. */
export class WrongKeyError extends WkError {
  constructor(message: string, options?: WkErrorOptions) {
    super('WK_WRONG_KEY', message, options)
  }
}

/** The errno name (`ENOENT`, `ENOSPC`, ...) found along the chain of causes, if there is one. */
export function errnoOf(error: unknown): string | undefined {
  let current: unknown = error
  for (let depth = 0; depth < 8 && typeof current === 'object' && current !== null; depth++) {
    const { code, errno } = current as { code?: unknown; errno?: unknown }
    if (typeof code === 'string' && (errno !== undefined || /^E[A-Z0-9]+$/.test(code))) return code
    current = (current as { cause?: unknown }).cause
  }
  return undefined
}

/** Whether something failed because the disk has no room for it. */
export function isOutOfSpace(error: unknown): boolean {
  return NO_SPACE.has(errnoOf(error) ?? '')
}

const NO_SPACE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Whether something failed for want of room or of descriptors, which another time may have. */
export function isOutOfResources(error: unknown): boolean {
  return NO_RESOURCES.has(errnoOf(error) ?? '')
}

const NO_RESOURCES = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE'])

/** Throws the signal's abort as {@link AbortedError}. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError(undefined, { cause: signal.reason })
}
