/**
 * Where records go in a file that lies in gaps of an older one: the next gap, in order, that holds a record as a whole.
 *
 * What is left of a gap behind its last record stays what it was, and so do gaps that are too short: logical offsets only grow, and the end
 * of a record is not always the beginning of the next one.
 */
import type { RunTable } from './run-table.js'

export class GapCursor {
  #fid = 0
  #run = 0

  /** Offset of `length` bytes at or behind `end` in file `fid`, which only grow; -1 if no gap that is left holds them. */
  place(fid: number, runs: RunTable, end: number, length: number): number {
    if (fid !== this.#fid) this.#run = 0
    this.#fid = fid
    let offset = Math.max(end, runs.logicalStart(this.#run))
    for (;;) {
      if (offset + length <= runs.logicalStart(this.#run) + runs.length(this.#run)) return offset
      if (this.#run + 1 === runs.count) return -1
      this.#run++
      offset = runs.logicalStart(this.#run)
    }
  }
}
