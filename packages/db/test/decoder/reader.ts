/**
 * Reading bytes in order, as the head of docs/format.md says: little-endian numbers, unsigned varints in their shortest form. Whatever breaks a limit is a
 * `Bad` with file and offset.
 */

/** A statement of the page that does not hold. */
export class Bad extends Error {
  readonly file: string
  readonly offset: number

  constructor(file: string, offset: number, what: string) {
    super(`${file} at ${offset}: ${what}`)
    this.file = file
    this.offset = offset
  }
}

/** Throws unless the statement holds. */
export function check(holds: boolean, file: string, offset: number, what: string): void {
  if (!holds) throw new Bad(file, offset, what)
}

/** The largest number that is read: 2^53 - 1. */
export const MOST = Number.MAX_SAFE_INTEGER
export const U32 = 2 ** 32 - 1

/** A cursor over `bytes` from `at` to `end`; `base` is the place of byte 0 in the file, for messages. */
export class Reader {
  readonly file: string
  at: number
  readonly end: number
  readonly #bytes: Buffer
  readonly #base: number

  constructor(bytes: Buffer, file: string, { at = 0, end = bytes.length, base = 0 }: { at?: number; end?: number; base?: number } = {}) {
    this.#bytes = bytes
    this.file = file
    this.at = at
    this.end = end
    this.#base = base
  }

  get left(): number {
    return this.end - this.at
  }

  bad(what: string, at = this.at): Bad {
    return new Bad(this.file, this.#base + at, what)
  }

  check(holds: boolean, what: string, at = this.at): void {
    if (!holds) throw this.bad(what, at)
  }

  /** Goes on by n bytes and says where they begin. */
  #take(n: number): number {
    this.check(n <= this.left, `${n} bytes wanted, ${this.left} left`)
    this.at += n
    return this.at - n
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1))
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4))
  }

  u32be(): number {
    return this.#bytes.readUInt32BE(this.#take(4))
  }

  u64(): number {
    const at = this.#take(8)
    const n = this.#bytes.readBigUInt64LE(at)
    this.check(n <= BigInt(MOST), 'a u64 above 2^53 - 1', at)
    return Number(n)
  }

  bytes(n: number): Buffer {
    const at = this.#take(n)
    return this.#bytes.subarray(at, at + n)
  }

  /** A cursor over the next n bytes, which this one is past then. */
  part(n: number): Reader {
    const at = this.#take(n)
    return new Reader(this.#bytes, this.file, { at, end: at + n, base: this.#base })
  }

  uvarint(max = MOST, maxBytes = 8): number {
    const from = this.at
    let value = 0
    for (let k = 0, scale = 1; ; k++, scale *= 128) {
      this.check(k < maxBytes, 'uvarint too long', from)
      const byte = this.u8()
      value += (byte & 127) * scale
      if (byte >= 128) continue
      this.check(k === 0 || byte !== 0, 'uvarint not in its shortest form', from)
      this.check(value <= max, `uvarint ${value} above ${max}`, from)
      return value
    }
  }

  expect(bytes: Buffer, what: string): void {
    const from = this.at
    this.check(this.bytes(bytes.length).equals(bytes), `no ${what}`, from)
  }

  done(what: string): void {
    this.check(this.left === 0, `${this.left} bytes behind ${what}`)
  }
}

export const allZero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0)

/** A part of a file: from, to, what it is. */
export type Part = readonly [from: number, to: number, what: string]

/** The parts are the file: no byte is left out, none counted twice. */
export function checkTiles(parts: readonly Part[], size: number, file: string): void {
  let at = 0
  for (const [from, to, what] of parts) {
    check(from === at && to >= from, file, at, `bytes ${at} to ${from} (before ${what}) are not accounted for`)
    at = to
  }
  check(at === size, file, at, `the last ${size - at} bytes are not accounted for`)
}
