/**
 * An image as a file system that nobody can change: for readers of which millions are tried. Nothing is copied to mount it. What
 * changes anything fails with `EROFS`; a lock is granted to everybody.
 */
import { ioErrorOf, type File, type FileSystem, type FileUsage, type Lock } from '@wk/fs'
import type { DiskImage } from './disk-image.js'

const refused = (operation: string, path: string): Error => ioErrorOf('EROFS', operation, path)

/** The files of `image`, in the directory `dir`. */
export class ImageFileSystem implements FileSystem {
  readonly kind = 'image'
  readonly #image: DiskImage
  readonly #dir: string

  constructor(image: DiskImage, dir: string) {
    this.#image = image
    this.#dir = dir
  }

  async open(path: string, mode: 'read' | 'create' | 'update'): Promise<File> {
    return this.openSync(path, mode)
  }

  openSync(path: string, mode: 'read' | 'create' | 'update'): File {
    if (mode !== 'read') throw refused('open', path)
    const bytes = path.startsWith(`${this.#dir}/`) ? this.#image.get(path.slice(this.#dir.length + 1)) : undefined
    if (bytes === undefined) throw ioErrorOf('ENOENT', 'open', path)
    return new ImageFile(path, bytes)
  }

  async list(dir: string): Promise<string[]> {
    if (dir !== this.#dir) throw ioErrorOf('ENOENT', 'list', dir)
    return [...this.#image.keys()].sort()
  }

  async lock(): Promise<Lock> {
    return { release: () => Promise.resolve() }
  }

  /** The directory is there. */
  async mkdir(dir: string): Promise<boolean> {
    if (dir !== this.#dir) throw refused('mkdir', dir)
    return false
  }

  async rename(from: string): Promise<void> {
    throw refused('rename', from)
  }

  async remove(path: string): Promise<void> {
    throw refused('remove', path)
  }

  async rmdir(dir: string): Promise<void> {
    throw refused('rmdir', dir)
  }

  async link(_: string, to: string): Promise<void> {
    throw refused('link', to)
  }

  async syncDir(dir: string): Promise<void> {
    throw refused('syncDir', dir)
  }
}

class ImageFile implements File {
  readonly path: string
  readonly #bytes: Uint8Array
  #isClosed = false

  constructor(path: string, bytes: Uint8Array) {
    this.path = path
    this.#bytes = bytes
  }

  async read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.readSync(into, offset, length, position)
  }

  readSync(into: Uint8Array, offset: number, length: number, position: number): number {
    this.#check('read')
    if (!(offset >= 0 && length >= 0 && position >= 0 && offset + length <= into.length)) throw new RangeError(`no part of the buffer: ${offset}, ${length}, at ${position}`)
    const read = Math.max(0, Math.min(length, this.#bytes.length - position))
    if (read > 0) into.set(this.#bytes.subarray(position, position + read), offset)
    return read
  }

  async write(): Promise<number> {
    return this.writeSync()
  }

  writeSync(): number {
    throw refused('write', this.path)
  }

  async truncate(): Promise<void> {
    throw refused('truncate', this.path)
  }

  async punch(): Promise<void> {
    throw refused('punch', this.path)
  }

  async sync(): Promise<void> {
    this.syncSync()
  }

  syncSync(): void {
    throw refused('sync', this.path)
  }

  async size(): Promise<number> {
    return this.sizeSync()
  }

  sizeSync(): number {
    this.#check('size')
    return this.#bytes.length
  }

  async usage(): Promise<FileUsage> {
    this.#check('usage')
    return { allocated: this.#bytes.length, links: 1 }
  }

  async close(): Promise<void> {
    this.#isClosed = true
  }

  closeSync(): void {
    this.#isClosed = true
  }

  #check(operation: string): void {
    if (this.#isClosed) throw ioErrorOf('EBADF', operation, this.path)
  }
}
