/** `KEYREGISTRY`, Badger's file of data keys: docs/format.md, chapter of that name. */
import { aesCtr } from './cipher.js'
import { crc32c } from './checksum.js'
import { Reader } from './reader.js'

/** Data keys by id, decrypted. */
export function decodeRegistry(bytes: Buffer | undefined, storageKey: Buffer | undefined, file = 'KEYREGISTRY'): Map<number, Buffer> {
  const keys = new Map<number, Buffer>()
  if (bytes === undefined) return keys
  const r = new Reader(bytes, file)
  r.check(bytes.length <= 2 ** 26, 'too long')
  const open = (iv: Buffer, stored: Buffer): Buffer => (storageKey === undefined ? stored : aesCtr(storageKey, iv, stored))
  r.check(open(r.bytes(16), r.bytes(12)).toString('latin1') === 'Hello Badger', 'wrong key')
  while (r.left > 0) {
    const [length, sum] = [r.u32be(), r.u32be()]
    const from = r.at
    const message = r.part(length)
    r.check(crc32c(bytes.subarray(from, r.at)) === sum, 'checksum', from)
    let [id, data, iv] = [0, Buffer.alloc(0), Buffer.alloc(0)]
    while (message.left > 0) {
      const tag = message.uvarint()
      if (tag === 0x08) id = message.uvarint()
      else if (tag === 0x12) data = Buffer.from(message.bytes(message.uvarint()))
      else if (tag === 0x1a) iv = Buffer.from(message.bytes(message.uvarint()))
      else if (tag === 0x20) message.uvarint()
      else throw message.bad(`field ${tag}`)
    }
    r.check(id >= 1 && !keys.has(id) && [16, 24, 32].includes(data.length) && iv.length === 16, 'data key', from)
    keys.set(id, open(iv, data))
  }
  return keys
}
