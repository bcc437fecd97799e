/**
 * What a table file looks like, its limits, and the two pieces that frame everything in it: block trailer and footer.
 *
 *     data block * | reference block | filter block | properties block | index block | footer
 *
 * A block is `contents`, one byte of compression type, and a CRC-32C (little-endian) of contents and type, salted with
 * table number and block offset: a block that was swapped, misdirected or left over from another table does not verify.
 * Blocks follow each other without gaps, so offsets are sums of lengths and nothing hides between them.
 *
 * Footer, {@link FOOTER_LENGTH} bytes (lengths are those of contents):
 *
 * | offset | size | field                                                       |
 * |--------|------|-------------------------------------------------------------|
 * | 0      | 8    | offset of the reference block, u64                          |
 * | 8      | 4    | its length, u32                                             |
 * | 12     | 4    | length of the filter block, u32                             |
 * | 16     | 4    | length of the properties block, u32                         |
 * | 20     | 4    | length of the index block, u32                              |
 * | 24     | 4    | format version, u32                                         |
 * | 28     | 4    | reserved, 0                                                 |
 * | 32     | 4    | CRC-32C of bytes 0 to 31, salted with table number and footer offset |
 * | 36     | 8    | magic `WKTABLE\n`                                           |
 *
 * Constants here are on disk: never renumber. `docs/format.md` has the whole format; other files have block contents.
 */
import {
  ByteReader,
  ByteWriter,
  CorruptionError,
  NotSupportedError,
  crc32cRange,
  formatFileName,
  placeSeed,
  readU32,
} from '@wk/codec'

/** `WKTABLE\n`. */
export const TABLE_MAGIC = Uint8Array.of(0x57, 0x4b, 0x54, 0x41, 0x42, 0x4c, 0x45, 0x0a)
/** The version this release writes, and the only one it reads. */
export const TABLE_VERSION = 1
/** Bytes of the footer, which ends the file. */
export const FOOTER_LENGTH = 44
/** Where the footer's checksum lies, and how much it covers. */
const CHECKSUM_AT = 32

/** Compression type and checksum. */
export const BLOCK_TRAILER_LENGTH = 5
/** Contents as they are. */
export const COMPRESSION_NONE = 0
/** Contents: uncompressed length (u32), then one raw LZ4 block. */
export const COMPRESSION_LZ4 = 1

/** Longest block contents. */
export const MAX_BLOCK_LENGTH = 0x7fff_ffff
/** Longest contents that are compressed: bounds what reading a compressed block may allocate. */
export const MAX_COMPRESSED_SOURCE = 16 << 20
/** LZ4 never expands more than this. */
export const MAX_LZ4_RATIO = 255
/** Largest table. */
export const MAX_TABLE_SIZE = 0xffff_ffff

/** Where a block lies and how long its contents are. */
export interface BlockHandle {
  readonly offset: number
  readonly length: number
}

/** Offset of the byte after the block, trailer included. */
export function blockEnd(handle: BlockHandle): number {
  return handle.offset + handle.length + BLOCK_TRAILER_LENGTH
}

export interface TableFooter {
  readonly references: BlockHandle
  readonly filter: BlockHandle
  readonly properties: BlockHandle
  readonly index: BlockHandle
}

/** The error for damage at `offset` of table `number`. */
export function tableDamage(number: number, offset: number, message: string, cause?: unknown): CorruptionError {
  const file = formatFileName('table', number)
  return new CorruptionError(`${message} in ${file} at offset ${offset}`, { file, offset, ...(cause === undefined ? {} : { cause }) })
}

/** Checksum of `bytes[start..end)`, contents and type of the block at `offset` of table `number`. */
export function blockChecksum(bytes: Uint8Array, start: number, end: number, number: number, offset: number): number {
  return crc32cRange(bytes, start, end, placeSeed(number, offset))
}

/** The footer's bytes. The blocks must follow each other as the format has them. */
export function encodeFooter(footer: TableFooter, number: number, offset: number): Uint8Array {
  const writer = new ByteWriter(FOOTER_LENGTH)
  writer.u64(footer.references.offset).u32(footer.references.length).u32(footer.filter.length)
  writer.u32(footer.properties.length).u32(footer.index.length).u32(TABLE_VERSION).u32(0)
  writer.u32(crc32cRange(writer.bytes, 0, writer.length, placeSeed(number, offset)))
  return writer.raw(TABLE_MAGIC).toBytes()
}

/**
 * Takes the footer apart and checks that the blocks it names fill the file up to it.
 * Throws `CorruptionError`, or `NotSupportedError` for a version that a later release wrote.
 */
export function decodeFooter(bytes: Uint8Array, number: number, offset: number): TableFooter {
  const reader = new ByteReader(bytes, { file: formatFileName('table', number), baseOffset: offset })
  reader.skip(CHECKSUM_AT)
  if (reader.u32() !== crc32cRange(bytes, 0, CHECKSUM_AT, placeSeed(number, offset))) throw tableDamage(number, offset, 'footer checksum does not match')
  for (const byte of TABLE_MAGIC) if (reader.u8() !== byte) throw tableDamage(number, offset, 'not a table: wrong magic')
  reader.expectEnd()
  reader.offset = 0
  const referencesOffset = reader.u64()
  const lengths = [reader.u32(), reader.u32(), reader.u32(), reader.u32()] as const
  const version = reader.u32()
  const reserved = reader.u32()
  if (version !== TABLE_VERSION) throw new NotSupportedError(`${formatFileName('table', number)} has table format version ${version}; this release reads ${TABLE_VERSION}`)
  if (reserved !== 0) throw tableDamage(number, offset, 'reserved footer bytes are set')
  const references = { offset: referencesOffset, length: lengths[0] }
  const filter = { offset: blockEnd(references), length: lengths[1] }
  const properties = { offset: blockEnd(filter), length: lengths[2] }
  const index = { offset: blockEnd(properties), length: lengths[3] }
  if (blockEnd(index) !== offset) throw tableDamage(number, offset, 'the blocks do not fill the file')
  return { references, filter, properties, index }
}

/** Little-endian u32 at `at` of a block's trailer. Requires that it is there. */
export function readBlockChecksum(bytes: Uint8Array, at: number): number {
  return readU32(bytes, at)
}
