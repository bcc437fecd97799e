import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ChunkedBytes } from '../src/chunked-bytes.js'
import { property } from './support/property.js'

const place = fc.oneof(fc.nat(300), fc.integer({ min: 65_000, max: 66_000 }), fc.nat(200_000))
const change = fc.oneof(
  fc.record({ kind: fc.constant('write' as const), position: place, length: fc.oneof(fc.nat(50), fc.nat(140_000)), fill: fc.integer({ min: 1, max: 255 }) }),
  fc.record({ kind: fc.constant('truncate' as const), length: place }),
  fc.record({ kind: fc.constant('punch' as const), position: place, length: fc.oneof(fc.nat(50), fc.nat(200_000)) }),
  fc.record({ kind: fc.constant('clone' as const) }),
)

test('behaves as a plain byte array, and clones never see later changes', async () => {
  await property(
    150,
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      const content = new ChunkedBytes()
      let model = new Uint8Array(0)
      const clones: [ChunkedBytes, Uint8Array][] = []
      for (const one of changes) {
        if (one.kind === 'write') {
          content.write(new Uint8Array(one.length).fill(one.fill), 0, one.length, one.position)
          if (one.length > 0) model = resized(model, Math.max(model.length, one.position + one.length)).fill(one.fill, one.position, one.position + one.length)
        } else if (one.kind === 'truncate') {
          content.truncate(one.length)
          model = resized(model, one.length)
        } else if (one.kind === 'punch') {
          content.punch(one.position, one.length)
          model = model.fill(0, one.position, one.position + one.length)
        } else {
          const clone = content.clone()
          clones.push([clone, model.slice()])
        }
      }
      expect(Buffer.compare(content.toUint8Array(), model)).toBe(0)
      let used = 0
      for (let at = 0; at < model.length; at += 4096) if (model.subarray(at, at + 4096).some((byte) => byte !== 0)) used += 4096
      expect(content.used(4096)).toBe(used)
      for (const [clone, bytes] of clones) expect(Buffer.compare(clone.toUint8Array(), bytes)).toBe(0)
      for (const [clone] of clones) clone.write(Uint8Array.of(9), 0, 1, 3)
      expect(Buffer.compare(content.toUint8Array(), model)).toBe(0)
    }),
  )
})

function resized(bytes: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const copy = new Uint8Array(length)
  copy.set(bytes.subarray(0, length))
  return copy
}
