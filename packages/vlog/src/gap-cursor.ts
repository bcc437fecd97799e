/**
 * Where records go in a file that lies in gaps of an older one: the next gap, in order, that holds a record as a whole.
 *
 * What is left of a gap behind its last record stays what it was, and so do gaps that are too short: logical offsets only grow, and the end
 * of a record is not always the beginning of the next one.
 */
import { invariant } from '@wk/codec'
import type { RunTable } from './run-table.js'
import { stretchesOf, type Chunk } from './staging.js'

/** Bytes of a chunk that are consecutive in memory and in the physical file. Reused. */
export interface Piece {
  /** In the chunk. */
  start: number
  length: number
  /** In the physical file. */
  position: number
}

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

/** What of a staged chunk goes where, if it belongs to a file with these runs. */
export function* piecesOf(chunk: Chunk, runs: RunTable): Generator<Piece, void, undefined> {
  const piece: Piece = { start: 0, length: 0, position: 0 }
  for (const { start, offset, length } of stretchesOf(chunk)) {
    let run = runs.runAt(offset)
    for (let done = 0; done < length; run++) {
      const into = offset + done - runs.logicalStart(run)
      piece.start = start + done
      piece.length = Math.min(length - done, runs.length(run) - into)
      piece.position = runs.physicalStart(run) + into
      invariant(piece.length > 0, 'records lie in gaps')
      yield piece
      done += piece.length
    }
  }
}
