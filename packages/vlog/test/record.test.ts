import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { MIN_RECORD_LENGTH, decodeFileHeader, encodeFileHeader } from '../src/format.js'
import { UNSAFE, hasKey, newRecordHeader, readRecordHeader, readVersion, recordLength, verifiesCrc, writeRecord } from '../src/record.js'
import { RUNS, SEED, hex } from './support/bytes.js'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)

describe('record', () => {
  test('the bytes of the worked example in the format page', () => {
    const bytes = new Uint8Array(recordLength(3, 5, 1_700_000_000))
    const end = writeRecord(bytes, 0, text('key'), 7, 4, 9, 1_700_000_000, text('value'))
    expect(end).toBe(bytes.length)
    expect(hex(bytes)).toBe('04090b0580e2cfaa066b6579fffffffffffffff876616c7565' + hex(bytes.slice(-4)))
    expect(hex(bytes.slice(-4))).toBe('8f2ecc7b')
  })

  test('the header of the example in the Badger reference', () => {
    const bytes = new Uint8Array(recordLength(292, 70_000, 1))
    writeRecord(bytes, 0, new Uint8Array(292), 0, 0x42, 7, 1, new Uint8Array(70_000))
    expect(hex(bytes.slice(0, 8))).toBe('4207ac02f0a20401')
  })

  test('round trip at any place of a buffer', () => {
    const bytes = fc.uint8Array({ maxLength: 300 })
    const number = fc.oneof(fc.nat(300), fc.maxSafeNat())
    fc.assert(
      fc.property(bytes, bytes, number, number, fc.nat(255), fc.nat(15), fc.nat(40), (key, value, version, expiresAt, userMeta, meta, at) => {
        const length = recordLength(key.length, value.length, expiresAt)
        const into = new Uint8Array(at + length + 3).fill(0xaa)
        expect(writeRecord(into, at, key, version, meta, userMeta, expiresAt, value)).toBe(at + length)
        const header = newRecordHeader()
        expect(readRecordHeader(into, at, into.length, into.length, header)).toBe(true)
        expect(header).toEqual({
          meta, userMeta, expiresAt, length,
          keyLength: key.length + 8,
          valueLength: value.length,
          headerLength: length - key.length - 8 - value.length - 4,
        })
        expect(verifiesCrc(into, at, header)).toBe(true)
        expect(readVersion(into, at, header)).toBe(version)
        expect(hasKey(into, at, header, key, version)).toBe(true)
        expect(hasKey(into, at, header, key, version === 0 ? 1 : version - 1)).toBe(false)
        expect(readRecordHeader(into, at, into.length, at + length - 1, header)).toBe(false)
        expect(into[at + length]).toBe(0xaa)
      }),
      { seed: SEED, numRuns: 300 * RUNS },
    )
  })

  test('lengths that no writer makes are no header', () => {
    const header = newRecordHeader()
    const reads = (...bytes: number[]): boolean => {
      const padded = Uint8Array.from([...bytes, ...new Array<number>(40).fill(0)])
      return readRecordHeader(padded, 0, padded.length, 2 ** 40, header)
    }
    expect(reads(0, 0, 8, 0, 0)).toBe(true)
    expect(header.length).toBe(MIN_RECORD_LENGTH)
    expect(reads(0, 0, 7, 0, 0), 'a key too short for a version').toBe(false)
    expect(reads(0, 0, 0, 0, 0), 'zeros').toBe(false)
    expect(reads(0, 0, 0x80, 0x80, 0x04, 0, 0), 'a key of 65,536').toBe(true)
    expect(reads(0, 0, 0x81, 0x80, 0x04, 0, 0), 'a key of 65,537').toBe(false)
    expect(reads(0, 0, 0x88, 0x00, 0, 0), 'overlong').toBe(false)
    expect(reads(0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0x0f, 0), 'a value of 2^32 - 1').toBe(true)
    expect(reads(0, 0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0), 'a length of six bytes').toBe(false)
    expect(reads(0, 0, 8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)).toBe(true)
    expect(header.expiresAt).toBe(UNSAFE)
    expect(reads(0, 0, 8, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02), 'over 64 bits').toBe(false)
    expect(readRecordHeader(Uint8Array.of(0, 0, 8, 0), 0, 4, 1000, header), 'cut').toBe(false)
  })

  test('a version above 2^53 - 1 is told, not rounded', () => {
    const bytes = new Uint8Array(recordLength(0, 0, 0))
    writeRecord(bytes, 0, new Uint8Array(0), Number.MAX_SAFE_INTEGER, 0, 0, 0, new Uint8Array(0))
    const header = newRecordHeader()
    readRecordHeader(bytes, 0, bytes.length, bytes.length, header)
    expect(readVersion(bytes, 0, header)).toBe(Number.MAX_SAFE_INTEGER)
    bytes[header.headerLength + 1]! &= 0xdf
    expect(readVersion(bytes, 0, header)).toBe(UNSAFE)
  })

  test('the file header', () => {
    const baseIv = Uint8Array.from({ length: 12 }, (_, i) => i + 1)
    const bytes = encodeFileHeader({ keyId: 0x0102030405, baseIv })
    expect(hex(bytes)).toBe('0000000102030405' + '0102030405060708090a0b0c')
    expect(decodeFileHeader(bytes, 'x')).toEqual({ keyId: 0x0102030405, baseIv })
    expect(() => decodeFileHeader(bytes.fill(0xff), 'x')).toThrow('impossible data key id')
  })
})
