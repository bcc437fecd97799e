/**
 * A file system that encrypts some of its files, by name: those whose last path part matches a pattern.
 *
 * Guarantees: the same contract as the one below it, except that files have no gaps; a file's header is durable before
 * `open` of a new file resolves, so whatever holds content can be read. Names, sizes (64 bytes more) and when what was
 * written stay visible. A file that is not encrypted is damage here, one encrypted with another key is `WrongKeyError`.
 */
import { CorruptionError } from '@wk/codec'
import type { FileSystemDescription } from './description.js'
import { EncryptedFile } from './encrypted-file.js'
import { ENCRYPTION_HEADER_LENGTH, copyEncryptionKey, isEncryptionHeader, makeHeader, openHeader } from './encryption-header.js'
import type { FileCipher } from './encryption-header.js'
import type { File, FileSystem, Lock, LockOptions, MkdirOptions, OpenMode } from './file-system.js'
import { readFully, readFullySync, writeFully, writeFullySync } from './full-io.js'

export class EncryptedFileSystem implements FileSystem {
  readonly kind: string
  readonly #inner: FileSystem
  readonly #key: Uint8Array
  readonly #covers: RegExp

  /**
   * @param key 16, 24 or 32 bytes, copied
   * @param covers pattern of the names (without directory) of the files that are encrypted; the others pass through
   * @throws InvalidArgumentError
   */
  constructor(inner: FileSystem, key: Uint8Array, covers: RegExp) {
    this.kind = `encrypted(${inner.kind})`
    this.#inner = inner
    this.#key = copyEncryptionKey(key)
    this.#covers = covers
  }

  get description(): FileSystemDescription | undefined {
    const inner = this.#inner.description
    return inner === undefined ? undefined : { type: 'encrypted', inner, key: this.#key, covers: this.#covers }
  }

  async open(path: string, mode: OpenMode): Promise<File> {
    const file = await this.#inner.open(path, mode)
    if (!this.#isCovered(path)) return file
    try {
      if (mode === 'create') {
        const { header, cipher } = makeHeader(this.#key)
        await writeFully(file, header, 0, header.length, 0)
        await file.sync()
        return new EncryptedFile(file, cipher, 0)
      }
      const header = new Uint8Array(ENCRYPTION_HEADER_LENGTH)
      const length = await readFully(file, header, 0, header.length, 0)
      return this.#opened(file, header.subarray(0, length), await file.size())
    } catch (error) {
      await file.close()
      throw error
    }
  }

  openSync(path: string, mode: OpenMode): File {
    const file = this.#inner.openSync(path, mode)
    if (!this.#isCovered(path)) return file
    try {
      if (mode === 'create') {
        const { header, cipher } = makeHeader(this.#key)
        writeFullySync(file, header, 0, header.length, 0)
        file.syncSync()
        return new EncryptedFile(file, cipher, 0)
      }
      const header = new Uint8Array(ENCRYPTION_HEADER_LENGTH)
      const length = readFullySync(file, header, 0, header.length, 0)
      return this.#opened(file, header.subarray(0, length), file.sizeSync())
    } catch (error) {
      file.closeSync()
      throw error
    }
  }

  rename(from: string, to: string): Promise<void> {
    return this.#inner.rename(from, to)
  }

  remove(path: string): Promise<void> {
    return this.#inner.remove(path)
  }

  list(dir: string): Promise<string[]> {
    return this.#inner.list(dir)
  }

  mkdir(dir: string, options?: MkdirOptions): Promise<boolean> {
    return this.#inner.mkdir(dir, options)
  }

  rmdir(dir: string): Promise<void> {
    return this.#inner.rmdir(dir)
  }

  link(from: string, to: string): Promise<void> {
    return this.#inner.link(from, to)
  }

  syncDir(dir: string): Promise<void> {
    return this.#inner.syncDir(dir)
  }

  lock(path: string, options?: LockOptions): Promise<Lock> {
    return this.#inner.lock(path, options)
  }

  #isCovered(path: string): boolean {
    return this.#covers.test(nameOf(path))
  }

  #opened(file: File, header: Uint8Array, size: number): File {
    let cipher: FileCipher | undefined
    if (isEncryptionHeader(header)) cipher = openHeader(this.#key, header)
    // Content comes only after the header is durable: a file without any may be whatever a crash made of it.
    else if (size > ENCRYPTION_HEADER_LENGTH) throw notEncrypted(file.path)
    return new EncryptedFile(file, cipher, Math.max(0, size - ENCRYPTION_HEADER_LENGTH))
  }
}

/** The last part of a path. */
function nameOf(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
}

function notEncrypted(path: string): CorruptionError {
  const name = nameOf(path)
  return new CorruptionError(`${name} does not begin as an encrypted file`, { file: name, offset: 0 })
}
