/** AES-CTR, and files that are encrypted as a whole: docs/format.md, "Encrypted files". */
import { createCipheriv, hkdfSync } from 'node:crypto'
import { crc32c } from './checksum.js'
import { Reader } from './reader.js'

export function aesCtr(key: Buffer, iv: Buffer, bytes: Buffer): Buffer {
  const cipher = createCipheriv(`aes-${key.length * 8}-ctr`, key, iv)
  return Buffer.concat([cipher.update(bytes), cipher.final()])
}

/** Content of a WAL, table or manifest. Undefined: what a crash left of an empty file. */
export function contentOf(bytes: Buffer, file: string, key: Buffer | undefined): Buffer | undefined {
  if (key === undefined) return bytes
  if (bytes.length < 64 || (bytes.length === 64 && bytes.readUInt32LE(60) !== crc32c(bytes.subarray(0, 60)))) return undefined
  const r = new Reader(bytes, file)
  r.expect(Buffer.from('WKCRYPT1'), 'magic of an encrypted file')
  const salt = r.bytes(32)
  const keyCheck = r.bytes(12)
  r.expect(Buffer.alloc(8), 'zeros')
  r.check(r.u32() === crc32c(bytes.subarray(0, 60)), 'checksum of the encryption header')
  const derived = Buffer.from(hkdfSync('sha256', key, salt, 'wk file encryption', key.length + 16 + 12))
  r.check(derived.subarray(key.length + 16).equals(keyCheck), 'wrong key', 40)
  return aesCtr(derived.subarray(0, key.length), derived.subarray(key.length, key.length + 16), bytes.subarray(64))
}
