/** `NNNNNN.sst`: docs/format.md, "Tables". Every block, entry, reference, property and bit of the filter. */
import { decodeBlock, type BlockEntry } from './block.js'
import { crc32c, u64 } from './checksum.js'
import { decodePayload, order, SEQ_MAX } from './entry.js'
import { checkFilter } from './filter.js'
import { lz4 } from './lz4.js'
import { checkProperties, checkReferences, figuresOf, type Figures, type TableEntry } from './properties.js'
import { check, checkTiles, Reader, type Part } from './reader.js'

const FOOTER = 44

export interface Table {
  readonly size: number
  readonly entries: readonly TableEntry[]
  readonly figures: Figures
  /** Data blocks, and how many of them are compressed. */
  readonly blocks: number
  readonly compressed: number
}

interface Stored {
  readonly at: number
  /** As the index or the footer says it: of what is stored. */
  readonly length: number
  readonly contents: Buffer
  readonly compressed: boolean
}

export function decodeTable(bytes: Buffer, number: number, file: string, bitsPerKey?: number): Table {
  const footerAt = bytes.length - FOOTER
  check(footerAt >= 20, file, 0, 'too short for a table')
  const block = (at: number, length: number, what: string): Stored => storedBlock(bytes, number, file, at, length, what)
  const f = new Reader(bytes, file, { at: footerAt })
  const referencesAt = f.u64()
  const lengths = [f.u32(), f.u32(), f.u32(), f.u32()] as const
  f.check(f.u32() === 1, 'format version')
  f.check(f.u32() === 0, 'reserved')
  f.check(f.u32() === crc32c(u64(number), u64(footerAt), bytes.subarray(footerAt, footerAt + 32)), 'checksum of the footer')
  f.expect(Buffer.from('WKTABLE\n'), 'magic')

  const references = block(referencesAt, lengths[0], 'reference block')
  const filter = block(endOf(references), lengths[1], 'filter block')
  const properties = block(endOf(filter), lengths[2], 'properties block')
  const index = block(endOf(properties), lengths[3], 'index block')
  check(endOf(index) === footerAt, file, endOf(index), 'the blocks do not end where the footer begins')

  const data: Stored[] = []
  const found: BlockEntry[][] = []
  let at = 0
  const indexEntries = decodeBlock(index.contents, file, index.at, true)
  for (const { kind, payload } of indexEntries) {
    const stored = block(at, payload.uvarint(2 ** 31 - 1), 'data block')
    payload.done('length of a data block')
    payload.check(kind === 0, 'kind in the index')
    data.push(stored)
    found.push(decodeBlock(stored.contents, file, at, false))
    at = endOf(stored)
  }
  check(at === referencesAt, file, at, 'the data blocks do not end where the reference block begins')
  const parts: Part[] = [...data, references, filter, properties, index].map((b) => [b.at, endOf(b), 'block'])
  checkTiles([...parts, [footerAt, bytes.length, 'footer']], bytes.length, file)

  for (const [i, entry] of indexEntries.entries()) checkIndexKey(entry, found[i]?.at(-1), found[i + 1]?.[0])
  const raw = found.flat()
  for (const [i, e] of raw.entries()) if (i > 0) check(order(raw[i - 1] ?? e, e) < 0, file, 0, 'order of entries')
  const entries = raw.map((e): TableEntry => ({ key: e.key, seq: e.seq, payloadLength: e.payload.left, ...decodePayload(e.kind, e.payload) }))
  const keys = entries.filter((e, i) => i === 0 || entries[i - 1]?.key.equals(e.key) !== true).map((e) => e.key)
  const figures = figuresOf(entries)
  checkReferences(references.contents, entries, file, references.at)
  checkProperties(properties.contents, figures, data.length, keys.length, file, properties.at)
  checkFilter(filter.contents, keys, bitsPerKey, file, filter.at)
  return { size: bytes.length, entries, figures, blocks: data.length, compressed: data.filter((b) => b.compressed).length }
}

const endOf = ({ at, length }: Stored): number => at + length + 5

function storedBlock(bytes: Buffer, number: number, file: string, at: number, length: number, what: string): Stored {
  check(at + length + 5 <= bytes.length - FOOTER, file, at, `${what} does not lie inside`)
  check(bytes.readUInt32LE(at + length + 1) === crc32c(u64(number), u64(at), bytes.subarray(at, at + length + 1)), file, at, `checksum of the ${what}`)
  const type = bytes[at + length]
  const raw = bytes.subarray(at, at + length)
  if (type === 0) return { at, length, contents: raw, compressed: false }
  check(type === 1 && what === 'data block', file, at + length, `compression type ${type} of a ${what}`)
  const size = raw.readUInt32LE(0)
  check(size <= 2 ** 24 && size <= 255 * (length - 4), file, at, 'uncompressed length')
  check(length <= size - Math.floor(size / 8), file, at, 'compressed though it saves less than an eighth')
  return { at, length, contents: lz4(raw.subarray(4), size, file, at), compressed: true }
}

/** The shortest key between two blocks that the page's rule gives, or the last entry itself. */
function checkIndexKey(entry: BlockEntry, last: BlockEntry | undefined, next: BlockEntry | undefined): void {
  if (last === undefined) throw entry.payload.bad('empty data block')
  const key = next === undefined ? undefined : keyBetween(last.key, next.key)
  entry.payload.check(entry.key.equals(key ?? last.key) && entry.seq === (key === undefined ? last.seq : SEQ_MAX), `index key ${entry.key.toString('hex')} (${entry.seq}) behind ${last.key.toString('hex')}`)
}

function keyBetween(a: Buffer, b: Buffer): Buffer | undefined {
  let n = 0
  while (n < a.length && n < b.length && a[n] === b[n]) n++
  if (n === a.length || n === b.length || a.readUInt8(n) + 1 >= b.readUInt8(n)) return undefined
  return Buffer.concat([a.subarray(0, n), Buffer.of(a.readUInt8(n) + 1)])
}
