/**
 * The file system of the machine. The only production importer of `node:fs`.
 *
 * Guarantees beyond the interface: files 0600, directories 0700; nothing is opened through a symbolic link in the last
 * part of its path, and opening never hangs on a pipe; O_APPEND is never used; a descriptor number is given back to
 * the system only when no operation on it is in flight, so that none can reach another file.
 *
 * Instances have no state of their own: each thread makes its own and opens files by path.
 */
import * as fs from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import { errnoOf, NotSupportedError } from '@wk/codec'
import type { FileSystemDescription } from './description.js'
import { checkLength, checkRange, checkSpan, errnoError, ioError, ioErrorOf } from './errno.js'
import type { File, FileSystem, FileUsage, Lock, LockOptions, MkdirOptions, OpenMode } from './file-system.js'
import { MAX_HOLDER_LENGTH } from './lock-holder.js'
import type { LockVariant } from './lock-holder.js'
import type { LockPort } from './lock-port.js'
import { takeLock } from './lock.js'
import { loadNativeExtensions } from './native-extensions.js'
import { createProcessTable } from './process-table.js'
import { distinctTicks } from './runtime.js'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
/** A symbolic link fails with ELOOP; a pipe does not block before it is refused. Absent on Windows. */
const SAFE = (O_NOFOLLOW ?? 0) | (O_NONBLOCK ?? 0)
const OPEN_FLAGS: Readonly<Record<OpenMode, number>> = {
  read: O_RDONLY | SAFE,
  create: O_RDWR | O_CREAT | O_EXCL | SAFE,
  update: O_RDWR | SAFE,
}
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700
/** What the kernel says where a file system has no holes, or has another way of making them. */
const NO_HOLES = new Set(['ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EPERM', 'EINVAL'])
/** Unit of `st_blocks`, in bytes, whatever the blocks of the file system are. */
const STAT_BLOCK = 512
/** One call moves at most this much: Node refuses 2 GiB and more, and short reads and writes are allowed. */
const MAX_TRANSFER = 2 ** 30

export interface NodeFileSystemOptions {
  /** Which directory lock to use; for tests. Default: the best one that works here. */
  lockVariant?: LockVariant
}

export class NodeFileSystem implements FileSystem {
  readonly kind = 'node'
  readonly description: FileSystemDescription = { type: 'node' }
  readonly #lockVariant: LockVariant | undefined

  constructor(options: NodeFileSystemOptions = {}) {
    this.#lockVariant = options.lockVariant
  }

  async open(path: string, mode: OpenMode): Promise<File> {
    refuseSymlinkWithoutNoFollow(path, 'open')
    const fd = await call<number>('open', path, (done) => fs.open(path, OPEN_FLAGS[mode], FILE_MODE, done))
    try {
      // Of an open file the system knows this without looking: a trip through the thread pool would cost more.
      requireRegular(callSync('open', path, () => fs.fstatSync(fd)), path, 'open')
    } catch (error) {
      fs.closeSync(fd)
      throw error
    }
    return new NodeFile(path, fd)
  }

  openSync(path: string, mode: OpenMode): File {
    refuseSymlinkWithoutNoFollow(path, 'open')
    const fd = callSync('open', path, () => fs.openSync(path, OPEN_FLAGS[mode], FILE_MODE))
    try {
      requireRegular(callSync('open', path, () => fs.fstatSync(fd)), path, 'open')
    } catch (error) {
      fs.closeSync(fd)
      throw error
    }
    return new NodeFile(path, fd)
  }

  rename(from: string, to: string): Promise<void> {
    return call('rename', from, (done) => fs.rename(from, to, done))
  }

  remove(path: string): Promise<void> {
    return call('remove', path, (done) => fs.unlink(path, done))
  }

  async list(dir: string): Promise<string[]> {
    const names = await call<string[]>('list', dir, (done) => fs.readdir(dir, done))
    return names.sort()
  }

  async mkdir(dir: string, { syncs }: MkdirOptions = {}): Promise<boolean> {
    const missing: string[] = []
    let present = callSync('mkdir', dir, () => resolve(dir))
    for (;;) {
      const state = directoryState(present, dir)
      if (state === 'present') break
      missing.push(present)
      present = dirname(present)
    }
    let created = false
    const parents: string[] = []
    for (let path = missing.pop(); path !== undefined; path = missing.pop()) {
      const target = path
      try {
        callSync('mkdir', target, () => fs.mkdirSync(target, DIRECTORY_MODE))
        created = true
      } catch (error) {
        // Somebody else was faster; what they made must still be a directory.
        if (errnoOf(error) !== 'EEXIST' || directoryState(target, dir) !== 'present') throw error
        created = false
      }
      parents.push(dirname(target))
    }
    const all = [() => this.#syncParentOfPresent(present), ...parents.map((parent) => () => this.syncDir(parent))]
    if (syncs === undefined) await Promise.all(all.map((sync) => sync()))
    else syncs.push(...all)
    return created
  }

  rmdir(dir: string): Promise<void> {
    return call('rmdir', dir, (done) => fs.rmdir(dir, done))
  }

  async link(from: string, to: string): Promise<void> {
    try {
      await call('link', from, (done) => fs.link(from, to, done))
    } catch (error) {
      const code = errnoOf(error)
      if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'ENOSYS' || code === 'EXDEV') {
        throw new NotSupportedError(`no hard link from ${from} to ${to}: ${code}`, { cause: error })
      }
      throw error
    }
  }

