import { CorruptionError, KIND_TOMBSTONE, KIND_VALUE, MAX_SEQUENCE, NotSupportedError, newLookupResult, readU32, writeU32, writeU64 } from '@wk/codec'
import { BLOCK_TRAILER_LENGTH, FOOTER_LENGTH, TableReader } from '@wk/sstable'
import type { TableReaderOptions } from '@wk/sstable'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { loadLz4, setLz4, type Lz4 } from '../src/compression.js'
import { blockChecksum, decodeFooter, blockEnd } from '../src/format.js'
import type { BlockHandle } from '../src/format.js'
import { allMerged } from './merged.js'
import { ArrayFile, allBackward, allForward, build, bytes, pointerEntries, runs, verify } from './support.js'
import type { Entry } from './support.js'

const entries: Entry[] = [
  ...pointerEntries(40),
  { key: bytes('~deleted'), sequence: 9000, kind: KIND_TOMBSTONE, value: bytes('') },
  { key: bytes('~text'), sequence: 9001, kind: KIND_VALUE, value: bytes('to be or not to be, '.repeat(20)) },
  { key: bytes('~text'), sequence: 8000, kind: KIND_VALUE, value: bytes('to be or not to be, '.repeat(20)) },
]
const tables = {
  plain: build(entries, { blockSize: 200, restartInterval: 4 }),
  lz4: build(entries, { blockSize: 400, restartInterval: 4, compression: 'lz4' }),
}

/** Everything a table can be asked, as text. */
function interrogate(file: ArrayFile, size: number, options: TableReaderOptions = {}): string {
  const table = TableReader.openSync(file, 7, size, options)
  const out = newLookupResult()
  const found = entries.map(({ key, sequence }) =>
    table.get(key, sequence, out) ? `${out.sequence} ${out.kind} ${Buffer.from(out.valueBytes.slice(out.valueStart, out.valueEnd)).toString('hex')}` : 'none',
  )
  const absent = ['', '0000000000000007x', '~~'].map((key) => table.get(bytes(key), MAX_SEQUENCE, out))
  const cursor = table.cursor()
  cursor.seek(bytes('0000000000000020'), MAX_SEQUENCE)
  const sought = cursor.valid ? cursor.sequence : -1
  cursor.seekReverse(bytes('0000000000000020'), MAX_SEQUENCE)
  const before = cursor.valid ? cursor.sequence : -1
  const references = table.references().map((list) => [list.fid, [...list.offsets], [...list.lengths]])
  const rest = [sought, before, references, table.summary(), verify(table)]
  return JSON.stringify([found, absent, allForward(table.cursor()), allMerged(table), allBackward(table.cursor()), rest])
}

/** Where every block lies. */
function handles(file: ArrayFile): BlockHandle[] {
  const at = file.bytes.length - FOOTER_LENGTH
  const footer = decodeFooter(file.bytes.subarray(at), 7, at)
  const table = TableReader.openSync(file, 7, file.bytes.length)
  const list: BlockHandle[] = []
  for (let i = 0; i < table.dataBlocks; i++) {
    const { offset } = table.readBlock(i)
    const end = i + 1 < table.dataBlocks ? table.readBlock(i + 1).offset : footer.references.offset
    list.push({ offset, length: end - offset - BLOCK_TRAILER_LENGTH })
  }
  return [...list, footer.references, footer.filter, footer.properties, footer.index]
}

/** Makes every checksum right again. */
function sign(file: ArrayFile, blocks: readonly BlockHandle[]): void {
  const at = file.bytes.length - FOOTER_LENGTH
  for (const { offset, length } of blocks) writeU32(file.bytes, offset + length + 1, blockChecksum(file.bytes, offset, offset + length + 1, 7, offset))
  writeU32(file.bytes, at + 32, blockChecksum(file.bytes, at, at + 32, 7, at))
}

function damageOf(run: () => unknown): CorruptionError {
  try {
    run()
  } catch (error) {
    expect(error).toBeInstanceOf(CorruptionError)
    return error as CorruptionError
  }
  throw new Error('nothing was noticed')
}

