import {
  CorruptionError,
  InvalidArgumentError,
  IoError,
  KIND_ATTRIBUTES,
  KIND_POINTER,
  KIND_TOMBSTONE,
  KIND_VALUE,
  NATIVE_FROM,
  WkError,
  attributesLength,
  crc32c,
  crc32cPortable,
  crc32cRange,
  decodePointer,
  encodePointer,
  errnoOf,
  formatFileName,
  isKind,
  kindWithAttributes,
  parseFileName,
  readExpiresAt,
  readFrame,
  readPayload,
  tempName,
  writeAttributes,
  writeFrameHeader,
} from '@wk/codec'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

describe('CRC-32C', () => {
  test('the check value of the polynomial', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  })

  test('native and portable give the same sum at every length and seed, in parts too', () => {
    const bytes = Uint8Array.from({ length: NATIVE_FROM * 3 }, (_, i) => (i * 131) ^ (i >> 3))
    for (let length = 0; length <= bytes.length; length += 37) {
      const part = bytes.subarray(0, length)
      expect(crc32c(part)).toBe(crc32cPortable(part))
      expect(crc32c(part, 0xffffffff)).toBe(crc32cPortable(part, 0xffffffff))
      expect(crc32cRange(bytes, length, bytes.length, crc32c(part))).toBe(crc32c(bytes))
    }
  })
})

describe('value pointers', () => {
  test("Badger's bytes: fid, len, offset, little-endian", () => {
    const pointer = { fid: 0x01020304, len: 0x05060708, offset: 0x090a0b0c }
    expect(Buffer.from(encodePointer(pointer)).toString('hex')).toBe('0403020108070605' + '0c0b0a09')
    expect(decodePointer(encodePointer(pointer))).toEqual(pointer)
  })

  test('eleven bytes are no pointer', () => {
    expect(() => decodePointer(new Uint8Array(11))).toThrow(CorruptionError)
  })
})

describe('payloads', () => {
  const view = { userMeta: 0, expiresAt: 0, valueStart: 0, valueEnd: 0 }

  test('attributes cost nothing where there are none, and come back where there are', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.maxSafeNat(), fc.constantFrom(KIND_VALUE, KIND_POINTER), fc.uint8Array(), (userMeta, expiresAt, base, value) => {
        const kind = kindWithAttributes(base, userMeta, expiresAt)
        expect((kind & KIND_ATTRIBUTES) !== 0).toBe(userMeta !== 0 || expiresAt !== 0)
        const attributes = new Uint8Array(attributesLength(userMeta, expiresAt))
        expect(writeAttributes(attributes, 0, userMeta, expiresAt)).toBe(attributes.length)
        const pointer = encodePointer({ fid: 1, offset: 2, len: 3 })
        const payload = Buffer.concat(base === KIND_POINTER ? [pointer, attributes] : [attributes, value])
        readPayload(kind, payload, 0, payload.length, view)
        expect(view.userMeta).toBe(userMeta)
        expect(view.expiresAt).toBe(expiresAt)
        expect(readExpiresAt(kind, payload, 0, payload.length)).toBe(expiresAt)
        if (base === KIND_VALUE) expect([...payload.subarray(view.valueStart, view.valueEnd)]).toEqual([...value])
      }),
    )
  })

  test('what is no pointer, or no bytes of one, is refused: it would lead to other bytes', () => {
    const fields = [-1, 1.5, 2 ** 32, Number.NaN, '1', undefined, null] as never[]
    for (const wrong of fields) {
      for (const pointer of [{ fid: wrong, offset: 2, len: 3 }, { fid: 1, offset: wrong, len: 3 }, { fid: 1, offset: 2, len: wrong }]) expect(() => encodePointer(pointer)).toThrow(InvalidArgumentError)
      expect(() => encodePointer(wrong)).toThrow(InvalidArgumentError)
      expect(() => decodePointer(wrong)).toThrow(InvalidArgumentError)
    }
    const largest = { fid: 0xffff_ffff, offset: 0xffff_ffff, len: 0xffff_ffff }
    expect(decodePointer(encodePointer(largest))).toEqual(largest)
    for (const at of [-1, 1, 0.5, Number.NaN]) expect(() => decodePointer(new Uint8Array(12), at)).toThrow(CorruptionError)
  })

  test('cut payloads are corruption', () => {
    expect(() => readPayload(KIND_POINTER, new Uint8Array(11), 0, 11, view)).toThrow(CorruptionError)
    expect(() => readPayload(KIND_VALUE | KIND_ATTRIBUTES, new Uint8Array(1), 0, 1, view)).toThrow(CorruptionError)
  })

  test('which kinds exist', () => {
    const kinds = Array.from({ length: 256 }, (_, kind) => kind).filter(isKind)
    expect(kinds).toEqual([KIND_TOMBSTONE, KIND_VALUE, KIND_POINTER, KIND_VALUE | KIND_ATTRIBUTES, KIND_POINTER | KIND_ATTRIBUTES])
  })
})

