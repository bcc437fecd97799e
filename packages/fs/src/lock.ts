/**
 * The directory lock, in the best variant the platform has.
 *
 *  - `native`: a lock of the kernel on the open LOCK file (`fs-native-extensions`); shared locks too.
 *  - `socket`: on Linux without that package, a listening abstract socket named after (device, inode) of LOCK;
 *    exclusive only, and seen only within one network namespace.
 *  - `pidfile`: elsewhere, a LOCK file that exists only while held and names pid, start time and boot; exclusive only.
 *    Taking over the file of a dead process has a small window in which two can win.
 *
 * Guarantees for the first two: the kernel releases the lock when the process dies; a second holder is refused also
 * in the same process and in its worker threads. None reaches across hosts. Processes that end up with different
 * variants see each other only through the line in LOCK, which is a best effort.
 */
import { createServer } from 'node:net'
import { errnoOf, LockedError } from '@wk/codec'
import { ioError, ioErrorOf, isNotFound } from './errno.js'
import type { Lock, LockOptions } from './file-system.js'
import { formatHolder, isRunning, parseHolder, thisHolder } from './lock-holder.js'
import type { LockVariant } from './lock-holder.js'
import { lockedError } from './lock-port.js'
import type { LockPort } from './lock-port.js'
import { loadNativeExtensions } from './native-extensions.js'
import { lockByPidFile } from './pid-file-lock.js'

/** Somewhere behind any content of LOCK: on Windows a locked range cannot be read by others, and the pid should be. */
const LOCKED_OFFSET = 2 ** 40
const UNSUPPORTED = new Set(['ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL', 'ENOLCK'])
const UNWRITABLE = new Set(['EACCES', 'EPERM', 'EROFS'])
/** LOCK files that vanish while we lock them are tried again, not for ever. */
const MAX_ATTEMPTS = 64

/** Identities of LOCK files that this thread holds shared: how often each. Their content does not tell. */
const sharedHere = new Map<string, number>()

/** Takes the lock. @param variant only for tests: the default is the best one that works. */
export async function takeLock(
  port: LockPort,
  path: string,
  options: LockOptions = {},
  variant?: LockVariant,
): Promise<Lock> {
  const shared = options.shared === true
  if (variant === 'pidfile' || (variant === undefined && !hasKernelLock())) return lockByPidFile(port, path, shared)
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const file = openLockFile(port, path, shared)
    if (file === undefined) return { release: async () => {} }
    const lock = await lockDescriptor(port, path, file, shared, variant)
    if (lock !== undefined) return lock
  }
  throw ioErrorOf('EIO', 'lock', path)
}

function hasKernelLock(): boolean {
  return loadNativeExtensions() !== undefined || process.platform === 'linux'
}

/** An open LOCK. */
interface LockFile {
  readonly fd: number
  /** There was none, and a reader wants none: it goes with the lock. */
  readonly isPassing: boolean
}