describe.each(Object.entries(tables))('a damaged table, %s', (_name, { file, summary }) => {
  const whole = interrogate(file, summary.size)

  it('has a flip of any byte noticed, with file and offset', () => {
    for (let at = 0; at < file.bytes.length; at++) {
      for (const flip of [0x01, 0x80, 0xff]) {
        const damaged = new ArrayFile(file.bytes)
        damaged.bytes[at] = (damaged.bytes[at] as number) ^ flip
        const error = damageOf(() => interrogate(damaged, summary.size))
        expect(error.file).toBe('000007.sst')
        expect(error.offset).toBeGreaterThanOrEqual(0)
        expect(error.offset).toBeLessThanOrEqual(at)
      }
    }
  })

  it('never answers otherwise, whichever question comes first', () => {
    for (let at = 0; at < file.bytes.length; at += 7) {
      const damaged = new ArrayFile(file.bytes)
      damaged.bytes[at] = (damaged.bytes[at] as number) ^ 0x10
      const out = newLookupResult()
      for (const { key, sequence } of entries) {
        try {
          const table = TableReader.openSync(damaged, 7, summary.size)
          expect(table.get(key, sequence, out)).toBe(true)
          expect(out.sequence).toBe(sequence)
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptionError)
        }
      }
    }
  })

  it('is refused at every other length', () => {
    for (let length = 0; length < file.bytes.length; length++) {
      const cut = new ArrayFile(file.bytes.subarray(0, length))
      expect(damageOf(() => interrogate(cut, summary.size)).file).toBe('000007.sst')
      expect(damageOf(() => interrogate(cut, length)).file).toBe('000007.sst')
    }
    const longer = new ArrayFile(Uint8Array.from([...file.bytes, 0, 0, 0]))
    damageOf(() => interrogate(longer, summary.size))
    damageOf(() => interrogate(longer, summary.size + 3))
  })

  it('is refused under another number', () => {
    damageOf(() => TableReader.openSync(new ArrayFile(file.bytes), 8, summary.size))
  })

  it('notices blocks that changed places', () => {
    const blocks = handles(file).slice(0, -4)
    for (const [i, a] of blocks.entries()) {
      for (const b of blocks.slice(i + 1)) {
        if (a.length !== b.length) continue
        const swapped = new ArrayFile(file.bytes)
        swapped.bytes.set(file.bytes.subarray(a.offset, blockEnd(a)), b.offset)
        swapped.bytes.set(file.bytes.subarray(b.offset, blockEnd(b)), a.offset)
        damageOf(() => interrogate(swapped, summary.size))
      }
    }
  })

  it('stays safe when the checksums are not asked', () => {
    for (let at = 0; at < file.bytes.length; at++) {
      const damaged = new ArrayFile(file.bytes)
      damaged.bytes[at] = (damaged.bytes[at] as number) ^ 0xff
      try {
        interrogate(damaged, summary.size, { verifyChecksums: false })
      } catch (error) {
        expect(error).toBeInstanceOf(CorruptionError)
      }
    }
  })

  it('stays safe when the checksums were made right', () => {
    const blocks = handles(file)
    const mutation = fc.tuple(fc.nat(file.bytes.length - 1), fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x3f))
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 4 }), (mutations) => {
        const damaged = new ArrayFile(file.bytes)
        for (const [at, value] of mutations) damaged.bytes[at] = value
        sign(damaged, blocks)
        try {
          interrogate(damaged, summary.size)
        } catch (error) {
          if (!(error instanceof NotSupportedError)) expect(error).toBeInstanceOf(CorruptionError)
        }
      }),
      runs(1500),
    )
  })

  it('is the same to a merge as to a cursor, or damaged', () => {
    const blocks = handles(file)
    const data = blocks[blocks.length - 4]!.offset
    let same = 0
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(data - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }), (mutations) => {
        const damaged = new ArrayFile(file.bytes)
        for (const [at, value] of mutations) damaged.bytes[at] = value
        sign(damaged, blocks)
        const table = TableReader.openSync(damaged, 7, summary.size)
        const listOf = (list: () => string[]): string[] | undefined => {
          try {
            return list()
          } catch (error) {
            expect(error).toBeInstanceOf(CorruptionError)
            expect((error as CorruptionError).file).toBe('000007.sst')
            return undefined
          }
        }
        const wanted = listOf(() => allForward(table.cursor()))
        const found = listOf(() => allMerged(table))
        // What a cursor believes (order, kinds) a merge does not.
        if (found !== undefined) expect(found).toEqual(wanted)
        if (found !== undefined) same++
      }),
      runs(1500),
    )
    expect(same).toBeGreaterThan(100)
  })

  it('reads the same through short reads', () => {
    const slow = new ArrayFile(file.bytes)
    slow.chunk = 3
    expect(interrogate(slow, summary.size)).toBe(whole)
  })
})

