/**
 * The file system as a storage engine sees it: three small interfaces and the contracts behind them.
 *
 * Guarantees that every implementation gives (and `conformance.ts` checks):
 *  - bytes are durable only after `sync` of their file, names only after `syncDir` of their directory;
 *  - reads and writes may be short, they are positional, and there is no append mode;
 *  - symbolic links in the last part of a path, and anything that is not a regular file, are refused;
 *  - every failure of the system is an `IoError` with the path, the operation and the errno error as its cause.
 *
 * Left to others: loops over short reads and writes (`full-io.ts`), how many files are open (`handle-cache.ts`),
 * what the bytes mean.
 */

import type { FileSystemDescription } from './description.js'

/**
 * How a file is opened. `read`: must exist, writes fail. `create`: must not exist, is created with mode 0600 for
 * reading and writing. `update`: must exist, for reading and writing. A file is never truncated by opening it.
 */
export type OpenMode = 'read' | 'create' | 'update'

/** The names and directories of a file system. All methods may be called concurrently. */
export interface FileSystem {
  /** What implements it: `node`, `memory`, or a wrapper such as `fault(node)`. */
  readonly kind: string
  /** How another thread makes the same file system, with `fileSystemFrom`. Absent where it cannot. */
  readonly description?: FileSystemDescription | undefined

  /**
   * Opens a file. The name of a created file is durable only after {@link syncDir} of its directory.
   * @throws IoError `ENOENT`, `EEXIST` (create), `ELOOP` (symbolic link), `EISDIR`, `EINVAL` (not a regular file), ...
   */
  open(path: string, mode: OpenMode): Promise<File>
  /** {@link open} on the calling thread. */
  openSync(path: string, mode: OpenMode): File

  /** Renames a file, replacing `to` atomically for readers. Durable only after {@link syncDir}. */
  rename(from: string, to: string): Promise<void>
  /** Unlinks a file (not a directory). Open handles stay usable. Durable only after {@link syncDir}. */
  remove(path: string): Promise<void>
  /** Names of the entries of a directory, sorted. @throws IoError `ENOENT`, or `ENOTDIR` for a file. */
  list(dir: string): Promise<string[]>
  /**
   * Creates a directory and its missing parents with mode 0700. Each one is durable in its parent when the promise
   * resolves; so is, as far as permissions allow, the deepest one that was there already.
   * @returns whether `dir` was created; false if it was there.
   */
  mkdir(dir: string, options?: MkdirOptions): Promise<boolean>
  /** Removes an empty directory. @throws IoError `ENOTEMPTY`, `ENOENT`, `ENOTDIR`. */
  rmdir(dir: string): Promise<void>
  /**
   * Adds `to` as a second name of the file `from` (a hard link). Durable only after {@link syncDir}.
   * @throws NotSupportedError where the file system has no hard links, or the two are on different ones.
   */
  link(from: string, to: string): Promise<void>
  /** Makes all name changes in `dir` that completed before the call durable. */
  syncDir(dir: string): Promise<void>
  /**
   * Takes the lock that the file at `path` stands for, without waiting. It dies with the process (or the worker
   * thread) that took it. The file is created if it is missing, and stays.
   *
   * Without `shared` nobody else may hold it; with `shared` other shared holders may (a variant without shared locks
   * gives an exclusive one). A shared lock changes no existing file, takes the one that it created away again (unless another holder
   * still needs it), and works in an unwritable directory; if there is no lock file either, nobody can be excluded and the
   * lock is granted for nothing.
   *
   * @throws LockedError if it is held, also by this very process; `pid` names the holder where it is known.
   */
  lock(path: string, options?: LockOptions): Promise<Lock>
}

export interface MkdirOptions {
  /**
   * Takes the syncs that make the directory durable, for the caller to run beside others of its own: together they cost
   * the file system one commit. Without it `mkdir` runs them.
   */
  syncs?: (() => Promise<void>)[] | undefined
}

export interface LockOptions {
  /** Share the lock with other shared holders: for read-only use. Default false. */
  shared?: boolean
}

/** A lock that is held. */
export interface Lock {
  /** Gives the lock up. Idempotent. */
  release(): Promise<void>
}

/** What is known of a file besides its bytes. */
export interface FileUsage {
  /** Bytes of blocks on disk; less than the size where there are holes. */
  readonly allocated: number
  /** Names of the file, in whatever directories. */
  readonly links: number
}

/**
 * An open file. `offset` and `length` choose a part of the caller's buffer, `position` is the place in the file; all
 * in bytes, and a part outside the buffer is an InvalidArgumentError. Synchronous and asynchronous methods may be
 * mixed; asynchronous ones that are in flight together are unordered.
 */
export interface File {
  /** The path it was opened by. */
  readonly path: string

  /**
   * Reads up to `length` bytes. May be short; 0 means the end of the file (or `length` 0).
   * The buffer belongs to the call until the promise settles.
   */
  read(into: Uint8Array, offset: number, length: number, position: number): Promise<number>
  /** {@link read} on the calling thread; allocates nothing. */
  readSync(into: Uint8Array, offset: number, length: number, position: number): number

  /**
   * Writes up to `length` bytes; may be short. A gap before `position` reads as zeros. Not durable before {@link sync}.
   * The buffer belongs to the call until the promise settles: it may be read at any moment in between.
   */
  write(from: Uint8Array, offset: number, length: number, position: number): Promise<number>
  /** {@link write} on the calling thread; allocates nothing. */
  writeSync(from: Uint8Array, offset: number, length: number, position: number): number

  /** Cuts or (with zeros) extends the file to `length` bytes. Not durable before {@link sync}. */
  truncate(length: number): Promise<void>

  /**
   * Gives the blocks that lie whole within a range back to the file system. All of the range reads as zeros afterwards; the size stays.
   * Not durable before {@link sync}: after a crash a part of it may be what it was before. @throws NotSupportedError where it cannot be done
   */
  punch(offset: number, length: number): Promise<void>

  /**
   * Makes the bytes and the size durable, as far as written by calls that had *completed* before this one was made.
   * After a failure nothing is known about them, and a later success proves nothing.
   */
  sync(): Promise<void>
  /** {@link sync} on the calling thread. */
  syncSync(): void

  /** Size in bytes. */
  size(): Promise<number>
  /** {@link size} on the calling thread. */
  sizeSync(): number
  /** What the file takes on disk, and how many names it has. */
  usage(): Promise<FileUsage>

  /**
   * Closes the file once every operation in flight has settled. Idempotent. Does not sync. From the call on every
   * other operation fails with `EBADF`.
   */
  close(): Promise<void>
  /** {@link close} without waiting: with operations in flight the file is closed when the last one settles. */
  closeSync(): void
}
