/**
 * Checks the entries of a table against its reference block: each pointer takes its place in the lists, and at the end none is left.
 *
 * Guarantees: passes exactly if the lists name what the entries point to, as often as they do, those of one offset in the
 * order of the entries. Sorts nothing and copies nothing: 4 bytes for each listed record. The kernel has no part in it, for an
 * instance of it on the thread that verifies makes later reads there slower (docs/experiments.md).
 */
import type { ReferenceList, ReferenceSummary } from './reference-list.js'

interface Listed extends ReferenceList {
  /** Of the first record at each offset: how many of that offset are taken. */
  taken: Uint32Array
  left: number
}

export class ReferenceCheck {
  readonly #lists = new Map<number, Listed>()

  constructor(lists: readonly ReferenceList[]) {
    for (const list of lists) this.#lists.set(list.fid, { ...list, taken: new Uint32Array(list.count), left: list.count })
  }

  /** Takes the next record of that place. @returns what is wrong with the lists, if they do not have it */
  take(fid: number, offset: number, length: number): string | undefined {
    const list = this.#lists.get(fid)
    if (list === undefined) return 'references to other files than counted'
    const first = firstAt(list.offsets, offset)
    const at = first + (list.taken[first] ?? 0)
    if (list.offsets[at] !== offset || list.lengths[at] !== length) return 'reference list differs from the entries'
    list.taken[first]!++
    list.left--
    return undefined
  }

  /** What is wrong after the last entry: records nobody points to, or sums of other lists. */
  finish(sums: readonly ReferenceSummary[]): string | undefined {
    if (this.#lists.size !== sums.length) return 'references to other files than counted'
    let i = 0
    for (const { fid, count, bytes, left } of this.#lists.values()) {
      const sum = sums[i++]
      if (sum?.fid !== fid) return 'references to other files than counted'
      if (sum.count !== count || sum.bytes !== bytes) return 'reference sums differ from the count'
      if (left > 0) return 'reference list differs from the entries'
    }
    return undefined
  }
}

/** The first place in ascending `offsets` that is not below `offset`. */
function firstAt(offsets: Uint32Array, offset: number): number {
  let low = 0
  let high = offsets.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (offsets[middle]! < offset) low = middle + 1
    else high = middle
  }
  return low
}
