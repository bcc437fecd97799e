/**
 * Growable byte buffer with the number formats of this engine. The counterpart of `ByteReader`.
 *
 * `bytes` is replaced when it grows: hold the writer, not its buffer. Numbers of fixed width are cut to it: that they fit is not checked.
 */
import { checkArgument, isCount } from './check-argument.js'
import { uvarintLength, writeUvarint } from './varint.js'

/** A buffer that grows as it is written. */
export class ByteWriter {
  bytes: Uint8Array
  length = 0

  /** @param capacity bytes to begin with. @throws InvalidArgumentError */
  constructor(capacity = 256) {
    checkArgument(isCount(capacity), 'a capacity in bytes')
    this.bytes = new Uint8Array(capacity)
  }

  /** Forgets what was written and keeps the memory. */
  reset(): void {
    this.length = 0
  }

  /** Makes room for `extra` more bytes. @throws InvalidArgumentError for what is no number of bytes */
  reserve(extra: number): void {
    const wanted = this.length + extra
    if (wanted <= this.bytes.length) return
    checkArgument(isCount(extra), 'a number of bytes')
    const grown = new Uint8Array(Math.max(wanted, this.bytes.length * 2))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
  }

  u8(value: number): this {
    this.reserve(1)
    this.bytes[this.length++] = value
    return this
  }

  u16(value: number): this {
    this.reserve(2)
    this.bytes[this.length++] = value
    this.bytes[this.length++] = value >>> 8
    return this
  }

  u32(value: number): this {
    this.reserve(4)
    writeU32(this.bytes, this.length, value)
    this.length += 4
    return this
  }

  /** Requires a safe integer that is not negative. */
  u64(value: number): this {
    this.reserve(8)
    writeU64(this.bytes, this.length, value)
    this.length += 8
    return this
  }

  /** Requires a safe integer that is not negative. */
  uvarint(value: number): this {
    this.reserve(uvarintLength(value))
    this.length = writeUvarint(this.bytes, this.length, value)
    return this
  }

  /** `bytes[start..end)`. @throws InvalidArgumentError for what are no bytes, or places in none */
  raw(bytes: Uint8Array, start = 0, end: number = bytes?.length): this {
    checkArgument(bytes instanceof Uint8Array, 'bytes as a Uint8Array')
    checkArgument(isCount(start) && isCount(end) && start <= end && end <= bytes.length, 'places in the bytes')
    this.reserve(end - start)
    this.bytes.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.length)
    this.length += end - start
    return this
  }

  /** `uvarint` length, then the bytes. */
  lengthPrefixed(bytes: Uint8Array): this {
    checkArgument(bytes instanceof Uint8Array, 'bytes as a Uint8Array')
    return this.uvarint(bytes.length).raw(bytes)
  }

  /** A copy of what was written. */
  toBytes(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }
}

/** Little-endian u32 at `at`. Requires room. */
export function writeU32(into: Uint8Array, at: number, value: number): void {
  into[at] = value
  into[at + 1] = value >>> 8
  into[at + 2] = value >>> 16
  into[at + 3] = value >>> 24
}

/** Little-endian u64 at `at` of a safe integer. Requires room. */
export function writeU64(into: Uint8Array, at: number, value: number): void {
  writeU32(into, at, value % 0x1_0000_0000)
  writeU32(into, at + 4, Math.floor(value / 0x1_0000_0000))
}

/** Little-endian u32 at `at`. Requires that the four bytes are there. */
export function readU32(from: Uint8Array, at: number): number {
  return (from[at]! | (from[at + 1]! << 8) | (from[at + 2]! << 16) | (from[at + 3]! << 24)) >>> 0
}