/** Opens LOCK. @returns undefined when there is none and none can be created, which only a shared lock accepts */
function openLockFile(port: LockPort, path: string, shared: boolean): LockFile | undefined {
  try {
    if (!shared) return { fd: port.open(path, 'write'), isPassing: false }
    try {
      return { fd: port.open(path, 'read'), isPassing: false }
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    return { fd: port.open(path, 'write'), isPassing: true }
  } catch (error) {
    if (shared && UNWRITABLE.has(errnoOf(error) ?? '') && port.identityOf(path) === undefined) return undefined
    throw ioError('lock', path, error)
  }
}

/** Locks an open LOCK file, or closes it. @returns undefined if the file was replaced meanwhile */
async function lockDescriptor(
  port: LockPort,
  path: string,
  file: LockFile,
  shared: boolean,
  variant: LockVariant | undefined,
): Promise<Lock | undefined> {
  const { fd } = file
  let held: Held | undefined
  let kept = false
  try {
    held = await holdInKernel(port, fd, shared, variant)
    if (held === undefined) throw lockedError(port, path, port.readText(fd), sharedHere.has(port.identity(fd)))
    // Somebody may have removed LOCK between our open and our lock: then it excludes nobody.
    if (port.identityOf(path) !== port.identity(fd)) return undefined
    const text = port.readText(fd)
    const previous = parseHolder(text)
    if (previous !== undefined && previous.variant !== held.variant && isRunning(previous, port.processes)) {
      throw lockedError(port, path, formatHolder(previous))
    }
    if (!shared) nameHolder(port, fd, formatHolder(thisHolder(port.processes, held.variant)), text === '')
    kept = true
    return heldLock(port, path, file, shared, held)
  } catch (error) {
    throw error instanceof LockedError ? error : ioError('lock', path, error)
  } finally {
    if (!kept) {
      await held?.release()
      port.close(fd)
    }
  }
}

interface Held {
  readonly variant: LockVariant
  /** Keeps everybody else out from now on; false if others share the lock. The descriptor must be writable. */
  exclude(): boolean
  /** Gives the kernel's lock up; the descriptor is closed afterwards. */
  release(): Promise<void>
}

function heldLock(port: LockPort, path: string, { fd, isPassing }: LockFile, shared: boolean, held: Held): Lock {
  let released: Promise<void> | undefined
  const identity = port.identity(fd)
  if (shared) sharedHere.set(identity, (sharedHere.get(identity) ?? 0) + 1)
  const release = async (): Promise<void> => {
    if (shared) forgetShared(identity)
    // So that nobody is told the number of a process that has let go.
    if (!shared) nameHolder(port, fd, '')
    if (isPassing) removeUnshared(port, path, fd, held)
    await held.release()
    try {
      port.close(fd)
    } catch (error) {
      throw ioError('unlock', path, error)
    }
  }
  return { release: () => (released ??= release()) }
}

function forgetShared(identity: string): void {
  const count = (sharedHere.get(identity) ?? 1) - 1
  if (count > 0) sharedHere.set(identity, count)
  else sharedHere.delete(identity)
}

/**
 * Removes a LOCK that only readers needed, unless one of them still does. Whoever has opened it meanwhile and waits for nobody sees
 * that it is no longer the one that the path names.
 */
function removeUnshared(port: LockPort, path: string, fd: number, held: Held): void {
  try {
    if (held.exclude() && port.identityOf(path) === port.identity(fd)) port.remove(path)
  } catch {
    // It excludes nobody where it lies.
  }
}

/** Writes the holder's line. On a full disk there is none: it is for messages, the lock is the kernel's. */
function nameHolder(port: LockPort, fd: number, line: string, isEmpty = false): void {
  try {
    port.writeText(fd, line, isEmpty)
  } catch {
    // A line left from before names a process that does not run or no longer holds the lock; readers check the first.
  }
}

/** Asks the kernel. @returns undefined if somebody else holds the lock */
async function holdInKernel(
  port: LockPort,
  fd: number,
  shared: boolean,
  variant: LockVariant | undefined,
): Promise<Held | undefined> {
  const native = variant === 'socket' ? undefined : loadNativeExtensions()
  if (native !== undefined) {
    try {
      // The lock belongs to the open file: closing the descriptor releases it.
      const take = (options: { shared: boolean }): boolean => native.tryLock(fd, LOCKED_OFFSET, 1, options)
      return take({ shared }) ? { variant: 'native', exclude: () => take({ shared: false }), release: async () => {} } : undefined
    } catch (error) {
      // Some network file systems have no locks; all processes of this host see the same and go the same other way.
      if (process.platform !== 'linux' || !UNSUPPORTED.has(errnoOf(error) ?? '')) throw error
    }
  }
  return holdSocket(`\0wk-lock-${port.identity(fd)}`)
}

/** Listens on an abstract socket; whoever connects is turned away. The name is free again when the process is gone. */
function holdSocket(name: string): Promise<Held | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((connection) => connection.destroy())
    server.unref()
    server.on('error', (error) => {
      if (errnoOf(error) === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    // Exclusive: a worker of `node:cluster` would otherwise share the socket of its parent.
    server.listen({ path: name, exclusive: true }, () => {
      resolve({ variant: 'socket', exclude: () => true, release: () => new Promise((done) => server.close(() => done())) })
    })
  })
}
