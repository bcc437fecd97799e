/**
 * Errors of the operating system in the engine's form: an {@link IoError} whose cause carries the errno name.
 *
 * Also makes errno errors for file systems that have no operating system below them, and checks the arguments that
 * would otherwise fail differently in each implementation.
 */
import { errnoOf, InvalidArgumentError, IoError } from '@wk/codec'

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EBADF: 'bad file descriptor',
  EEXIST: 'file already exists',
  EINVAL: 'not a regular file',
  EIO: 'i/o error',
  EISDIR: 'illegal operation on a directory',
  ELOOP: 'symbolic link refused',
  EMFILE: 'too many open files',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  ENOTEMPTY: 'directory not empty',
  EROFS: 'read-only file system',
}

/** An error as Node makes them: `code`, `syscall` and `path` are set. */
export function errnoError(code: string, operation: string, path: string): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: ${DESCRIPTIONS[code] ?? 'failed'}, ${operation} '${path}'`)
  error.code = code
  error.syscall = operation
  error.path = path
  return error
}

/** Wraps what the system threw. */
export function ioError(operation: string, path: string, cause: unknown): IoError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new IoError(`${operation} of ${path} failed: ${reason}`, { file: path, operation, cause })
}

/** An {@link IoError} made from an errno name. */
export function ioErrorOf(code: string, operation: string, path: string): IoError {
  return ioError(operation, path, errnoError(code, operation, path))
}

/** Whether an error says that a file or directory does not exist. */
export function isNotFound(error: unknown): boolean {
  return errnoOf(error) === 'ENOENT'
}

/** Throws unless `[offset, offset + length)` lies in the buffer and `position` is a place in a file. */
export function checkRange(bytes: Uint8Array, offset: number, length: number, position: number): void {
  if (
    Number.isSafeInteger(offset) &&
    Number.isSafeInteger(length) &&
    Number.isSafeInteger(position) &&
    offset >= 0 &&
    length >= 0 &&
    position >= 0 &&
    offset + length <= bytes.length &&
    position + length <= Number.MAX_SAFE_INTEGER
  ) {
    return
  }
  throw new InvalidArgumentError(
    `range outside the buffer or the file: offset ${offset}, length ${length} of ${bytes.length}, position ${position}`,
  )
}

/** Throws unless `length` can be the length of a file. */
export function checkLength(length: number): void {
  if (Number.isSafeInteger(length) && length >= 0) return
  throw new InvalidArgumentError(`not a file length: ${length}`)
}

/** Throws unless `[offset, offset + length)` can be a range of a file. */
export function checkSpan(offset: number, length: number): void {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0 && offset + length <= Number.MAX_SAFE_INTEGER) return
  throw new InvalidArgumentError(`not a range of a file: offset ${offset}, length ${length}`)
}
