/**
 * Records of a few numbers of 32 bits that are collected while a table is written, one for each key or reference.
 *
 * They lie in pieces: an array that grows would leave as much behind as it holds.
 */

/** Records in the largest piece. */
export const LARGEST_PIECE = 1 << 13

export class WordList {
  /** Words of a record. */
  readonly width: number
  readonly #full: Uint32Array[] = []
  #piece: Uint32Array
  /** Where the next record goes in the current piece. */
  #at = 0
  #count = 0

  /** @param first records that the first piece has room for; each further one has room for twice as many, up to 8,192 */
  constructor(width: number, first: number) {
    this.width = width
    this.#piece = new Uint32Array(width * first)
  }

  /** Records added. */
  get count(): number {
    return this.#count
  }

  /** Adds a record of two words, or of three; of each number its lowest 32 bits. */
  add(a: number, b: number, c?: number): void {
    if (this.#at === this.#piece.length) this.#begin()
    this.#piece[this.#at] = a
    this.#piece[this.#at + 1] = b
    if (c !== undefined) this.#piece[this.#at + 2] = c
    this.#at += this.width
    this.#count++
  }

  /** Adds records, one behind the other. */
  addAll(words: Uint32Array): void {
    for (let from = 0; from < words.length; ) {
      if (this.#at === this.#piece.length) this.#begin()
      const part = words.subarray(from, from + this.#piece.length - this.#at)
      this.#piece.set(part, this.#at)
      this.#at += part.length
      from += part.length
    }
    this.#count += words.length / this.width
  }

  /** All records in the order in which they came, one behind the other: up to 8,192 a piece. */
  pieces(): Uint32Array[] {
    return [...this.#full, this.#piece.subarray(0, this.#at)]
  }

  #begin(): void {
    this.#full.push(this.#piece)
    this.#piece = new Uint32Array(Math.min(2 * this.#piece.length, this.width * LARGEST_PIECE))
    this.#at = 0
  }
}
