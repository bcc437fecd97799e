/**
 * The header of an encrypted file, and the cipher that it tells.
 *
 * | offset | size | field                                                      |
 * |--------|------|------------------------------------------------------------|
 * | 0      | 8    | magic: `WKCRYPT1`                                          |
 * | 8      | 32   | salt, random, of this file alone                           |
 * | 40     | 12   | key check: tells a wrong key from damage                   |
 * | 52     | 8    | zeros                                                      |
 * | 60     | 4    | CRC-32C of bytes 0 to 60, u32 little-endian                |
 * | 64     |      | content, byte for byte, AES-CTR                            |
 *
 * From key and salt HKDF-SHA-256 (info: `wk file encryption`) makes, in this order, the file's own key (as long as the
 * given one), its IV (16 bytes) and the key check. Content byte `p` takes byte `p mod 16` of counter block IV + p / 16. So
 * every place can be read by itself, and no two files share a key stream. There is no authenticity: whoever can write to
 * the file can flip bits; checksums inside tell accidents only.
 */
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { InvalidArgumentError, WrongKeyError, bytesFrom, crc32cRange, readU32, writeU32 } from '@wk/codec'

/** Bytes before the content. On disk, never change. */
export const ENCRYPTION_HEADER_LENGTH = 64

const MAGIC = Buffer.from('WKCRYPT1', 'latin1')
const SALT_AT = 8
const SALT_LENGTH = 32
const CHECK_AT = SALT_AT + SALT_LENGTH
const CHECK_LENGTH = 12
const CRC_AT = 60
const IV_LENGTH = 16
const BLOCK = 16
const INFO = 'wk file encryption'
const CIPHERS: Readonly<Record<number, string>> = { 16: 'aes-128-ctr', 24: 'aes-192-ctr', 32: 'aes-256-ctr' }

const zeros = new Uint8Array(BLOCK)

/** A private copy of an encryption key. @throws InvalidArgumentError unless it has 16, 24 or 32 bytes */
export function copyEncryptionKey(given: unknown): Uint8Array {
  const key = bytesFrom(given)
  if (key === undefined) throw new InvalidArgumentError('an encryption key must be a Uint8Array')
  if (CIPHERS[key.length] === undefined) throw new InvalidArgumentError(`an encryption key has 16, 24 or 32 bytes, not ${key.length}`)
  return Uint8Array.from(key)
}

/** Encrypts and decrypts the content of one file. */
export class FileCipher {
  readonly #algorithm: string
  readonly #key: Uint8Array
  readonly #iv: Uint8Array
  /** What the header says so that a wrong key is noticed. */
  readonly check: Uint8Array

  constructor(key: Uint8Array, salt: Uint8Array) {
    const derived = new Uint8Array(hkdfSync('sha256', key, salt, INFO, key.length + IV_LENGTH + CHECK_LENGTH))
    this.#algorithm = CIPHERS[key.length] ?? ''
    this.#key = derived.subarray(0, key.length)
    this.#iv = derived.subarray(key.length, key.length + IV_LENGTH)
    this.check = derived.subarray(key.length + IV_LENGTH)
  }

  /** The other form of `bytes`, which lie at `position` of the content: a new array. */
  apply(bytes: Uint8Array, position: number): Uint8Array {
    const cipher = createCipheriv(this.#algorithm, this.#key, this.#counter(Math.floor(position / BLOCK)))
    const skip = position % BLOCK
    if (skip > 0) cipher.update(zeros.subarray(0, skip))
    return cipher.update(bytes)
  }

  /** IV + `blocks`, as one number of 128 bits, big-endian. */
  #counter(blocks: number): Uint8Array {
    const counter = Uint8Array.from(this.#iv)
    let carry = blocks
    for (let i = IV_LENGTH - 1; i >= 0 && carry > 0; i--) {
      const sum = (counter[i] ?? 0) + (carry % 256)
      counter[i] = sum % 256
      carry = Math.floor(carry / 256) + (sum > 255 ? 1 : 0)
    }
    return counter
  }
}

/** A header with a fresh salt, and its cipher. */
export function makeHeader(key: Uint8Array): { header: Uint8Array; cipher: FileCipher } {
  const header = new Uint8Array(ENCRYPTION_HEADER_LENGTH)
  header.set(MAGIC, 0)
  header.set(randomBytes(SALT_LENGTH), SALT_AT)
  const cipher = new FileCipher(key, header.subarray(SALT_AT, CHECK_AT))
  header.set(cipher.check, CHECK_AT)
  writeU32(header, CRC_AT, crc32cRange(header, 0, CRC_AT))
  return { header, cipher }
}

/** Whether these bytes are a whole header, by magic and checksum. */
export function isEncryptionHeader(bytes: Uint8Array): boolean {
  if (bytes.length < ENCRYPTION_HEADER_LENGTH) return false
  if (MAGIC.some((byte, i) => bytes[i] !== byte)) return false
  return readU32(bytes, CRC_AT) === crc32cRange(bytes, 0, CRC_AT)
}

/** The cipher of a file by its header. Requires {@link isEncryptionHeader}. @throws WrongKeyError */
export function openHeader(key: Uint8Array, header: Uint8Array): FileCipher {
  const cipher = new FileCipher(key, header.subarray(SALT_AT, CHECK_AT))
  if (cipher.check.some((byte, i) => header[CHECK_AT + i] !== byte)) throw new WrongKeyError('the files were encrypted with another key')
  return cipher
}
