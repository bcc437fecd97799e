/**
 * Which processes run, and since when: from `/proc` on Linux, from `ps` on other Unix systems, by a null signal
 * elsewhere. Used to tell the holder of a lock from a later process with the same number.
 */
import { execFileSync } from 'node:child_process'
import { errnoOf } from '@wk/codec'
import type { ProcessTable } from './lock-holder.js'

const UNKNOWN = '-'

/**
 * What can't change while this process runs is asked for once: every opening of a database wants it.
 * @param readText reads a small file; throws if it cannot
 */
export function createProcessTable(readText: (path: string) => string): ProcessTable {
  let boot: string | undefined
  let ownStart: string | undefined
  return {
    bootId: () => (boot ??= bootId(readText)),
    startTime: (pid) => (pid === process.pid ? (ownStart ??= startTime(pid, readText)) : startTime(pid, readText)),
  }
}

function bootId(readText: (path: string) => string): string {
  if (process.platform !== 'linux') return UNKNOWN
  try {
    return readText('/proc/sys/kernel/random/boot_id').trim() || UNKNOWN
  } catch {
    return UNKNOWN
  }
}

function startTime(pid: number, readText: (path: string) => string): string | undefined {
  if (!exists(pid)) return undefined
  if (process.platform === 'linux') return linuxStartTime(pid, readText)
  return process.platform === 'win32' ? UNKNOWN : unixStartTime(pid)
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) !== 'ESRCH'
  }
}

function linuxStartTime(pid: number, readText: (path: string) => string): string | undefined {
  let text: string
  try {
    text = readText(`/proc/${pid}/stat`)
  } catch {
    return exists(pid) ? UNKNOWN : undefined
  }
  // The second field is the name in parentheses and may hold anything; the third is the state, the 22nd the start.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  if (state === 'Z' || state === 'X') return undefined
  return fields[19] ?? UNKNOWN
}

function unixStartTime(pid: number): string {
  try {
    const line = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'latin1', timeout: 2000 })
    return line.trim().replace(/[^!-~]+/g, '_') || UNKNOWN
  } catch {
    return UNKNOWN
  }
}
