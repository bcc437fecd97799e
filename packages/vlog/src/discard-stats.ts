/**
 * Dead bytes per logical file, for hosts that report them with `discard`. Never trusted for correctness: garbage collection
 * asks the index again before it gives anything up.
 *
 * Two figures are kept. The current one grows with every report. The committed one is what was last saved: at a clean close, and now
 * and then after a sync. After a crash a figure may be too low by what was reported since, and too high by reports of index updates that the
 * crash took back.
 */
import type { ValuePointer } from '@wk/codec'
import type { LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH } from './format.js'

/** Garbage of one file. */
export interface Discarded {
  records: number
  bytes: number
}

/** A recount of one file that is under way. */
export class Recount {
  readonly fid: number
  /** End of the file when it began: records behind are not part of it. */
  readonly #end: number
  /** Records before this place were judged. */
  #judged = FILE_HEADER_LENGTH
  readonly found: Discarded = { records: 0, bytes: 0 }

  constructor(fid: number, end: number) {
    this.fid = fid
    this.#end = end
  }

  /** The next record, in order, is garbage. */
  dead(pointer: ValuePointer): void {
    this.#count(pointer.len)
    this.alive(pointer)
  }

  alive({ offset, len }: ValuePointer): void {
    this.#judged = offset + len
  }

  /** The host reports a record dead. One that is still to be judged will be found dead; one that was, was alive then. */
  report({ offset, len }: ValuePointer): void {
    if (offset < this.#judged || offset >= this.#end) this.#count(len)
  }

  #count(len: number): void {
    this.found.records++
    this.found.bytes += len
  }
}

export class DiscardStats {
  readonly #current = new Map<number, Discarded>()
  #committed = new Map<number, Discarded>()
  #dirty = false
  #uncommittedBytes = 0
  #recount: Recount | undefined

  /** Starts from what the state file said. */
  load(fid: number, discarded: Discarded): void {
    this.#committed.set(fid, { ...discarded })
    this.#current.set(fid, { ...discarded })
  }

  /** Whether there is something that {@link commit} would change. */
  get dirty(): boolean {
    return this.#dirty
  }

  /** Bytes by which figures have changed since {@link commit}. */
  get uncommittedBytes(): number {
    return this.#uncommittedBytes
  }

  /** A record is dead. The sum never passes the bytes of the file's records. */
  add(logical: LogicalFile, pointer: ValuePointer): void {
    const entry = this.#current.get(logical.fid) ?? { records: 0, bytes: 0 }
    entry.records++
    entry.bytes = Math.min(roomOf(logical), entry.bytes + pointer.len)
    this.#current.set(logical.fid, entry)
    this.#dirty = true
    this.#uncommittedBytes += pointer.len
    if (this.#recount?.fid === logical.fid) this.#recount.report(pointer)
  }

  /** Starts counting a file that ends at `end` anew; one file at a time. Reports go on counting the old way until {@link endRecount}. */
  beginRecount(fid: number, end: number): Recount {
    this.#recount = new Recount(fid, end)
    return this.#recount
  }

  /** Every record was judged: replaces the figure. */
  endRecount(recount: Recount): Discarded {
    this.#replace(recount.fid, recount.found)
    return { ...recount.found }
  }

  dropRecount(recount: Recount): void {
    if (this.#recount === recount) this.#recount = undefined
  }

  /** Replaces the figure of a file; it never passes the bytes of the file's records. */
  set(logical: LogicalFile, { records, bytes }: Discarded): void {
    this.#replace(logical.fid, { records, bytes: Math.min(roomOf(logical), bytes) })
  }

  #replace(fid: number, discarded: Discarded): void {
    this.#uncommittedBytes += Math.abs(discarded.bytes - this.bytes(fid))
    this.#current.set(fid, { ...discarded })
    this.#dirty = true
  }

  bytes(fid: number): number {
    return this.#current.get(fid)?.bytes ?? 0
  }

  forget(fid: number): void {
    this.#current.delete(fid)
    if (this.#committed.delete(fid)) this.#dirty = true
  }

  /** From now on {@link committed} tells the figures of now. */
  commit(): void {
    this.#uncommittedBytes = 0
    this.#committed = new Map([...this.#current].map(([fid, discarded]) => [fid, { ...discarded }]))
    this.#dirty = false
  }

  /** What may be written now, ascending fid. */
  committed(): [number, Discarded][] {
    return [...this.#committed].sort(([a], [b]) => a - b)
  }
}

/** Most bytes of records that a file can have. */
function roomOf({ end }: LogicalFile): number {
  return end - FILE_HEADER_LENGTH
}
