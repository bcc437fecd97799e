/** Sums over the records that a writer appended. */
import type { LogicalFile } from './file-map.js'
import type { PieceTimes } from './gap-pieces.js'

/** Sums over appended records. */
export interface Appended {
  /** Bytes of all. */
  bytes: number
  /** Of those that went into gaps of older files. */
  bytesInGaps: number
  /** Bytes of the longest one that has no file of its own, since whoever reads it last set it to 0. */
  longest: number
  /** Of writes into gaps. */
  readonly pieces: PieceTimes
}

export class AppendedRecords implements Appended {
  bytes = 0
  bytesInGaps = 0
  longest = 0
  readonly pieces: PieceTimes
  /** File that the last record went to, and records in it. */
  #fid = 0
  #entries = 0

  constructor(pieces: PieceTimes) {
    this.pieces = pieces
  }

  /** `isLone`: it is to have the file for itself. */
  add({ fid, gaps }: LogicalFile, length: number, isLone: boolean): void {
    if (this.#fid !== fid) this.#entries = 0
    this.#fid = fid
    this.#entries++
    this.bytes += length
    if (gaps !== undefined) this.bytesInGaps += length
    if (length > this.longest && !isLone) this.longest = length
  }

  /** Records in the file that takes the next one. */
  countIn({ fid }: LogicalFile): number {
    return this.#fid === fid ? this.#entries : 0
  }
}
