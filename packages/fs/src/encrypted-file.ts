/**
 * A file whose content is encrypted: the header is out of sight, every place is that of the content.
 *
 * Left to the caller: bytes at one place are to be written once. Other bytes at the same place of the same file would give
 * both away to whoever has seen both; our logs and tables never do that.
 */
import { NotSupportedError } from '@wk/codec'
import { checkLength, checkRange, ioErrorOf } from './errno.js'
import { ENCRYPTION_HEADER_LENGTH } from './encryption-header.js'
import type { FileCipher } from './encryption-header.js'
import type { File, FileUsage } from './file-system.js'

export class EncryptedFile implements File {
  readonly path: string
  readonly #inner: File
  /** Undefined for a file that a crash left without a whole header: it is empty, and stays so. */
  readonly #cipher: FileCipher | undefined
  /** End of the content, as far as this handle knows. */
  #end: number

  constructor(inner: File, cipher: FileCipher | undefined, end: number) {
    this.path = inner.path
    this.#inner = inner
    this.#cipher = cipher
    this.#end = end
  }

  async read(into: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    checkRange(into, offset, length, position)
    if (this.#cipher === undefined) return 0
    const count = await this.#inner.read(into, offset, length, position + ENCRYPTION_HEADER_LENGTH)
    return this.#decrypt(this.#cipher, into, offset, count, position)
  }

  readSync(into: Uint8Array, offset: number, length: number, position: number): number {
    checkRange(into, offset, length, position)
    if (this.#cipher === undefined) return 0
    const count = this.#inner.readSync(into, offset, length, position + ENCRYPTION_HEADER_LENGTH)
    return this.#decrypt(this.#cipher, into, offset, count, position)
  }

  async write(from: Uint8Array, offset: number, length: number, position: number): Promise<number> {
    return this.#inner.write(this.#encrypt(from, offset, length, position), 0, length, position + ENCRYPTION_HEADER_LENGTH)
  }

  writeSync(from: Uint8Array, offset: number, length: number, position: number): number {
    return this.#inner.writeSync(this.#encrypt(from, offset, length, position), 0, length, position + ENCRYPTION_HEADER_LENGTH)
  }

  async truncate(length: number): Promise<void> {
    checkLength(length)
    if (length > this.#end) throw new NotSupportedError('an encrypted file cannot be extended by zeros')
    if (this.#cipher === undefined) return
    await this.#inner.truncate(length + ENCRYPTION_HEADER_LENGTH)
    this.#end = length
  }

  /** Never: zeros on disk are no zeros of the content. */
  async punch(): Promise<void> {
    throw new NotSupportedError('an encrypted file has no holes')
  }

  sync(): Promise<void> {
    return this.#inner.sync()
  }

  syncSync(): void {
    this.#inner.syncSync()
  }

  async size(): Promise<number> {
    return contentLength(this.#cipher, await this.#inner.size())
  }

  sizeSync(): number {
    return contentLength(this.#cipher, this.#inner.sizeSync())
  }

  usage(): Promise<FileUsage> {
    return this.#inner.usage()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  closeSync(): void {
    this.#inner.closeSync()
  }

  #encrypt(from: Uint8Array, offset: number, length: number, position: number): Uint8Array {
    checkRange(from, offset, length, position)
    const cipher = this.#cipher
    if (cipher === undefined) throw ioErrorOf('EIO', 'write', this.path)
    if (length === 0) return from.subarray(0, 0)
    if (position > this.#end) throw new NotSupportedError('an encrypted file has no gaps')
    this.#end = Math.max(this.#end, position + length)
    return cipher.apply(from.subarray(offset, offset + length), position)
  }

  #decrypt(cipher: FileCipher, into: Uint8Array, offset: number, count: number, position: number): number {
    if (count > 0) into.set(cipher.apply(into.subarray(offset, offset + count), position), offset)
    return count
  }
}

function contentLength(cipher: FileCipher | undefined, size: number): number {
  return cipher === undefined ? 0 : Math.max(0, size - ENCRYPTION_HEADER_LENGTH)
}
