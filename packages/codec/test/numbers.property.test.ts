import { ByteReader, ByteWriter, CorruptionError, uvarintLength } from '@wk/codec'
import fc from 'fast-check'
import { expect, test } from 'vitest'

const number = fc.oneof(fc.nat(300), fc.nat(), fc.maxSafeNat())

test('numbers come back as they were written', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ v: number, b: fc.uint8Array({ maxLength: 40 }) })), (rows) => {
      const writer = new ByteWriter(1)
      for (const { v, b } of rows) writer.uvarint(v).u64(v).u32(v % 2 ** 32).u16(v % 65536).u8(v % 256).lengthPrefixed(b)
      const reader = new ByteReader(writer.toBytes())
      for (const { v, b } of rows) {
        expect(reader.uvarint()).toBe(v)
        expect(reader.u64()).toBe(v)
        expect(reader.u32()).toBe(v % 2 ** 32)
        expect(reader.u16()).toBe(v % 65536)
        expect(reader.u8()).toBe(v % 256)
        expect(reader.copy(reader.uvarint())).toEqual(b)
      }
      reader.expectEnd()
    }),
  )
})

test('a varint takes the stated length', () => {
  fc.assert(fc.property(number, (v) => new ByteWriter().uvarint(v).length === uvarintLength(v)))
})

test('any bytes give values or a CorruptionError with the offset, never more than there is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(fc.nat(5), { maxLength: 20 }), (bytes, steps) => {
      const reader = new ByteReader(bytes, { file: 'f', baseOffset: 1000 })
      try {
        for (const step of steps) {
          if (step === 0) reader.u8()
          else if (step === 1) reader.u32()
          else if (step === 2) reader.u64()
          else if (step === 3) reader.uvarint()
          else if (step === 4) reader.copy(reader.uvarint())
          else reader.skip(3)
          expect(reader.offset).toBeLessThanOrEqual(bytes.length)
        }
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptionError)
        expect((error as CorruptionError).file).toBe('f')
        expect((error as CorruptionError).offset).toBeGreaterThanOrEqual(1000)
        expect((error as CorruptionError).offset).toBeLessThanOrEqual(1000 + bytes.length)
      }
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['overlong', [0x80, 0x00]],
  ['over 2^53 - 1', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ['over nine bytes', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
  ['cut', [0x80]],
])('a varint that is %s is refused', (_, bytes) => {
  expect(() => new ByteReader(Uint8Array.from(bytes)).uvarint()).toThrow(CorruptionError)
})

test('hostile lengths are refused before anything is allocated', () => {
  for (const length of [-1, 11, 2 ** 31, 2 ** 32, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(() => new ByteReader(new Uint8Array(10)).copy(length)).toThrow(CorruptionError)
  }
})
