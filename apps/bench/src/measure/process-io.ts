/**
 * Bytes that this process wrote, all threads together, as the kernel counts them (`/proc/self/io`, Linux only).
 */
import { readFileSync } from 'node:fs'

/** Counters since the process began. */
export interface ProcessIo {
  /** Bytes passed to write calls (`wchar`). Writes through a memory map are not in it. */
  readonly handed: number
  /** Bytes of pages made dirty and so meant for the device (`write_bytes`), in whole pages, memory maps included. */
  readonly dirtied: number
}

/** Reads the counters, or null where the kernel has none. */
export function readProcessIo(): ProcessIo | null {
  let text
  try {
    text = readFileSync('/proc/self/io', 'utf8')
  } catch {
    return null
  }
  const handed = /^wchar: (\d+)$/m.exec(text)?.[1]
  const dirtied = /^write_bytes: (\d+)$/m.exec(text)?.[1]
  return handed === undefined || dirtied === undefined ? null : { handed: Number(handed), dirtied: Number(dirtied) }
}

/** What was written between two readings; null if either is missing. */
export function ioBetween(before: ProcessIo | null, after: ProcessIo | null): ProcessIo | null {
  if (before === null || after === null) return null
  return { handed: after.handed - before.handed, dirtied: after.dirtied - before.dirtied }
}
