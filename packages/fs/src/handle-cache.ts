/**
 * A bounded set of files that are open for reading.
 *
 * Guarantees: at most `maxOpen` files stay open, unless more than that are pinned at once; a pinned file is never
 * closed. Of the unpinned ones the least recently used is closed first. A handle that reports a failure as it is closed in passing
 * is closed all the same, and nothing was written through it: whoever reads does not hear of that. Left to others: that the file
 * behind a path never changes its identity (file numbers never come back).
 */
import { ClosedError, IoError, checkArgument, errnoOf, hasMethods } from '@wk/codec'
import type { File, FileSystem } from './file-system.js'

interface Handle {
  readonly file: File
  pins: number
  forgotten: boolean
}

export class HandleCache {
  readonly #fs: FileSystem
  readonly #maxOpen: number
  /** By path; insertion order is the order of use, oldest first. */
  readonly #handles = new Map<string, Handle>()
  #closed = false

  /** @param maxOpen files to keep open, at least 1. @throws InvalidArgumentError */
  constructor(fs: FileSystem, maxOpen: number) {
    checkArgument(hasMethods(fs, 'openSync'), 'a file system')
    checkArgument(maxOpen === Infinity || (Number.isInteger(maxOpen) && maxOpen >= 1), 'a handle cache that keeps at least one file')
    this.#fs = fs
    this.#maxOpen = maxOpen
  }

  /** Files open now, pinned ones included. */
  get openCount(): number {
    return this.#handles.size
  }

  /**
   * The file at `path`, opened for reading, pinned until {@link release}. Pins count: one release for each acquire.
   * @throws IoError if it cannot be opened; ClosedError after {@link close}; InvalidArgumentError for what is no path
   */
  acquireSync(path: string): File {
    if (this.#closed) throw new ClosedError('the handle cache is closed')
    let handle = this.#handles.get(path)
    if (handle === undefined) {
      checkArgument(typeof path === 'string', 'a path')
      this.#trim(this.#maxOpen - 1)
      handle = { file: this.#open(path), pins: 0, forgotten: false }
    } else {
      this.#handles.delete(path)
    }
    this.#handles.set(path, handle)
    handle.pins++
    return handle.file
  }

  /** Gives back one pin. An asynchronous read must have settled before, or be content with EBADF. @throws InvalidArgumentError where there is no pin to give back */
  release(path: string): void {
    const handle = this.#handles.get(path)
    if (handle === undefined || handle.pins === 0) {
      // After `close` there is nothing left to give back.
      checkArgument(this.#closed, 'a file that was acquired and not released yet')
      return
    }
    handle.pins--
    if (handle.pins > 0) return
    if (handle.forgotten) this.#close(path, handle)
    else this.#trim(this.#maxOpen)
  }

  /** Closes the file at `path`, now or when its last pin is given back: call it before or after unlinking the file. */
  forget(path: string): void {
    const handle = this.#handles.get(path)
    if (handle === undefined) return
    if (handle.pins === 0) this.#close(path, handle)
    else handle.forgotten = true
  }

  /** Closes every file, pinned ones too (each waits for its own operations in flight). Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    const handles = [...this.#handles.values()]
    this.#handles.clear()
    await Promise.all(handles.map((handle) => handle.file.close()))
  }

  #open(path: string): File {
    try {
      return this.#fs.openSync(path, 'read')
    } catch (error) {
      const code = errnoOf(error)
      if ((code !== 'EMFILE' && code !== 'ENFILE') || !this.#trim(this.#handles.size >> 1)) throw error
      // The process ran out of descriptors below our own bound: half of ours are free now, one more try.
      return this.#fs.openSync(path, 'read')
    }
  }

  /** Closes unpinned files, oldest first, until at most `target` are open. @returns whether one was closed */
  #trim(target: number): boolean {
    let closed = false
    if (this.#handles.size <= target) return closed
    for (const [path, handle] of this.#handles) {
      if (this.#handles.size <= target) break
      if (handle.pins > 0) continue
      this.#close(path, handle)
      closed = true
    }
    return closed
  }

  #close(path: string, handle: Handle): void {
    this.#handles.delete(path)
    try {
      handle.file.closeSync()
    } catch (error) {
      if (!(error instanceof IoError)) throw error
    }
  }
}
