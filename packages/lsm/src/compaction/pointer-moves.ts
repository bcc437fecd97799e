/**
 * New addresses for values: what a job needs to know to write other pointers to the same records.
 *
 * The tree does not know why a record has two addresses. Whoever moves pointers vouches for it that both lead to the same record,
 * durably (law 3). Plain data: it crosses to a worker as it is, the arrays without a copy where they lie in shared memory.
 */
import { readPointerFid, readPointerLen, readPointerOffset, writePointer } from '@wk/codec'
import type { EntryView } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'

/** Records of one value-log file: ranges, ascending. What begins at `starts[i]` of `fid` is at `positions[i]` of `target` as well. */
export interface PointerMove {
  readonly fid: number
  readonly target: number
  readonly starts: Uint32Array
  readonly lengths: Uint32Array
  readonly positions: Uint32Array
}

/** Whether an entry of the table points into one of the files. */
export function refersTo({ references }: TableSummary, fids: { has(fid: number): boolean }): boolean {
  return references.some(({ fid }) => fids.has(fid))
}

/** Writes pointers anew. */
export class PointerMover {
  readonly #moves: ReadonlyMap<number, PointerMove>

  constructor(moves: readonly PointerMove[]) {
    this.#moves = new Map(moves.map((move) => [move.fid, move]))
  }

  /**
   * Writes the pointer of an entry anew where it lies, if its record has moved. A pointer that no range covers stays: whoever reads it is told
   * what is wrong with it. Requires that the pointer is whole.
   */
  move({ valueBytes, valueStart }: EntryView): void {
    const move = this.#moves.get(readPointerFid(valueBytes, valueStart))
    if (move === undefined) return
    const length = readPointerLen(valueBytes, valueStart)
    const place = placeOf(move, readPointerOffset(valueBytes, valueStart), length)
    if (place !== -1) writePointer(valueBytes, valueStart, move.target, place, length)
  }
}

/** Where a record lies in the target; -1 if no range holds all of it. */
function placeOf({ starts, lengths, positions }: PointerMove, offset: number, length: number): number {
  let low = 0
  let high = starts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (starts[middle]! > offset) high = middle
    else low = middle + 1
  }
  if (low === 0) return -1
  const into = offset - starts[low - 1]!
  return into + length <= lengths[low - 1]! ? positions[low - 1]! + into : -1
}
