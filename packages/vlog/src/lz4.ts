/**
 * LZ4 for values, through the optional `lz4-napi` (prebuilt binaries).
 *
 * A compressed value is stored as its length (u32 little-endian), then one raw LZ4 block: what `lz4-napi` makes. The
 * record's meta bit `META_LZ4` marks it. Lengths are checked before anything is allocated: at most the limit of a
 * value, at most what LZ4 can make of so many bytes.
 */
import { createRequire } from 'node:module'
import { CorruptionError, NotSupportedError, copyBytes, isShared, readU32 } from '@wk/codec'
import { MAX_VALUE_LENGTH } from './format.js'

/** Shorter values are stored as they are: LZ4 would save little and cost a call. */
export const MIN_COMPRESSED_SOURCE = 64
/** LZ4 turns one byte into 255 at most. */
export const MAX_LZ4_RATIO = 255
/** Bytes of the length before the block. */
export const LZ4_PREFIX_LENGTH = 4

/** The two calls of `lz4-napi` that values need. */
export interface Lz4 {
  compressSync(bytes: Buffer): Uint8Array
  uncompressSync(bytes: Uint8Array): Uint8Array
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

/** @throws NotSupportedError where there is no library */
export function requireLz4(): Lz4 {
  const lz4 = loadLz4()
  if (lz4 === undefined) throw new NotSupportedError('lz4 values need the optional package lz4-napi, which is not installed or does not load')
  return lz4
}

/** The stored form of `value` if it saves at least an eighth, else `undefined`. */
export function compressValue(value: Uint8Array): Uint8Array | undefined {
  const { length } = value
  if (length < MIN_COMPRESSED_SOURCE) return undefined
  // Shared memory may change while it is compressed: a private copy cannot.
  const own = isShared(value) ? copyBytes(value) : value
  const compressed = requireLz4().compressSync(Buffer.from(own.buffer, own.byteOffset, length))
  return compressed.length <= length - length / 8 ? compressed : undefined
}

/** Length of the value whose stored form this is; -1 if it claims one that cannot be. */
export function uncompressedLength(stored: Uint8Array): number {
  if (stored.length <= LZ4_PREFIX_LENGTH) return -1
  const length = readU32(stored, 0)
  return length <= MAX_VALUE_LENGTH && length <= (stored.length - LZ4_PREFIX_LENGTH) * MAX_LZ4_RATIO ? length : -1
}

/**
 * The value whose stored form this is: a plain array of the caller's own.
 * @throws what `damaged` makes of a stored form that is none; NotSupportedError without the library
 */
export function uncompressValue(stored: Uint8Array, damaged: (message: string) => CorruptionError): Uint8Array {
  const length = uncompressedLength(stored)
  if (length === -1) throw damaged('a compressed value claims an impossible length')
  const lz4 = requireLz4()
  let value: Uint8Array
  try {
    value = lz4.uncompressSync(stored)
  } catch {
    throw damaged('a compressed value does not uncompress')
  }
  if (value.length !== length) throw damaged('a compressed value has another length than it claims')
  return new Uint8Array(value.buffer, value.byteOffset, length)
}
