/**
 * Where the keys of a tree lie, learnt from keys that were seen, so that places between them can be drawn: evenly over the room
 * that they fill, exact on average where they fill it evenly, rough where they don't.
 */
import { commonPrefixLength } from '@wk/codec'
import type { Runtime } from '@wk/fs'

/** Bytes behind the common prefix of all keys that places are drawn from. */
const DRAWN_BYTES = 8

/** The common prefix of the keys seen, and which bytes follow it. */
export class KeyRoom {
  /** The first key seen, and how much of it all others begin with. */
  #first: Uint8Array | undefined
  #common = 0
  readonly #lowest = new Uint8Array(DRAWN_BYTES).fill(0xff)
  readonly #highest = new Uint8Array(DRAWN_BYTES)
  /** Bit n: bytes of class n were seen anywhere. */
  #classes = 0

  /** A key that exists. It is kept: the caller must not change it any more. */
  observe(key: Uint8Array): void {
    if (this.#first === undefined) {
      this.#first = key
      this.#common = key.length
      return
    }
    const common = commonPrefixLength(this.#first, 0, this.#common, key, 0, key.length)
    if (common < this.#common) {
      // What was learnt was learnt for other places.
      this.#common = common
      this.#lowest.fill(0xff)
      this.#highest.fill(0)
      this.#learn(this.#first)
    }
    this.#learn(key)
  }

  /** Places behind the end of a key say nothing: keys of several lengths are no reason to draw low bytes. */
  #learn(key: Uint8Array): void {
    for (let i = 0; i < DRAWN_BYTES; i++) {
      const byte = key[this.#common + i]
      if (byte === undefined) return
      this.#lowest[i] = Math.min(byte, this.#lowest[i] ?? 0)
      this.#highest[i] = Math.max(byte, this.#highest[i] ?? 0)
      this.#classes |= 1 << classOf(byte)
    }
  }

  /** A key, most likely none that exists. */
  draw(runtime: Runtime): Uint8Array {
    const common = this.#common
    const key = new Uint8Array(common + DRAWN_BYTES)
    key.set((this.#first ?? key).subarray(0, common))
    for (let i = 0; i < DRAWN_BYTES; i++) {
      const lowest = this.#lowest[i] ?? 0
      const highest = this.#highest[i] ?? 0
      let count = 0
      for (let byte = lowest; byte <= highest; byte++) count += this.#isSeen(byte)
      let byte = lowest
      for (let left = Math.floor(runtime.random() * count) + 1; byte <= highest; byte++) if ((left -= this.#isSeen(byte)) === 0) break
      key[common + i] = count === 0 ? 0 : byte
    }
    return key
  }

  /** 1 if bytes of this class were seen, else 0. */
  #isSeen(byte: number): number {
    return (this.#classes >> classOf(byte)) & 1
  }
}

/** Digits, capitals, small letters, others: most of what lies between two of them in text is in no key. */
function classOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return 1
  if (byte >= 0x41 && byte <= 0x5a) return 2
  return byte >= 0x61 && byte <= 0x7a ? 3 : 0
}