describe('hostile lengths', () => {
  afterEach(() => setLz4(undefined))

  const { file, summary } = tables.plain
  const footerOffset = summary.size - FOOTER_LENGTH
  const blocks = handles(file)
  const meta = ([0, 1, 2, 3] as const).map((i) => blocks[blocks.length - 4 + i] as BlockHandle)

  it.each([0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1])('refuses %d in any length of the footer', (value) => {
    for (const field of [8, 12, 16, 20]) {
      const damaged = new ArrayFile(file.bytes)
      writeU32(damaged.bytes, footerOffset + field, value)
      sign(damaged, [])
      damageOf(() => interrogate(damaged, summary.size))
    }
  })

  it('refuses any other offset of the reference block', () => {
    for (const value of [0, 1, summary.size, 2 ** 32, 2 ** 53 - 1]) {
      const damaged = new ArrayFile(file.bytes)
      writeU64(damaged.bytes, footerOffset, value)
      sign(damaged, [])
      damageOf(() => interrogate(damaged, summary.size))
    }
    const damaged = new ArrayFile(file.bytes)
    damaged.bytes.fill(0xff, footerOffset, footerOffset + 8)
    sign(damaged, [])
    damageOf(() => interrogate(damaged, summary.size))
  })

  it('tells a later version from damage', () => {
    const later = new ArrayFile(file.bytes)
    writeU32(later.bytes, footerOffset + 24, 2)
    sign(later, [])
    expect(() => interrogate(later, summary.size)).toThrow(NotSupportedError)
  })

  it('refuses reserved bytes, unknown compression and a hash it does not know', () => {
    const reserved = new ArrayFile(file.bytes)
    reserved.bytes[footerOffset + 28] = 1
    sign(reserved, [])
    damageOf(() => interrogate(reserved, summary.size))
    for (const { offset, length } of blocks) {
      const damaged = new ArrayFile(file.bytes)
      damaged.bytes[offset + length] = 9
      sign(damaged, blocks)
      damageOf(() => interrogate(damaged, summary.size))
    }
    const hash = new ArrayFile(file.bytes)
    hash.bytes[(meta[1] as BlockHandle).offset] = 2
    sign(hash, blocks)
    damageOf(() => interrogate(hash, summary.size))
  })

  it('refuses an impossible number of restart points', () => {
    const { offset, length } = blocks[0] as BlockHandle
    for (const value of [0, length, 2 ** 31, 2 ** 32 - 1]) {
      const damaged = new ArrayFile(file.bytes)
      writeU32(damaged.bytes, offset + length - 4, value)
      sign(damaged, blocks)
      damageOf(() => interrogate(damaged, summary.size))
    }
  })

  it('refuses a compressed block that claims too much, before it allocates', () => {
    const { file: packed, summary: packedSummary } = tables.lz4
    const packedBlocks = handles(packed)
    const lz4 = packedBlocks.find(({ offset, length }) => packed.bytes[offset + length] === 1) as BlockHandle
    const claimed = readU32(packed.bytes, lz4.offset)
    const believed: number[] = []
    const library = loadLz4() as Lz4
    setLz4({ compressSync: library.compressSync, uncompressSync: (given) => (believed.push(readU32(given, 0)), library.uncompressSync(given)) })
    for (const value of [0, claimed - 1, claimed + 1, 16 << 20, (16 << 20) + 1, 2 ** 32 - 1]) {
      const damaged = new ArrayFile(packed.bytes)
      writeU32(damaged.bytes, lz4.offset, value)
      sign(damaged, packedBlocks)
      damageOf(() => interrogate(damaged, packedSummary.size))
    }
    expect(believed).toContain(claimed + 1)
    expect(Math.max(...believed)).toBe(claimed + 1)
  })
})
