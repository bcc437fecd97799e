/**
 * Bounded cursor over untrusted bytes: the only way this engine parses.
 *
 * Every read checks its length against what remains before it touches or allocates anything, and fails with
 * `CorruptionError` that names the file and the offset. It never reads past `end`. Lengths come from what was read: that they are whole numbers is not checked.
 */
import { checkOptions } from './call-options.js'
import { checkArgument, isCount } from './check-argument.js'
import { copyBytes } from './copy-bytes.js'
import { CorruptionError } from './errors.js'

/** Which bytes to read, and how errors name them. */
export interface ByteReaderOptions {
  /** File name for errors. */
  file?: string
  /** First byte to read. Default 0. */
  start?: number
  /** Byte after the last one. Default: the length of the bytes. */
  end?: number
  /** Offset of `bytes[0]` in the file, for errors. Default 0. */
  baseOffset?: number
}

/** A cursor that cannot leave its bytes. */
export class ByteReader {
  readonly bytes: Uint8Array
  readonly end: number
  offset: number
  readonly #file: string | undefined
  readonly #baseOffset: number

  /** @throws InvalidArgumentError for what are no bytes or places; CorruptionError for places outside the bytes */
  constructor(bytes: Uint8Array, options: ByteReaderOptions = {}) {
    checkArgument(bytes instanceof Uint8Array, 'bytes as a Uint8Array')
    checkOptions(options)
    this.bytes = bytes
    this.offset = options.start ?? 0
    this.end = options.end ?? bytes.length
    this.#file = options.file
    this.#baseOffset = options.baseOffset ?? 0
    checkArgument(isCount(this.offset) && isCount(this.end), 'places in the bytes')
    if (this.end > bytes.length || this.offset > this.end) throw this.corrupt('range outside the bytes')
  }

  get remaining(): number {
    return this.end - this.offset
  }

  /** The error to throw for damage at the current offset. */
  corrupt(message: string): CorruptionError {
    return new CorruptionError(`${message}${this.#file === undefined ? '' : ` in ${this.#file}`} at offset ${this.#baseOffset + this.offset}`, {
      file: this.#file,
      offset: this.#baseOffset + this.offset,
    })
  }

  u8(): number {
    return this.bytes[this.#take(1)] as number
  }

  u16(): number {
    const at = this.#take(2)
    return (this.bytes[at] as number) | ((this.bytes[at + 1] as number) << 8)
  }

  /** Little-endian, unsigned. */
  u32(): number {
    const at = this.#take(4)
    const { bytes } = this
    return (
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24)) >>>
      0
    )
  }

  /** Little-endian, unsigned; a value over 2^53 - 1 is damage. */
  u64(): number {
    const low = this.u32()
    const high = this.u32()
    if (high > 0x1fffff) throw this.corrupt('64-bit number out of range')
    return high * 0x1_0000_0000 + low
  }

  /** Shortest-form varint up to `limit`. */
  uvarint(limit: number = Number.MAX_SAFE_INTEGER): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (byte === 0 && i > 0) throw this.corrupt('overlong varint')
        if (value > limit) throw this.corrupt('varint over its limit')
        return value
      }
      scale *= 0x80
    }
    throw this.corrupt('varint too long')
  }

  /** A view of the next `length` bytes; it shares the reader's memory. */
  view(length: number): Uint8Array {
    const at = this.#take(length)
    return this.bytes.subarray(at, at + length)
  }

  /** A copy of the next `length` bytes. */
  copy(length: number): Uint8Array {
    const at = this.#take(length)
    return copyBytes(this.bytes, at, at + length)
  }

  skip(length: number): void {
    this.#take(length)
  }

  /** Fails unless everything was read. */
  expectEnd(): void {
    if (this.offset !== this.end) throw this.corrupt(`${this.remaining} bytes too many`)
  }

  #take(length: number): number {
    if (!(length >= 0) || length > this.end - this.offset) throw this.corrupt(`${length} bytes wanted, ${this.remaining} left`)
    const at = this.offset
    this.offset = at + length
    return at
  }
}
