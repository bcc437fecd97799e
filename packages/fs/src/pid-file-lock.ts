/**
 * The lock for platforms without a kernel lock: a LOCK file that exists, with a line that names its holder, exactly
 * while it is held.
 *
 * Guarantees: creation is atomic and complete, so that of any number of processes that find no file one wins; the
 * file of a process that runs is never touched. Not guaranteed: two processes that take over a dead one's file in the
 * same instant are told apart by identity checks only. A worker thread that ends without releasing keeps the lock
 * until its process ends.
 */
import { errnoOf, LockedError } from '@wk/codec'
import { ioError, ioErrorOf, isNotFound } from './errno.js'
import type { Lock } from './file-system.js'
import { formatHolder, isRunning, parseHolder, thisHolder } from './lock-holder.js'
import { lockedError } from './lock-port.js'
import type { LockPort } from './lock-port.js'

const MAX_ATTEMPTS = 64
let takeovers = 0

/** Takes the lock. With `shared` an unwritable directory is no obstacle, if nobody holds its lock. */
export function lockByPidFile(port: LockPort, path: string, shared: boolean): Lock {
  try {
    const text = formatHolder(thisHolder(port.processes, 'pidfile'))
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      if (takeFree(port, path, shared)) return { release: async () => {} }
      if (create(port, path, text, shared)) return pidFileLock(port, path, shared)
    }
  } catch (error) {
    throw error instanceof LockedError ? error : ioError('lock', path, error)
  }
  throw ioErrorOf('EIO', 'lock', path)
}

/**
 * Looks at the file that is there: refuses if its holder runs, else moves it out of the way.
 * @returns whether the directory cannot be written and the (shared) lock is granted without a file
 */
function takeFree(port: LockPort, path: string, shared: boolean): boolean {
  const found = read(port, path)
  if (found === undefined) return false
  const holder = parseHolder(found.text)
  if (holder !== undefined && isRunning(holder, port.processes)) throw lockedError(port, path, found.text)
  const aside = `${path}.${process.pid}-${takeovers++}.tmp`
  try {
    port.rename(path, aside)
  } catch (error) {
    if (isNotFound(error)) return false
    if (shared && isUnwritable(error)) return true
    throw error
  }
  if (port.identityOf(aside) !== found.identity) {
    // Another process was faster and this is its new file: put it back.
    port.rename(aside, path)
    return false
  }
  port.remove(aside)
  return false
}

function create(port: LockPort, path: string, text: string, shared: boolean): boolean {
  try {
    return port.createExclusive(path, text)
  } catch (error) {
    if (shared && isUnwritable(error)) return true
    throw error
  }
}

function pidFileLock(port: LockPort, path: string, shared: boolean): Lock {
  // The open descriptor keeps the file's identity from being given to another one.
  const fd = openCreated(port, path, shared)
  if (fd === undefined) return { release: async () => {} }
  let released = false
  return {
    release: async () => {
      if (released) return
      released = true
      try {
        if (port.identityOf(path) === port.identity(fd)) port.remove(path)
      } catch (error) {
        throw ioError('unlock', path, error)
      } finally {
        port.close(fd)
      }
    },
  }
}

/** Opens the file just created; undefined if an unwritable directory has none. */
function openCreated(port: LockPort, path: string, shared: boolean): number | undefined {
  try {
    return port.open(path, 'read')
  } catch (error) {
    if (shared && isNotFound(error)) return undefined
    throw error
  }
}

function read(port: LockPort, path: string): { text: string; identity: string } | undefined {
  let fd: number
  try {
    fd = port.open(path, 'read')
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
  try {
    return { text: port.readText(fd), identity: port.identity(fd) }
  } finally {
    port.close(fd)
  }
}

function isUnwritable(error: unknown): boolean {
  const code = errnoOf(error)
  return code === 'EACCES' || code === 'EPERM' || code === 'EROFS'
}
