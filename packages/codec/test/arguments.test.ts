import { ByteReader, ByteWriter, MAX_SEQUENCE, checkArgument, crc32c, crc32cPortable, encodeInternalKey, formatFileName, hasMethods, isCount, isKind, isSequence, parseFileName, tempName, uvarintLength, writeUvarint } from '@wk/codec'
import { expect, test } from 'vitest'

const INVALID = expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }) as Error
const NO_COUNTS: unknown[] = [undefined, null, '1', 'x', {}, [], true, 1n, Number.NaN, -1, 1.5, Infinity, -Infinity, 2 ** 53]
const NO_BYTES: unknown[] = [undefined, null, 'text', 5, {}, [1, 2], new ArrayBuffer(4), new Uint16Array(4)]
const refused = (call: () => unknown): void => expect(call).toThrow(INVALID)

test('what is no number for a varint is refused, also what it would be divided for ever', () => {
  for (const wrong of NO_COUNTS as never[]) {
    refused(() => uvarintLength(wrong))
    refused(() => writeUvarint(new Uint8Array(16), 0, wrong))
    refused(() => new ByteWriter().uvarint(wrong))
  }
  expect(uvarintLength(Number.MAX_SAFE_INTEGER)).toBe(8)
})

test('readers and writers of what are no bytes, or places in none', () => {
  for (const wrong of NO_BYTES as never[]) {
    refused(() => new ByteReader(wrong))
    refused(() => new ByteWriter().raw(wrong))
    refused(() => new ByteWriter().lengthPrefixed(wrong))
    refused(() => crc32c(wrong))
    refused(() => crc32cPortable(wrong))
    refused(() => encodeInternalKey(wrong, 1, 1))
  }
  const bytes = new Uint8Array(8)
  for (const wrong of NO_COUNTS.slice(1) as never[]) {
    // `null` counts as none.
    if (wrong !== null) refused(() => new ByteReader(bytes, { start: wrong }))
    if (wrong !== null) refused(() => new ByteReader(bytes, { end: wrong }))
    refused(() => new ByteWriter(wrong))
    refused(() => new ByteWriter().raw(bytes, wrong))
    refused(() => new ByteWriter().raw(bytes, 0, wrong))
    refused(() => encodeInternalKey(bytes, wrong, 1))
    refused(() => encodeInternalKey(bytes, 1, wrong))
  }
  for (const wrong of [undefined, 'x', Number.NaN, Infinity] as never[]) refused(() => new ByteWriter().reserve(wrong))
  refused(() => new ByteWriter().raw(bytes, 5, 4))
  refused(() => new ByteWriter().raw(bytes, 0, 9))
  for (const wrong of [null, 5, 'text'] as never[]) refused(() => new ByteReader(bytes, wrong))
  expect(() => new ByteReader(bytes, { start: 9 })).toThrow(expect.objectContaining({ code: 'WK_CORRUPTION' }) as Error)
})

test('names of files', () => {
  for (const wrong of [undefined, null, 5, {}, 'log', 'toString', '__proto__'] as never[]) refused(() => formatFileName(wrong, 1))
  for (const wrong of [undefined, null, 5, {}] as never[]) {
    refused(() => parseFileName(wrong))
    refused(() => tempName(wrong))
  }
})

test('predicates answer for anything', () => {
  for (const wrong of NO_COUNTS as never[]) expect([isCount(wrong), isSequence(wrong), hasMethods(wrong, 'call')]).toEqual([false, false, false])
  for (const wrong of [...NO_COUNTS, 3, 4, 7, 2 ** 32 + 1] as never[]) expect(isKind(wrong)).toBe(false)
  expect([isCount(0), isSequence(MAX_SEQUENCE), [0, 1, 2, 5, 6].every(isKind), hasMethods(new Map(), 'get', 'set')]).toEqual([true, true, true, true])
  refused(() => checkArgument(false, 'nothing'))
})
