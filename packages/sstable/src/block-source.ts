/**
 * Reads blocks from a table's file and checks them: length, checksum, compression.
 *
 * Guarantees: a block that is handed out is what the writer wrote at this place of this table, or `CorruptionError`
 * was thrown. Nothing is allocated before its length was checked against the file.
 */
import { invariant } from '@wk/codec'
import { readFullySync } from '@wk/fs'
import type { File } from '@wk/fs'
import { uncompressBlock } from './compression.js'
import { BLOCK_TRAILER_LENGTH, COMPRESSION_LZ4, COMPRESSION_NONE, blockChecksum, blockEnd, readBlockChecksum, tableDamage } from './format.js'
import type { BlockHandle } from './format.js'

/** A file that is opened when it is needed: a bounded set of open files stands behind it. */
export interface FileHandle {
  /** The open file, pinned until `release`. */
  acquireSync(): File
  release(): void
}

/** Block contents: `bytes[0..length)`. */
export interface BlockContents {
  bytes: Uint8Array
  length: number
}

/** Memory of one reader that is done with a block when it asks for the next. It grows as needed. */
export interface ReadMemory {
  bytes: Uint8Array
}

export class BlockSource {
  readonly number: number
  /** Size that the table must have, in bytes. */
  readonly size: number
  readonly #file: File | FileHandle

  constructor(file: File | FileHandle, number: number, size: number) {
    this.#file = file
    this.number = number
    this.size = size
  }

  /** The size of the file as it is, in bytes. */
  actualSize(): number {
    const file = this.#acquire()
    try {
      return file.sizeSync()
    } finally {
      this.#release()
    }
  }

  /** `length` bytes at `offset`, no fewer: in `memory` if it is given. Requires that they are within `size`. */
  readBytes(offset: number, length: number, memory?: ReadMemory): Uint8Array {
    invariant(offset >= 0 && length >= 0 && offset + length <= this.size, 'a read inside the table')
    const bytes = memory === undefined ? new Uint8Array(length) : reserve(memory, length)
    const file = this.#acquire()
    let count: number
    try {
      count = readFullySync(file, bytes, 0, length, offset)
    } finally {
      this.#release()
    }
    if (count < length) throw tableDamage(this.number, offset + count, 'the file ends too early')
    return bytes
  }

  /** The block at `handle`, read (into `memory` if it is given) and checked. */
  readBlock(handle: BlockHandle, verifyChecksum: boolean, memory?: ReadMemory): BlockContents {
    return this.openBlock(this.readBytes(handle.offset, blockEnd(handle) - handle.offset, memory), handle, verifyChecksum)
  }

  /** Checks the bytes of the block at `handle`, trailer included, and uncompresses them. */
  openBlock(bytes: Uint8Array, handle: BlockHandle, verifyChecksum: boolean): BlockContents {
    const { number } = this
    const { offset, length } = handle
    const type = bytes[length]
    const sum = length + BLOCK_TRAILER_LENGTH === bytes.length ? readBlockChecksum(bytes, length + 1) : -1
    if (verifyChecksum && sum !== blockChecksum(bytes, 0, length + 1, number, offset)) throw tableDamage(number, offset, 'block checksum does not match')
    if (type === COMPRESSION_NONE) return { bytes, length }
    if (type !== COMPRESSION_LZ4) throw tableDamage(number, offset, 'unknown compression of a block')
    const contents = uncompressBlock(bytes, length, number, offset)
    return { bytes: contents, length: contents.length }
  }

  #acquire(): File {
    const file = this.#file
    return 'acquireSync' in file ? file.acquireSync() : file
  }

  #release(): void {
    const file = this.#file
    if ('acquireSync' in file) file.release()
  }
}

function reserve(memory: ReadMemory, length: number): Uint8Array {
  if (memory.bytes.length < length) memory.bytes = new Uint8Array(2 * length)
  return memory.bytes.subarray(0, length)
}
