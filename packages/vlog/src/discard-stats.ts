/**
 * Dead bytes per logical file, for hosts that report them with `discard`. Never trusted for correctness: garbage collection
 * asks the index again before it gives anything up.
 *
 * Two figures are kept. The current one grows with every report. The committed one is what a clean close (or a
 * recount) made exact; only it is written before a clean close, because a report may belong to an index update that a
 * crash takes back. So after a crash a figure may be too low, never too high.
 */
import type { LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH } from './format.js'

/** Garbage of one file. */
export interface Discarded {
  records: number
  bytes: number
}

export class DiscardStats {
  readonly #current = new Map<number, Discarded>()
  #committed = new Map<number, Discarded>()
  #dirty = false

  /** Starts from what the state file said. */
  load(fid: number, discarded: Discarded): void {
    this.#committed.set(fid, { ...discarded })
    this.#current.set(fid, { ...discarded })
  }

  /** Whether there is something that {@link commit} would change. */
  get dirty(): boolean {
    return this.#dirty
  }

  /** One record of `len` bytes is dead. The sum never passes the bytes of the file's records. */
  add(logical: LogicalFile, len: number): void {
    const room = logical.end - FILE_HEADER_LENGTH
    const entry = this.#current.get(logical.fid) ?? { records: 0, bytes: 0 }
    entry.records++
    entry.bytes = Math.min(room, entry.bytes + len)
    this.#current.set(logical.fid, entry)
    this.#dirty = true
  }

  /** Replaces the figure of a file by a recounted one. */
  set(fid: number, discarded: Discarded): void {
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

  /** The host closes in order: what it reported is final. */
  commit(): void {
    this.#committed = new Map([...this.#current].map(([fid, discarded]) => [fid, { ...discarded }]))
    this.#dirty = false
  }

  /** What may be written now, ascending fid. */
  committed(): [number, Discarded][] {
    return [...this.#committed].sort(([a], [b]) => a - b)
  }
}
