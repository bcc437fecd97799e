import { KIND_POINTER, KIND_TOMBSTONE, KIND_VALUE, encodePointer } from '@wk/codec'
import { TABLE_MAGIC } from '@wk/sstable'
import { expect, it } from 'vitest'
import { build, bytes } from './support.js'

/** The worked example of the format documentation. Whoever has to change it changes the format. */
it('writes the bytes that the format documentation shows', () => {
  const { file } = build([
    { key: bytes('apple'), sequence: 3, kind: KIND_POINTER, value: encodePointer({ fid: 1, offset: 20, len: 50 }) },
    { key: bytes('apricot'), sequence: 2, kind: KIND_VALUE, value: bytes('hi') },
    { key: bytes('banana'), sequence: 1, kind: KIND_TOMBSTONE, value: bytes('') },
  ])
  const lines = (Buffer.from(file.bytes).toString('hex').match(/.{1,32}/g) ?? []).map((line, i) => `${(i * 16).toString(16).padStart(4, '0')}  ${line.match(/../g)?.join(' ')}`)
  expect(`\n${lines.join('\n')}\n`).toMatchInlineSnapshot(`
    "
    0000  00 05 0c ff ff ff ff ff fc 02 61 70 70 6c 65 01
    0010  00 00 00 32 00 00 00 14 00 00 00 02 05 02 ff ff
    0020  ff ff ff fd 01 72 69 63 6f 74 68 69 00 06 00 ff
    0030  ff ff ff ff fe 00 62 61 6e 61 6e 61 00 00 00 00
    0040  01 00 00 00 00 67 c7 3e 67 01 01 14 32 00 4b d7
    0050  bd 3e 01 07 92 44 02 06 20 10 88 49 00 2d 5d 5e
    0060  1c 01 01 03 02 01 01 03 01 00 04 01 01 05 01 03
    0070  06 01 12 07 01 0e 08 05 61 70 70 6c 65 09 06 62
    0080  61 6e 61 6e 61 0a 03 01 01 32 0b 01 01 0c 01 03
    0090  00 27 bc 58 23 00 06 01 ff ff ff ff ff fe 00 62
    00a0  61 6e 61 6e 61 44 00 00 00 00 01 00 00 00 00 df
    00b0  ba 9d fe 49 00 00 00 00 00 00 00 04 00 00 00 0a
    00c0  00 00 00 2f 00 00 00 19 00 00 00 01 00 00 00 00
    00d0  00 00 00 00 bc c3 0f 57 4b 54 41 42 4c 45 0a
    "
  `)
  expect(Buffer.from(TABLE_MAGIC).toString('latin1')).toBe('WKTABLE\n')
})