describe('file names', () => {
  test('parse gives back what format was given', () => {
    fc.assert(
      fc.property(fc.constantFrom('wal', 'table', 'vlog', 'relocated', 'manifest'), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (kind, number) => {
        const name = formatFileName(kind, number)
        expect(parseFileName(name)).toEqual({ kind, number })
        expect(parseFileName(tempName(name))).toEqual({ kind: 'temp', number: 0 })
      }),
    )
  })

  test.each(['000000.wal', '1.wal', '0000001.wal', '000001.WAL', '000001.wal ', ' 000001.wal', '-00001.wal', '000001.wal.tmp.tmp', '.tmp', 'MANIFEST-0', 'MANIFEST-000000', '../000001.wal', '000001.sst\0', '９００００１.sst', '9999999999999999999.sst', 'current', 'LOCK2', ''])(
    'foreign: %j',
    (name) => {
      expect(parseFileName(name)).toBeUndefined()
    },
  )

  test('a name that is nearly ours is ours only if it is what formatting gives', () => {
    const near = fc.tuple(fc.constantFrom('000012.wal', '000012.sst', '12345678.vlog', '000012.rlog', '000012.runs', 'MANIFEST-000003', 'CURRENT', 'LOCK'), fc.nat(20), fc.nat(4), fc.oneof(fc.string({ unit: 'grapheme', maxLength: 3 }), fc.constantFrom('0', '00', '9007199254740992', '.tmp', '-', '../', '\0')))
    let ours = 0
    fc.assert(
      fc.property(near, ([name, at, length, piece]) => {
        const changed = name.slice(0, at) + piece + name.slice(at + length)
        const parsed = parseFileName(changed)
        if (parsed === undefined) return
        ours++
        if (parsed.kind === 'temp') expect(parseFileName(changed.slice(0, -'.tmp'.length))?.kind).not.toBe('temp')
        else expect(parsed.number === 0 ? formatFileName(parsed.kind as 'current') : formatFileName(parsed.kind as 'wal', parsed.number)).toBe(changed)
      }),
      { numRuns: 20_000 },
    )
    expect(ours).toBeGreaterThan(100)
  })

  test('single files', () => {
    expect(parseFileName('CURRENT')).toEqual({ kind: 'current', number: 0 })
    expect(parseFileName('LOCK')).toEqual({ kind: 'lock', number: 0 })
    expect(parseFileName('KEYREGISTRY')).toEqual({ kind: 'keyRegistry', number: 0 })
    expect(parseFileName('VLOGSTATE')).toEqual({ kind: 'vlogState', number: 0 })
  })

  test('numbers that are none are refused', () => {
    for (const number of [0, -1, 1.5, Number.NaN, 2 ** 53]) expect(() => formatFileName('wal', number)).toThrow(WkError)
  })
})

describe('frames', () => {
  const frame = (payload: Uint8Array, file: number, offset: number): Uint8Array => {
    const bytes = new Uint8Array(8 + payload.length)
    bytes.set(payload, 8)
    writeFrameHeader(bytes, 0, payload.length, file, offset)
    return bytes
  }

  test('valid only at its own place', () => {
    const bytes = frame(Buffer.from('payload'), 7, 4096)
    expect(readFrame(bytes, 0, bytes.length, 7, 4096, 1 << 20)).toBe(7)
    expect(readFrame(bytes, 0, bytes.length, 8, 4096, 1 << 20)).toBe(-1)
    expect(readFrame(bytes, 0, bytes.length, 7, 4097, 1 << 20)).toBe(-1)
    expect(readFrame(bytes, 0, bytes.length, 7, 4096, 6)).toBe(-1)
  })

  test('every flipped bit and every cut is seen', () => {
    const bytes = frame(Buffer.from('some payload'), 1, 16)
    for (let i = 0; i < bytes.length * 8; i++) {
      const damaged = bytes.slice()
      damaged[i >> 3]! ^= 1 << (i & 7)
      expect(readFrame(damaged, 0, damaged.length, 1, 16, 1 << 20)).toBe(-1)
    }
    for (let end = 0; end < bytes.length; end++) expect(readFrame(bytes, 0, end, 1, 16, 1 << 20)).toBe(-1)
  })

  test('zeros are no frame', () => {
    expect(readFrame(new Uint8Array(64), 0, 64, 1, 16, 64)).toBe(-1)
  })
})

describe('errors', () => {
  test('instanceof holds for the base and its own class only, and for another copy of the package', () => {
    const error = new IoError('x', { file: 'f', operation: 'read', cause: Object.assign(new Error('disk'), { code: 'EIO', errno: -5 }) })
    expect(error).toBeInstanceOf(WkError)
    expect(error).not.toBeInstanceOf(CorruptionError)
    expect(new Error('x')).not.toBeInstanceOf(WkError)
    const foreign = Object.assign(new Error('y'), { code: 'WK_IO' })
    Object.defineProperty(foreign, Symbol.for('@wk/error'), { value: true })
    expect(foreign).toBeInstanceOf(WkError)
    expect(errnoOf(new WkError('WK_READ_ONLY', 'z', { cause: error }))).toBe('EIO')
    expect(errnoOf(new Error('no errno'))).toBeUndefined()
  })
})
