/**
 * What the tree's thread and a worker say to each other: plain data only.
 *
 * Errors do not survive a trip between threads as what they are, so they travel as descriptions and are made anew: of
 * the same class, with the same facts and the same chain of causes. Both sides must be of the same release; the
 * worker's first message says which protocol it speaks.
 */
import { AbortedError, ClosedError, CorruptionError, IoError, NotSupportedError, WkError } from '@wk/codec'
import type { WkErrorCode } from '@wk/codec'
import type { FileSystemDescription } from '@wk/fs'

/** Changes with every change of messages, jobs or results. */
export const WORKER_PROTOCOL = 6

/** Kind of the tree's own jobs. */
export const TREE_JOB = 'job'

/** What a worker is started with (`workerData`). */
export interface WorkerStart {
  wkLsmWorker: number
}

/** To the worker. */
export type WorkerRequest =
  /** Run what `kind` names, with the file system that `fs` describes. */
  | { type: 'run'; id: number; kind: string; data: unknown; fs: FileSystemDescription }
  /** End the job soon; its answer comes all the same. */
  | { type: 'abort'; id: number }

/** From the worker. */
export type WorkerReply =
  /** The worker is loaded. Its first message. */
  | { type: 'ready'; protocol: number }
  | { type: 'done'; id: number; result: unknown }
  /** The job failed and left no file. */
  | { type: 'failed'; id: number; error: ErrorDescription }

/** An error as plain data. */
export interface ErrorDescription {
  name: string
  message: string
  /** Of a `WkError`, or of an error of the system (`ENOSPC`). */
  code: string | undefined
  errno: number | undefined
  isWkError: boolean
  file: string | undefined
  operation: string | undefined
  offset: number | undefined
  stack: string | undefined
  cause: ErrorDescription | undefined
}

/** Causes deeper than this are left out. */
const MAX_DEPTH = 8

export function describeError(error: unknown, depth = 0): ErrorDescription {
  const facts: Record<string, unknown> = typeof error === 'object' && error !== null ? { ...error } : {}
  const { cause } = error instanceof Error ? error : {}
  return {
    name: error instanceof Error ? error.name : 'Error',
    message: error instanceof Error ? error.message : String(error),
    code: stringOf(facts['code']),
    errno: numberOf(facts['errno']),
    isWkError: error instanceof WkError,
    file: stringOf(facts['file']),
    operation: stringOf(facts['operation']),
    offset: numberOf(facts['offset']),
    stack: error instanceof Error ? error.stack : undefined,
    cause: cause === undefined || depth === MAX_DEPTH ? undefined : describeError(cause, depth + 1),
  }
}

export function errorFrom(description: ErrorDescription): Error {
  const error = remake(description)
  if (description.stack !== undefined) error.stack = description.stack
  return error
}

function remake({ name, message, code, errno, isWkError, file, operation, offset, cause: inner }: ErrorDescription): Error {
  const cause = inner === undefined ? undefined : errorFrom(inner)
  if (!isWkError) {
    const error = new Error(message, { cause })
    error.name = name
    return Object.assign(error, code === undefined ? {} : { code }, errno === undefined ? {} : { errno })
  }
  switch (code) {
    case 'WK_IO':
      return new IoError(message, { file: file ?? '', operation: operation ?? '', cause })
    case 'WK_CORRUPTION':
      return new CorruptionError(message, { file, offset, cause })
    case 'WK_ABORTED':
      return new AbortedError(message, { cause })
    case 'WK_NOT_SUPPORTED':
      return new NotSupportedError(message, { cause })
    case 'WK_CLOSED':
      return new ClosedError(message, { cause })
    default:
      return new WkError(code as WkErrorCode, message, { cause })
  }
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}