  async syncDir(dir: string): Promise<void> {
    // Windows has no handle of a directory that can be synced; NTFS journals names itself.
    if (process.platform === 'win32') return
    const fd = callSync('syncDir', dir, () => fs.openSync(dir, O_RDONLY | (O_DIRECTORY ?? 0)))
    try {
      await call('syncDir', dir, (done) => fs.fsync(fd, done))
    } finally {
      fs.closeSync(fd)
    }
  }

  lock(path: string, options?: LockOptions): Promise<Lock> {
    return takeLock(lockPort, path, options, this.#lockVariant)
  }

  /**
   * A directory made by a process that was killed before it could sync the parent is there, but not for certain after
   * a power loss. Where the parent is not ours to open, its owner has to see to that.
   */
  async #syncParentOfPresent(present: string): Promise<void> {
    const parent = dirname(present)
    if (parent === present) return
    try {
      await this.syncDir(parent)
    } catch (error) {
      const code = errnoOf(error)
      if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS' && code !== 'EINVAL') throw error
    }
  }
}

/** An open descriptor and the operations in flight on it. */
class NodeFile implements File {
  readonly path: string
  readonly #fd: number
  #pending = 0
  #closing: Promise<void> | undefined
  /** Set while a close waits for the operations in flight. */
  #whenIdle: (() => void) | undefined

  constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  async read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    checkRange(into, offset, length, position)
    const count = Math.min(length, MAX_TRANSFER)
    return this.#run<number>('read', (fd, done) => fs.read(fd, into, offset, count, position, done))
  }

  readSync(into: Uint8Array, offset: number, length: number, position: number): number {
    checkRange(into, offset, length, position)
    if (this.#closing !== undefined) throw ioErrorOf('EBADF', 'read', this.path)
    if (length === 0) return 0
    try {
      return fs.readSync(this.#fd, into, offset, length > MAX_TRANSFER ? MAX_TRANSFER : length, position)
    } catch (error) {
      throw ioError('read', this.path, error)
    }
  }

  async write(from: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    checkRange(from, offset, length, position)
    const count = Math.min(length, MAX_TRANSFER)
    return this.#run<number>('write', (fd, done) => fs.write(fd, from, offset, count, position, done))
  }

  writeSync(from: Uint8Array, offset: number, length: number, position: number): number {
    checkRange(from, offset, length, position)
    if (this.#closing !== undefined) throw ioErrorOf('EBADF', 'write', this.path)
    try {
      return fs.writeSync(this.#fd, from, offset, length > MAX_TRANSFER ? MAX_TRANSFER : length, position)
    } catch (error) {
      throw ioError('write', this.path, error)
    }
  }

  async truncate(length: number): Promise<void> {
    checkLength(length)
    await this.#run('truncate', (fd, done) => fs.ftruncate(fd, length, done))
  }

  async punch(offset: number, length: number): Promise<void> {
    checkSpan(offset, length)
    if (length === 0) return
    const extensions = loadNativeExtensions()
    if (extensions === undefined) throw new NotSupportedError('holes need the optional package fs-native-extensions')
    try {
      await this.#run('punch', (fd, done) => void extensions.trim(fd, offset, length).then(() => done(null), done))
    } catch (error) {
      const code = errnoOf(error)
      if (code !== undefined && NO_HOLES.has(code)) throw new NotSupportedError(`no hole in ${this.path}: ${code}`, { cause: error })
      throw error
    }
  }

  async sync(): Promise<void> {
    await this.#run('sync', (fd, done) => fs.fdatasync(fd, done))
  }

  syncSync(): void {
    this.#runSync('sync', (fd) => fs.fdatasyncSync(fd))
  }

  async size(): Promise<number> {
    return (await this.#run<fs.Stats>('size', (fd, done) => fs.fstat(fd, done))).size
  }

  sizeSync(): number {
    return this.#runSync('size', (fd) => fs.fstatSync(fd)).size
  }

  async usage(): Promise<FileUsage> {
    const { blocks, nlink } = await this.#run<fs.Stats>('usage', (fd, done) => fs.fstat(fd, done))
    return { allocated: blocks * STAT_BLOCK, links: nlink }
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#closeWhenIdle())
  }

  closeSync(): void {
    if (this.#closing !== undefined) return
    if (this.#pending > 0) {
      // Nobody waits for this close: its failure can only mean that the system lost track of the descriptor.
      this.close().catch(() => {})
      return
    }
    this.#closing = Promise.resolve()
    callSync('close', this.path, () => fs.closeSync(this.#fd))
  }

  async #closeWhenIdle(): Promise<void> {
    if (this.#pending > 0) await new Promise<void>((resolve) => (this.#whenIdle = resolve))
    // A worker thread that is ended cancels what waits for the thread pool, and Node no longer counts the descriptor among those that it then closes:
    // it, and the blocks of a file that has gone meanwhile, would stay until the process ends.
    if (!isMainThread) return callSync('close', this.path, () => fs.closeSync(this.#fd))
    await call('close', this.path, (done) => fs.close(this.#fd, done))
  }

  /** Runs one asynchronous operation; the descriptor stays open until it has settled. */
  async #run<T = void>(operation: string, start: (fd: number, done: Callback<T>) => void): Promise<T> {
    if (this.#closing !== undefined) throw ioErrorOf('EBADF', operation, this.path)
    this.#pending++
    try {
      return await call<T>(operation, this.path, (done) => start(this.#fd, done))
    } finally {
      this.#pending--
      if (this.#pending === 0) this.#whenIdle?.()
    }
  }

  #runSync<T>(operation: string, run: (fd: number) => T): T {
    if (this.#closing !== undefined) throw ioErrorOf('EBADF', operation, this.path)
    return callSync(operation, this.path, () => run(this.#fd))
  }
}

type Callback<T> = (error: NodeJS.ErrnoException | null, result?: T) => void

/** A callback-style call as a promise that fails with an IoError only. */
function call<T = void>(operation: string, path: string, start: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    try {
      start((error, result) => {
        if (error) reject(ioError(operation, path, error))
        else resolve(result as T)
      })
    } catch (error) {
      // Node refuses some arguments (a path with a NUL byte) at once.
      reject(ioError(operation, path, error))
    }
  })
}

function callSync<T>(operation: string, path: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw ioError(operation, path, error)
  }
}

function requireRegular(stats: fs.Stats, path: string, operation: string): void {
  if (stats.isFile()) return
  throw ioErrorOf(stats.isDirectory() ? 'EISDIR' : 'EINVAL', operation, path)
}

/** Windows opens through symbolic links; elsewhere the kernel refuses them. */
function refuseSymlinkWithoutNoFollow(path: string, operation: string): void {
  if (O_NOFOLLOW !== undefined) return
  const stats = callSync(operation, path, () => fs.lstatSync(path, { throwIfNoEntry: false }))
  if (stats?.isSymbolicLink() === true) throw ioErrorOf('ELOOP', operation, path)
}

function directoryState(path: string, wanted: string): 'present' | 'missing' {
  const stats = callSync('mkdir', wanted, () => fs.statSync(path, { throwIfNoEntry: false }))
  if (stats === undefined) return 'missing'
  if (stats.isDirectory()) return 'present'
  throw ioErrorOf(path === resolve(wanted) ? 'EEXIST' : 'ENOTDIR', 'mkdir', wanted)
}

/** Descriptor operations for the lock; failures stay errno errors here and are wrapped there. */
const lockPort: LockPort = {
  open: (path, access) => {
    refuseSymlinkWithoutNoFollow(path, 'lock')
    const fd = fs.openSync(path, access === 'read' ? O_RDONLY | SAFE : O_RDWR | O_CREAT | SAFE, FILE_MODE)
    const stats = fs.fstatSync(fd)
    if (stats.isFile()) return fd
    fs.closeSync(fd)
    throw errnoError(stats.isDirectory() ? 'EISDIR' : 'EINVAL', 'lock', path)
  },
  close: (fd) => fs.closeSync(fd),
  identity: (fd) => identityText(fs.fstatSync(fd, { bigint: true })),
  identityOf: (path) => {
    const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false })
    return stats === undefined ? undefined : identityText(stats)
  },
  readText: (fd) => {
    const bytes = Buffer.alloc(MAX_HOLDER_LENGTH)
    return bytes.toString('latin1', 0, fs.readSync(fd, bytes, 0, bytes.length, 0))
  },
  writeText: (fd, text, isEmpty) => {
    if (!isEmpty) fs.ftruncateSync(fd, 0)
    if (text.length > 0) fs.writeSync(fd, text, 0, 'latin1')
  },
  createExclusive: (path, text) => {
    // Complete before it has its name: nobody can meet an empty file of a running process.
    const temporary = join(dirname(path), `LOCK.${process.pid}-${distinctTicks()}.tmp`)
    const fd = fs.openSync(temporary, OPEN_FLAGS.create, FILE_MODE)
    try {
      fs.writeSync(fd, text, 0, 'latin1')
      fs.linkSync(temporary, path)
      return true
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false
      throw error
    } finally {
      fs.closeSync(fd)
      fs.unlinkSync(temporary)
    }
  },
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.unlinkSync(path),
  processes: createProcessTable((path) => fs.readFileSync(path, 'latin1')),
}

function identityText(stats: fs.BigIntStats): string {
  return `${stats.dev}-${stats.ino}`
}
