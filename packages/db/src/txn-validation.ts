/**
 * Whether what a transaction has read still holds: the commit's question.
 *
 * The tree knows the newest version of every key, and keeps it, deletions included, as long as a snapshot older than it
 * lives; the transaction holds one. So a key has changed exactly if its newest entry is newer than the snapshot, and a
 * range exactly if it holds an entry that is. Nothing is recorded while transactions run (ADR 0008).
 *
 * Tables and memtables without newer entries are not looked at. What takes longer than a time slice goes on in further
 * ones; meanwhile every write that is staged is compared with the reads, so that the answer holds in the turn in which
 * it is given.
 */
import { MAX_SEQUENCE, compareRanges, copyBytes, isInRange } from '@wk/codec'
import type { EntryCursor, KeyRange } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { Runtime } from '@wk/fs'
import type { LsmTree, ReadView } from '@wk/lsm'
import type { EntryReader } from './entry-reader.js'
import type { Stager } from './stager.js'
import type { TxnReads } from './txn-reads.js'

/** Entries looked at between two questions for the time. */
const STEPS = 64

export interface ValidationParts {
  readonly tree: LsmTree
  readonly reader: EntryReader
  readonly stager: Stager
  readonly runtime: Runtime
}

export class TxnValidation {
  readonly #parts: ValidationParts
  readonly #reads: TxnReads
  readonly #view: ReadView
  readonly #walk: Generator<void, boolean>
  readonly #slice: TimeSlice
  #unwatch: (() => void) | undefined
  #changed: boolean | undefined

  /** @param since sequence number of the transaction's snapshot, which must live until {@link end} */
  constructor(reads: TxnReads, since: number, parts: ValidationParts) {
    this.#parts = parts
    this.#reads = reads
    this.#view = parts.tree.acquireView()
    this.#walk = changes(reads, since, this.#view, parts)
    this.#slice = new TimeSlice(parts.runtime)
  }

  /** Works for one time slice. Whether anything that was read has changed, as of now; `undefined` if {@link pause} and another go are needed. */
  run(): boolean | undefined {
    while (this.#changed === undefined) {
      const step = this.#walk.next()
      if (step.done) this.#changed = step.value
      else if (this.#slice.due()) {
        this.#unwatch ??= this.#watch()
        return undefined
      }
    }
    return this.#changed
  }

  #watch(): () => void {
    const covered = this.#reads.covered()
    return this.#parts.stager.watch((key) => {
      if (covered(key)) this.#changed = true
    })
  }

  pause(): Promise<void> {
    return this.#slice.pause()
  }

  end(): void {
    this.#unwatch?.()
    this.#view.release()
  }
}

/** Returns at the first change. Yields now and then. */
function* changes(reads: TxnReads, since: number, view: ReadView, { tree, reader }: ValidationParts): Generator<void, boolean> {
  if (tree.visibleSequence === since) return false
  let steps = 0
  for (const key of reads.keys()) {
    if (reader.newestSequence(key) > since) return true
    if (++steps % STEPS === 0) yield
  }
  for (const range of reads.ranges()) {
    const entries = tree.entries(view, { range, since })
    const lower = range.gte ?? range.gt
    if (lower === undefined) entries.first()
    else entries.seek(lower, MAX_SEQUENCE)
    for (; entries.valid && !isPast(entries, range); entries.next()) {
      if (entries.sequence > since && isInRange(range, copyBytes(entries.keyBytes, entries.keyStart, entries.keyEnd))) return true
      if (++steps % STEPS === 0) yield
    }
    // To open a range takes as long as many steps in it.
    yield
  }
  return false
}

/** Whether the entry lies after the range. */
function isPast({ keyBytes, keyStart, keyEnd }: EntryCursor, { lt, lte }: KeyRange): boolean {
  const upper = lte ?? lt
  if (upper === undefined) return false
  const order = compareRanges(keyBytes, keyStart, keyEnd, upper, 0, upper.length)
  return lte === undefined ? order >= 0 : order > 0
}
