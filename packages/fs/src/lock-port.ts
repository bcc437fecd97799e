/**
 * What the directory lock needs from the file system that owns the descriptors, and the refusal every variant gives.
 */
import { LockedError } from '@wk/codec'
import { isRunning, parseHolder } from './lock-holder.js'
import type { ProcessTable } from './lock-holder.js'

/** The few descriptor operations a lock needs. All synchronous; failures are errno errors as the system made them. */
export interface LockPort {
  /** Opens LOCK itself, never through a symbolic link, regular files only. `write` creates it if it is missing. */
  open(path: string, access: 'read' | 'write'): number
  close(fd: number): void
  /** A text that names the file behind the descriptor for as long as it is open. */
  identity(fd: number): string
  /** {@link identity} of what the path names now; undefined if there is nothing. */
  identityOf(path: string): string | undefined
  /** The beginning of the file, as long as any line of ours. */
  readText(fd: number): string
  /** Replaces the whole content; `isEmpty` tells that there is none. */
  writeText(fd: number, text: string, isEmpty: boolean): void
  /** Creates a file with this content, atomically; false if there is one. */
  createExclusive(path: string, text: string): boolean
  rename(from: string, to: string): void
  remove(path: string): void
  readonly processes: ProcessTable
}

/**
 * The refusal; names the holder if `text`, the content of LOCK, is the line of a running process. Readers leave no line: `isHere` tells that
 * one of them is in this thread.
 */
export function lockedError(port: LockPort, path: string, text: string, isHere = false): LockedError {
  const holder = parseHolder(text)
  const pid = holder !== undefined && isRunning(holder, port.processes) ? holder.pid : isHere ? process.pid : undefined
  if (pid === undefined) return new LockedError(`${path} is locked by another handle`)
  return new LockedError(`${path} is locked by ${pid === process.pid ? `this process (pid ${pid})` : `process ${pid}`}`, { pid })
}
