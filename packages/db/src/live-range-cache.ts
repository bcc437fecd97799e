/**
 * Live ranges for passes that follow one another: those of all candidates are read at once, since a table's list is
 * decoded as a whole anyway.
 *
 * What was read counts until the tables change or {@link LiveRangeCache.forget}. Of most files it would be right for longer, as sealed
 * and flushed ones only lose references, but what has died meanwhile would be copied. A relocated file gains references while pointers
 * are rewritten (`readdressing.ts`), which ends with a change of the tables.
 */
import { throwIfAborted } from '@wk/codec'
import type { LsmTree, RecordRanges } from '@wk/lsm'

type Ranges = Map<number, RecordRanges | undefined>

export class LiveRangeCache {
  readonly #tree: LsmTree
  #read: { fids: ReadonlySet<number>; ranges: Promise<Ranges> } | undefined
  /** Ends with the read before: it pins the tables that it reads, and what is pinned counts as alive. */
  #reading: Promise<unknown> = Promise.resolve()

  constructor(tree: LsmTree) {
    this.#tree = tree
    tree.onVersionChange(() => this.forget())
  }

  /**
   * {@link LsmTree.liveRanges} of `fids`. `candidates`: files that are likely to be asked for next, read along. They, and
   * `fids`, must be sealed. Rejects with `AbortedError` after `signal`, at the end of what is being read.
   */
  async get(fids: readonly number[], candidates: () => readonly number[], signal: AbortSignal | undefined): Promise<Ranges> {
    if (this.#read === undefined || fids.some((fid) => this.#read?.fids.has(fid) !== true)) {
      const wanted = new Set([...fids, ...candidates()])
      const read = { fids: wanted, ranges: this.#reading.then(() => this.#tree.liveRanges([...wanted])) }
      this.#read = read
      this.#reading = read.ranges.catch(() => undefined)
      // Who waits for it hears of it; who comes later reads anew.
      read.ranges.catch(() => {
        if (this.#read === read) this.#read = undefined
      })
    }
    const ranges = await this.#read.ranges
    throwIfAborted(signal)
    return ranges
  }

  /** Reads anew next time. */
  forget(): void {
    this.#read = undefined
  }
}
