/**
 * Base of the file systems that wrap another one: each operation passes through `around`, with a description of it.
 *
 * Guarantees: every operation of every file and of the file system itself is seen exactly once, synchronous ones too.
 * Releasing a lock is not an operation. Left to the subclass: what to do around it.
 */
import { checkLength, checkRange, checkSpan } from './errno.js'
import type { File, FileSystem, FileUsage, Lock, LockOptions, MkdirOptions, OpenMode } from './file-system.js'

/** Names of the operations; `create` is opening in that mode. */
export type OperationKind =
  | 'open'
  | 'create'
  | 'rename'
  | 'remove'
  | 'list'
  | 'mkdir'
  | 'rmdir'
  | 'link'
  | 'syncDir'
  | 'lock'
  | 'read'
  | 'write'
  | 'truncate'
  | 'punch'
  | 'sync'
  | 'size'
  | 'usage'
  | 'close'

/** One call. */
export interface Operation {
  readonly kind: OperationKind
  readonly path: string
  /** Second path of `rename` and `link`. */
  readonly to?: string
  /** Place of a `read`, `write` or `punch`, in bytes. */
  readonly position?: number
  /** Length of a `read`, `write` or `punch`, new length of a `truncate`. The subclass may lower it to make the call short. */
  length?: number
  /** The bytes of a `write`; the caller's, not to be kept. */
  readonly bytes?: Uint8Array
}

export abstract class InterceptedFileSystem implements FileSystem {
  readonly kind: string
  readonly inner: FileSystem

  /** @param name how `kind` names the wrapper */
  constructor(inner: FileSystem, name: string) {
    this.inner = inner
    this.kind = `${name}(${inner.kind})`
  }

  /** Does the operation by calling `run`, or does not. Called once for each asynchronous operation. */
  abstract around<T>(operation: Operation, run: () => Promise<T>): Promise<T>
  /** {@link around} for a synchronous operation. */
  abstract aroundSync<T>(operation: Operation, run: () => T): T

  async open(path: string, mode: OpenMode): Promise<File> {
    const operation: Operation = { kind: mode === 'create' ? 'create' : 'open', path }
    return new InterceptedFile(this, await this.around(operation, () => this.inner.open(path, mode)))
  }

  openSync(path: string, mode: OpenMode): File {
    const operation: Operation = { kind: mode === 'create' ? 'create' : 'open', path }
    return new InterceptedFile(this, this.aroundSync(operation, () => this.inner.openSync(path, mode)))
  }

  rename(from: string, to: string): Promise<void> {
    return this.around({ kind: 'rename', path: from, to }, () => this.inner.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.around({ kind: 'remove', path }, () => this.inner.remove(path))
  }

  list(dir: string): Promise<string[]> {
    return this.around({ kind: 'list', path: dir }, () => this.inner.list(dir))
  }

  mkdir(dir: string, options?: MkdirOptions): Promise<boolean> {
    return this.around({ kind: 'mkdir', path: dir }, () => this.inner.mkdir(dir, options))
  }

  rmdir(dir: string): Promise<void> {
    return this.around({ kind: 'rmdir', path: dir }, () => this.inner.rmdir(dir))
  }

  link(from: string, to: string): Promise<void> {
    return this.around({ kind: 'link', path: from, to }, () => this.inner.link(from, to))
  }

  syncDir(dir: string): Promise<void> {
    return this.around({ kind: 'syncDir', path: dir }, () => this.inner.syncDir(dir))
  }

  lock(path: string, options?: LockOptions): Promise<Lock> {
    return this.around({ kind: 'lock', path }, () => this.inner.lock(path, options))
  }
}

class InterceptedFile implements File {
  readonly path: string
  readonly #owner: InterceptedFileSystem
  readonly #inner: File

  constructor(owner: InterceptedFileSystem, inner: File) {
    this.#owner = owner
    this.#inner = inner
    this.path = inner.path
  }

  async read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    checkRange(into, offset, length, position)
    const operation: Operation = { kind: 'read', path: this.path, position, length }
    return this.#owner.around(operation, () => this.#inner.read(into, offset, operation.length ?? length, position))
  }

  readSync(into: Uint8Array, offset: number, length: number, position: number): number {
    checkRange(into, offset, length, position)
    const operation: Operation = { kind: 'read', path: this.path, position, length }
    return this.#owner.aroundSync(operation, () =>
      this.#inner.readSync(into, offset, operation.length ?? length, position),
    )
  }

  async write(from: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    const operation = this.#write(from, offset, length, position)
    return this.#owner.around(operation, () => this.#inner.write(from, offset, operation.length ?? length, position))
  }

  writeSync(from: Uint8Array, offset: number, length: number, position: number): number {
    const operation = this.#write(from, offset, length, position)
    return this.#owner.aroundSync(operation, () =>
      this.#inner.writeSync(from, offset, operation.length ?? length, position),
    )
  }

  async truncate(length: number): Promise<void> {
    checkLength(length)
    return this.#owner.around({ kind: 'truncate', path: this.path, length }, () => this.#inner.truncate(length))
  }

  async punch(offset: number, length: number): Promise<void> {
    checkSpan(offset, length)
    return this.#owner.around({ kind: 'punch', path: this.path, position: offset, length }, () => this.#inner.punch(offset, length))
  }

  sync(): Promise<void> {
    return this.#owner.around({ kind: 'sync', path: this.path }, () => this.#inner.sync())
  }

  syncSync(): void {
    this.#owner.aroundSync({ kind: 'sync', path: this.path }, () => this.#inner.syncSync())
  }

  size(): Promise<number> {
    return this.#owner.around({ kind: 'size', path: this.path }, () => this.#inner.size())
  }

  sizeSync(): number {
    return this.#owner.aroundSync({ kind: 'size', path: this.path }, () => this.#inner.sizeSync())
  }

  usage(): Promise<FileUsage> {
    return this.#owner.around({ kind: 'usage', path: this.path }, () => this.#inner.usage())
  }

  close(): Promise<void> {
    return this.#owner.around({ kind: 'close', path: this.path }, () => this.#inner.close())
  }

  closeSync(): void {
    this.#owner.aroundSync({ kind: 'close', path: this.path }, () => this.#inner.closeSync())
  }

  #write(from: Uint8Array, offset: number, length: number, position: number): Operation {
    checkRange(from, offset, length, position)
    const bytes = from.subarray(offset, offset + length)
    return { kind: 'write', path: this.path, position, length, bytes }
  }
}
