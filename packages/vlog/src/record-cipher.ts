/**
 * Encryption of records as Badger does it: AES-CTR over key and value as one run, IV = base IV of the file (12 bytes),
 * then the record's offset in its logical file (u32 big-endian). The record header stays in clear; the checksum
 * covers what is stored, so a record is verified, and moved, without its key.
 *
 * No two records of a file share a counter: one of n bytes uses n/16 of them and the next one starts more than n on. That holds
 * only while base IVs of one data key differ, so they come from `crypto.randomBytes`.
 *
 * CTR gives no authenticity: whoever can write to the files can flip bits and mend the checksum.
 */
import { createCipheriv, type Cipher } from 'node:crypto'
import { invariant } from '@wk/codec'
import { BASE_IV_LENGTH } from './format.js'

/** Bytes of an AES block and of a whole IV. */
export const AES_BLOCK_LENGTH = 16
/**
 * Runs up to this many bytes are made from a block cipher that is kept (2 to 12 microseconds); setting up a CTR cipher
 * takes 10, and is made up for by its speed on longer ones.
 */
const SHORT_RUN = 4608

/** Counter blocks and input of a short run, reused. */
const counters = new Int32Array(SHORT_RUN / 4)
const counterBytes = new Uint8Array(counters.buffer)
const input = new Int32Array(SHORT_RUN / 4)
const inputBytes = new Uint8Array(input.buffer)

/** Bits of an AES key of `length` bytes: 16, 24 or 32, which whoever took the key has checked. */
export function aesBits(length: number): 128 | 192 | 256 {
  if (length === 16) return 128
  if (length === 24) return 192
  invariant(length === 32, 'an AES key of 16, 24 or 32 bytes')
  return 256
}

/** AES-CTR of all of `bytes`: a new array. Encrypts and decrypts. `iv` has {@link AES_BLOCK_LENGTH} bytes. */
export function applyCtr(key: Uint8Array, iv: Uint8Array, bytes: Uint8Array): Uint8Array {
  return createCipheriv(`aes-${aesBits(key.length)}-ctr`, key, iv).update(bytes)
}

/** One data key, ready for use by every file that names it. */
export class DataCipher {
  /** Id of the key, from 1. */
  readonly id: number
  readonly #key: Uint8Array
  #block: Cipher | undefined

  /** Requires a key of 16, 24 or 32 bytes. */
  constructor(id: number, key: Uint8Array) {
    aesBits(key.length)
    this.id = id
    this.#key = key
  }

  /** Ciphertext of whole blocks, one by one. */
  encryptBlocks(blocks: Uint8Array): Uint8Array {
    this.#block ??= createCipheriv(`aes-${aesBits(this.#key.length)}-ecb`, this.#key, null).setAutoPadding(false)
    return this.#block.update(blocks)
  }

  applyCtr(iv: Uint8Array, bytes: Uint8Array): Uint8Array {
    return applyCtr(this.#key, iv, bytes)
  }
}

/** The cipher of one file: data key and base IV. */
export class RecordCipher {
  readonly #data: DataCipher
  readonly #iv = new Uint8Array(AES_BLOCK_LENGTH)
  /** The base IV as words in memory order. */
  readonly #words: Int32Array

  constructor(data: DataCipher, baseIv: Uint8Array) {
    this.#data = data
    this.#iv.set(baseIv.subarray(0, BASE_IV_LENGTH))
    this.#words = new Int32Array(this.#iv.buffer)
  }

  /** Encrypts or decrypts `bytes[start..end)`, which begins with the key of the record at logical `offset`: a new plain array. */
  apply(offset: number, bytes: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start
    const blocks = Math.ceil(length / AES_BLOCK_LENGTH)
    // A counter that carries into the base IV is left to the library.
    const isShort = length <= SHORT_RUN && offset + blocks <= 0xffff_ffff
    const result = isShort ? this.#applyShort(offset, bytes, start, length, blocks) : this.#applyLong(offset, bytes.subarray(start, end))
    return new Uint8Array(result.buffer, result.byteOffset, length)
  }

  #applyShort(offset: number, bytes: Uint8Array, start: number, length: number, blocks: number): Uint8Array {
    const [first = 0, second = 0, third = 0] = this.#words
    for (let i = 0, at = 0; i < blocks; i++, at += 4) {
      counters[at] = first
      counters[at + 1] = second
      counters[at + 2] = third
      writeCounter(counterBytes, 4 * at + BASE_IV_LENGTH, offset + i)
    }
    const stream = this.#data.encryptBlocks(counterBytes.subarray(0, blocks * AES_BLOCK_LENGTH))
    inputBytes.set(length === bytes.length ? bytes : bytes.subarray(start, start + length))
    const words = new Int32Array(stream.buffer, stream.byteOffset, 4 * blocks)
    for (let i = 0; i < words.length; i++) words[i]! ^= input[i]!
    return stream
  }

  #applyLong(offset: number, bytes: Uint8Array): Uint8Array {
    writeCounter(this.#iv, BASE_IV_LENGTH, offset)
    return this.#data.applyCtr(this.#iv, bytes)
  }
}

function writeCounter(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24
  into[at + 1] = value >>> 16
  into[at + 2] = value >>> 8
  into[at + 3] = value
}
