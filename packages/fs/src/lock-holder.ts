/**
 * Who holds a lock, as written into the LOCK file: one line of ASCII, `pid start boot variant`.
 *
 * `start` (start time of the process) and `boot` (identity of the running system) tell a process from a later one
 * with the same number; `-` where the platform does not give them. The line is for messages and for the variant
 * without a kernel lock; a kernel lock never depends on it.
 */

export type LockVariant = 'native' | 'socket' | 'pidfile'

export interface LockHolder {
  readonly pid: number
  readonly start: string
  readonly boot: string
  readonly variant: LockVariant
}

/** What is asked of the system about processes. */
export interface ProcessTable {
  /** Identity of the running system, or `-`. */
  bootId(): string
  /** Start time of a process in any fixed notation; `-` if unknown; undefined if there is no such process. */
  startTime(pid: number): string | undefined
}

const LINE = /^([1-9][0-9]{0,9}) ([!-~]{1,64}) ([!-~]{1,64}) (native|socket|pidfile)\n$/

/** Longest line in bytes; a longer file is not ours. */
export const MAX_HOLDER_LENGTH = 160

/** This process, as the holder of a lock. */
export function thisHolder(table: ProcessTable, variant: LockVariant): LockHolder {
  return { pid: process.pid, start: table.startTime(process.pid) ?? '-', boot: table.bootId(), variant }
}

export function formatHolder(holder: LockHolder): string {
  return `${holder.pid} ${holder.start} ${holder.boot} ${holder.variant}\n`
}

/** The holder a LOCK file names; undefined if the text is empty or not exactly such a line. */
export function parseHolder(text: string): LockHolder | undefined {
  const match = LINE.exec(text)
  if (match === null) return undefined
  const [, pid, start, boot, variant] = match
  if (pid === undefined || start === undefined || boot === undefined) return undefined
  return { pid: Number(pid), start, boot, variant: variant as LockVariant }
}

/** Whether the process that wrote the line still runs. In doubt, yes. */
export function isRunning(holder: LockHolder, table: ProcessTable): boolean {
  const boot = table.bootId()
  if (holder.boot !== '-' && boot !== '-' && holder.boot !== boot) return false
  const start = table.startTime(holder.pid)
  if (start === undefined) return false
  return start === '-' || holder.start === '-' || start === holder.start
}
