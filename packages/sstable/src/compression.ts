/**
 * LZ4 for blocks, through the optional `lz4-napi` (prebuilt binaries). Where it is absent tables are written
 * uncompressed, and reading a compressed block is `NotSupportedError`.
 *
 * On disk: the uncompressed length (u32 little-endian), then one raw LZ4 block; that is what `lz4-napi` makes.
 */
import { createRequire } from 'node:module'
import { NotSupportedError, readU32 } from '@wk/codec'
import { MAX_COMPRESSED_SOURCE, MAX_LZ4_RATIO, tableDamage } from './format.js'

/** How data blocks are compressed. */
export type Compression = 'none' | 'lz4'
export const COMPRESSIONS: readonly Compression[] = ['none', 'lz4']

/** The two calls of `lz4-napi` that blocks need. */
export interface Lz4 {
  compressSync(bytes: Buffer): Uint8Array
  uncompressSync(bytes: Buffer): Uint8Array
}

let loaded: Lz4 | null | undefined

/** The library, or `undefined` where it is not installed or does not load. Tried once. */
export function loadLz4(): Lz4 | undefined {
  if (loaded === undefined) {
    try {
      loaded = createRequire(import.meta.url)('lz4-napi') as Lz4
    } catch {
      loaded = null
    }
  }
  return loaded ?? undefined
}

/** Puts another implementation in place, `null` for none, `undefined` to load again. For tests. */
export function setLz4(lz4: Lz4 | null | undefined): void {
  loaded = lz4
}

/** Compressed contents if they save at least one part in `part`, else `undefined`. */
export function compressBlock(bytes: Uint8Array, start: number, end: number, part = 8): Uint8Array | undefined {
  const lz4 = loadLz4()
  const length = end - start
  if (lz4 === undefined || length > MAX_COMPRESSED_SOURCE) return undefined
  const compressed = lz4.compressSync(Buffer.from(bytes.buffer, bytes.byteOffset + start, length))
  return compressed.length <= length - Math.floor(length / part) ? compressed : undefined
}

/** The contents that were compressed. The stored length is checked before anything is allocated. */
export function uncompressBlock(bytes: Uint8Array, length: number, number: number, offset: number): Uint8Array {
  if (length < 5) throw tableDamage(number, offset, 'compressed block too short')
  const declared = readU32(bytes, 0)
  if (declared > MAX_COMPRESSED_SOURCE || declared > (length - 4) * MAX_LZ4_RATIO) throw tableDamage(number, offset, 'compressed block claims an impossible length')
  const lz4 = loadLz4()
  if (lz4 === undefined) throw new NotSupportedError('the table has lz4 blocks; install lz4-napi to read it')
  let contents: Uint8Array
  try {
    contents = lz4.uncompressSync(Buffer.from(bytes.buffer, bytes.byteOffset, length))
  } catch (cause) {
    throw tableDamage(number, offset, 'compressed block does not uncompress', cause)
  }
  if (contents.length !== declared) throw tableDamage(number, offset, 'compressed block has another length than it claims')
  // A plain Uint8Array: mixing in Buffers would make every access to a block polymorphic.
  return new Uint8Array(contents.buffer, contents.byteOffset, contents.length)
}
