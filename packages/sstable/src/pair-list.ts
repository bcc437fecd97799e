/**
 * Pairs of numbers of 32 bits that are collected while a table is written, for each key or record.
 *
 * They lie in pieces: an array that grows would leave as much behind as it holds.
 */

/** Pairs in the largest piece. */
const LARGEST_PIECE = 1 << 13

export class PairList {
  readonly #full: Uint32Array[] = []
  #piece: Uint32Array
  /** Where the next pair goes in the current piece. */
  #at = 0
  #count = 0

  /** @param first pairs that the first piece has room for; each further one has room for twice as many, up to 8,192 */
  constructor(first: number) {
    this.#piece = new Uint32Array(2 * first)
  }

  /** Pairs added. */
  get count(): number {
    return this.#count
  }

  /** Adds a pair; of each number its lowest 32 bits. */
  add(a: number, b: number): void {
    if (this.#at === this.#piece.length) this.#begin()
    this.#piece[this.#at] = a
    this.#piece[this.#at + 1] = b
    this.#at += 2
    this.#count++
  }

  /** All pairs in the order in which they came, one number behind the other: up to 8,192 pairs a piece. */
  pieces(): Uint32Array[] {
    return [...this.#full, this.#piece.subarray(0, this.#at)]
  }

  #begin(): void {
    this.#full.push(this.#piece)
    this.#piece = new Uint32Array(Math.min(2 * this.#piece.length, 2 * LARGEST_PIECE))
    this.#at = 0
  }
}
