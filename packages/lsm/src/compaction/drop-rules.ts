/**
 * Which entries a flush or compaction may leave out, without any read, iterator or snapshot seeing a difference.
 *
 * Entries are offered in internal order (a key's newest version first). For each key:
 *
 * 1. A version is **needed** if it is the newest one of the job, or the newest that some live snapshot sees.
 * 2. The `versionsToKeep` newest ones are kept besides, down to the first deletion: what lies under one is history
 *    that only snapshots can ask for.
 * 3. An expired entry counts as a deletion: it is rewritten as a tombstone, or vanishes where that one would.
 * 4. A deletion vanishes if nothing below the output level may hold its key and no snapshot is older than it: then no
 *    older version survives, neither in this job nor below, that it would have to hide.
 * 5. Of two entries with the same key and sequence number the first offered, that of the newer source, stays.
 *
 * Rule 4 is right only if every older version of the key is in the job or below the output level. The picker sees to
 * it: level 0 is compacted oldest tables first, never past a level that is not empty.
 */
import { CorruptionError, KIND_TOMBSTONE, baseKind, compareRanges, readExpiresAt } from '@wk/codec'
import type { EntryView } from '@wk/codec'
import type { KeyInterval } from './job.js'

/** The entry goes to the output as it is. */
export const KEEP = 0
/** The entry goes to the output as a tombstone with the same sequence number. */
export const BURY = 1
/** A newer version hides the entry from everybody. */
export const SHADOWED = 2
/** The entry is a tombstone, or expired, and nothing is left for it to hide. */
export const VANISH = 3

export type Verdict = typeof KEEP | typeof BURY | typeof SHADOWED | typeof VANISH

export interface DropRulesOptions {
  /** Sequence numbers of the live snapshots, ascending. */
  snapshots: readonly number[]
  /** Unix seconds. */
  now: number
  /** At least 1. */
  versionsToKeep: number
  /**
   * Where older entries may lie beneath the output: sorted, disjoint. `undefined`: anywhere (a flush), so that no
   * tombstone vanishes.
   */
  deeper: readonly KeyInterval[] | undefined
}

/** Judges the entries of one job, in order. Holds one copy of the current key. */
export class DropRules {
  readonly #snapshots: readonly number[]
  readonly #now: number
  readonly #versionsToKeep: number
  readonly #deeper: readonly KeyInterval[] | undefined
  #deeperAt = 0
  #key = new Uint8Array(64)
  #keyLength = -1
  /** Sequence number of the last version offered of this key. */
  #newer = 0
  /** How many versions of this key are still kept for their age alone. */
  #wanted = 0
  #keyMayBeDeeper = true

  constructor(options: DropRulesOptions) {
    this.#snapshots = options.snapshots
    this.#now = options.now
    this.#versionsToKeep = options.versionsToKeep
    this.#deeper = options.deeper
  }

  /**
   * Judges an entry. An entry need not be judged if there is only one verdict: the newest of its key, and neither deleted nor with attributes, stays.
   *
   * @param newer sequence number of the version before, if there is one, whether it was judged or not
   * @throws CorruptionError if it belongs before the one judged last: a table is not in order
   */
  judge(entry: EntryView, newer?: number): Verdict {
    const { keyBytes, keyStart, keyEnd, sequence, kind } = entry
    const order = this.#keyLength < 0 ? 1 : compareRanges(keyBytes, keyStart, keyEnd, this.#key, 0, this.#keyLength)
    if (order < 0 || (order === 0 && sequence > this.#newer)) throw new CorruptionError('the entries of a table are out of order')
    if (order !== 0) this.#startKey(keyBytes, keyStart, keyEnd)
    let needed: boolean
    if (order !== 0 && newer === undefined) needed = true
    else {
      if (order !== 0) this.#passNewest(newer!)
      if (sequence === this.#newer) return SHADOWED
      needed = this.#isSeenBySnapshot(sequence, this.#newer)
    }
    this.#newer = sequence
    if (this.#wanted > 0) {
      this.#wanted--
      needed = true
    }
    if (!needed) return SHADOWED

    const isTombstone = baseKind(kind) === KIND_TOMBSTONE
    if (!isTombstone && !this.#isExpired(entry)) return KEEP
    this.#wanted = 0
    const oldest = this.#snapshots[0]
    if (!this.#keyMayBeDeeper && (oldest === undefined || oldest >= sequence)) return VANISH
    return isTombstone ? KEEP : BURY
  }

  /** The newest version of the key, which was not judged, stays. */
  #passNewest(sequence: number): void {
    this.#newer = sequence
    this.#wanted--
  }

  #startKey(keyBytes: Uint8Array, keyStart: number, keyEnd: number): void {
    const length = keyEnd - keyStart
    if (length > this.#key.length) this.#key = new Uint8Array(length * 2)
    for (let i = 0; i < length; i++) this.#key[i] = keyBytes[keyStart + i]!
    this.#keyLength = length
    this.#wanted = this.#versionsToKeep
    this.#keyMayBeDeeper = this.#deeper === undefined || this.#isInDeeper(this.#deeper)
  }

  /** Whether a snapshot sees the version `sequence` and not the next newer one. */
  #isSeenBySnapshot(sequence: number, newer: number): boolean {
    const snapshots = this.#snapshots
    let low = 0
    let high = snapshots.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (snapshots[middle]! < sequence) low = middle + 1
      else high = middle
    }
    return low < snapshots.length && snapshots[low]! < newer
  }

  #isExpired(entry: EntryView): boolean {
    const expiresAt = readExpiresAt(entry.kind, entry.valueBytes, entry.valueStart, entry.valueEnd)
    return expiresAt !== 0 && expiresAt <= this.#now
  }

  /** Keys only grow, so the intervals before the current one never matter again. */
  #isInDeeper(deeper: readonly KeyInterval[]): boolean {
    while (this.#deeperAt < deeper.length) {
      const { largest } = deeper[this.#deeperAt]!
      if (compareRanges(this.#key, 0, this.#keyLength, largest, 0, largest.length) <= 0) break
      this.#deeperAt++
    }
    const interval = deeper[this.#deeperAt]
    if (interval === undefined) return false
    return compareRanges(this.#key, 0, this.#keyLength, interval.smallest, 0, interval.smallest.length) >= 0
  }
}
