/** Random entries for jobs: keys that are hard to order and to compress, payloads of all kinds and lengths, sequence numbers of every size. */
import {
  KIND_ATTRIBUTES,
  KIND_POINTER,
  KIND_TOMBSTONE,
  KIND_VALUE,
  MAX_KEY_LENGTH,
  MAX_SEQUENCE,
  compareBytes,
  encodePointer,
  uvarintLength,
  writeUvarint,
} from '@wk/codec'
import { Rng } from '@wk/testkit'
import { bytes } from './iterator-support.js'
import type { Entry } from './iterator-support.js'

const U32 = 0xffff_ffff
/** Lengths around which a varint takes another byte, or a copy another way. */
const LENGTHS = [0, 1, 7, 8, 9, 15, 16, 17, 39, 40, 41, 63, 64, 65, 126, 127, 128, 129, 200, 255, 256, 300]
/** Shared by many keys: of 8 bytes, of 16, and across what one byte tells. */
const PREFIXES = [8, 16, 17, 100, 120, 126, 127, 128, 129, 250].map((length) => new Uint8Array(length).fill(0x70))
/** Value-log files, some with a number that has its highest bit set. */
export const FIDS = [1, 2, 3, 0x7fff_ffff, 0x8000_0000, U32]
/** Pointers mostly lie in this many cells of {@link CELL} bytes, and so do the ranges that moves name. */
export const CELLS = 20
export const CELL = 1000

const KEYS: Record<string, (rng: Rng) => Uint8Array> = {
  tiny: (rng) => tail(rng, 5),
  text: (rng) => bytes(`user:${rng.below(2000)}`),
  numbered: (rng) => bytes(String(rng.below(5000)).padStart(16, '0')),
  shared: (rng) => joined(rng.pick(PREFIXES), tail(rng, 4)),
  binary: (rng) => rng.bytes(rng.pick(LENGTHS)),
  filled: (rng) => joined(new Uint8Array(rng.pick(LENGTHS)).fill(rng.pick([0, 0xff])), tail(rng, 2)),
}

const tail = (rng: Rng, max: number): Uint8Array => Uint8Array.from({ length: rng.between(0, max) }, () => rng.pick([0, 1, 0x7f, 0x80, 0xfe, 0xff]))

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

/** About `count` distinct keys, ascending. */
export function someKeys(rng: Rng, count: number): Uint8Array[] {
  const styles = Object.keys(KEYS).filter(() => rng.chance(0.4))
  const keys = new Map<string, Uint8Array>()
  const keep = (key: Uint8Array): void => void keys.set(Buffer.from(key).toString('latin1'), key)
  for (let i = 0; i < count; i++) {
    const key = KEYS[styles.length === 0 ? 'numbered' : rng.pick(styles)]!(rng)
    keep(key)
    if (rng.chance(0.1)) keep(key.slice(0, rng.between(0, key.length)))
    if (rng.chance(0.1)) keep(joined(key, Uint8Array.of(rng.pick([0, 0xff]))))
  }
  return [...keys.values()].sort(compareBytes)
}

/** Up to three keys of up to the longest there may be, which share all but their last bytes. */
export function longKeys(rng: Rng): Uint8Array[] {
  const length = rng.pick([301, 4000, 16_384, 65_535, MAX_KEY_LENGTH])
  return [0, 1, 2].slice(rng.below(3)).map((last) => new Uint8Array(Math.min(MAX_KEY_LENGTH, length + last)).fill(0x70).fill(last, Math.min(MAX_KEY_LENGTH, length + last) - 1))
}

/** `count` sequence numbers, ascending: small, up to the largest, around 2^32, all above it, near or far from each other. */
export function someSequences(rng: Rng, count: number): number[] {
  const step = rng.pick([1, 1, 3, 0x1_0000, 0x1_0000_0001])
  const first = rng.pick([0, 1, 2 ** 24 - 5, 2 ** 32 - 20, 2 ** 32 + 7, 2 ** 40, MAX_SEQUENCE])
  const list = Array.from({ length: count }, () => rng.between(1, step))
  let total = 0
  for (const [i, gap] of list.entries()) list[i] = total += gap
  return list.map((sum) => sum + Math.min(first, MAX_SEQUENCE - total))
}

/** Kinds and payloads of one job's entries. */
export class Payloads {
  readonly #rng: Rng
  readonly #now: number
  readonly #kinds: Record<'tombstone' | 'value' | 'pointer', number>
  readonly #attributes: number
  readonly #lengths: readonly number[]
  readonly #expiries: readonly number[]
  /** Values of 300 KiB that are left to give. */
  #huge: number

  constructor(rng: Rng, now: number, blockSize: number) {
    this.#rng = rng
    this.#now = now
    this.#kinds = rng.pick([
      { tombstone: 1, value: 4, pointer: 4 },
      { tombstone: 0, value: 1, pointer: 0 },
      { tombstone: 0, value: 0, pointer: 1 },
      { tombstone: 5, value: 1, pointer: 1 },
    ])
    this.#attributes = rng.pick([0, 0.02, 0.5])
    this.#lengths = rng.pick([[0], [0, 1, 20], LENGTHS, [30, 126, 127, 128], [5, 100, Math.min(blockSize + 1, 5000)]])
    this.#expiries = [0, 1, Math.max(1, now - 1), now, now + 1, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER]
    this.#huge = rng.pick([0, 0, 0, 0, 1, 2])
  }

  entry(key: Uint8Array, sequence: number): Entry {
    const rng = this.#rng
    const name = rng.weighted(this.#kinds)
    if (name === 'tombstone') return { key, sequence, kind: KIND_TOMBSTONE, payload: new Uint8Array(0) }
    const hasAttributes = rng.chance(this.#attributes)
    const attributes = hasAttributes ? this.#someAttributes() : new Uint8Array(0)
    const flag = hasAttributes ? KIND_ATTRIBUTES : 0
    if (name === 'value') return { key, sequence, kind: KIND_VALUE | flag, payload: joined(attributes, this.#value()) }
    // A pointer may be longer than its twelve bytes: nobody forbids it.
    const more = rng.chance(0.02) ? rng.bytes(rng.pick([1, 120])) : new Uint8Array(0)
    return { key, sequence, kind: KIND_POINTER | flag, payload: joined(joined(this.#pointer(), attributes), more) }
  }

  #someAttributes(): Uint8Array {
    const expiresAt = this.#rng.pick(this.#expiries)
    const attributes = new Uint8Array(1 + uvarintLength(expiresAt))
    attributes[0] = expiresAt === this.#now ? 0 : this.#rng.below(256)
    writeUvarint(attributes, 1, expiresAt)
    return attributes
  }

  #value(): Uint8Array {
    const rng = this.#rng
    if (this.#huge > 0 && rng.chance(0.05)) {
      this.#huge--
      return new Uint8Array(300 << 10).fill(rng.below(256))
    }
    const length = rng.pick(this.#lengths)
    return rng.chance(0.7) ? new Uint8Array(length).fill(rng.below(256)) : rng.bytes(length)
  }

  #pointer(): Uint8Array {
    const rng = this.#rng
    const fid = rng.pick(FIDS)
    if (rng.chance(0.1)) return encodePointer({ fid, offset: rng.pick([0, 0x7fff_ffff, 0x8000_0000, U32]), len: rng.pick([0, 1, 0x8000_0000, U32]) })
    const offset = rng.below(CELLS) * CELL + rng.pick([0, 0, 1, 500, CELL - 1])
    return encodePointer({ fid, offset, len: rng.pick([0, 1, 90, 499, 500, CELL - 1, CELL]) })
  }
}
