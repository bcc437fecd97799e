/**
 * The file system as the value log has it: before the first change of a name something else has to happen, here that the
 * manifest does not mark a clean end any more (ADR 0015).
 *
 * Guarantees that no file is created, renamed, linked or removed before the gate has let it pass. Files that are open go
 * through untouched: to write into one, it was created here.
 */
import { invariant } from '@wk/codec'
import type { File, FileSystem, FileSystemDescription, Lock, LockOptions, MkdirOptions, OpenMode } from '@wk/fs'

/** `undefined` once changes may be made; before, a promise to wait for. */
export type Gate = () => Promise<void> | undefined

export class GatedFileSystem implements FileSystem {
  readonly kind: string
  readonly description: FileSystemDescription | undefined
  readonly #inner: FileSystem
  readonly #gate: Gate

  constructor(inner: FileSystem, gate: Gate) {
    this.kind = inner.kind
    this.description = inner.description
    this.#inner = inner
    this.#gate = gate
  }

  async open(path: string, mode: OpenMode): Promise<File> {
    if (mode === 'create') await this.#gate()
    return this.#inner.open(path, mode)
  }

  openSync(path: string, mode: OpenMode): File {
    invariant(mode !== 'create' || this.#gate() === undefined, 'a change that waited for the gate')
    return this.#inner.openSync(path, mode)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#gate()
    return this.#inner.rename(from, to)
  }

  async remove(path: string): Promise<void> {
    await this.#gate()
    return this.#inner.remove(path)
  }

  async link(from: string, to: string): Promise<void> {
    await this.#gate()
    return this.#inner.link(from, to)
  }

  async mkdir(dir: string, options?: MkdirOptions): Promise<boolean> {
    await this.#gate()
    return this.#inner.mkdir(dir, options)
  }

  async rmdir(dir: string): Promise<void> {
    await this.#gate()
    return this.#inner.rmdir(dir)
  }

  list(dir: string): Promise<string[]> {
    return this.#inner.list(dir)
  }

  syncDir(dir: string): Promise<void> {
    return this.#inner.syncDir(dir)
  }

  lock(path: string, options?: LockOptions): Promise<Lock> {
    return this.#inner.lock(path, options)
  }
}
