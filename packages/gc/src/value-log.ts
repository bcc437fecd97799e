/**
 * What garbage collection needs of a value log: a structural part of `ValueLog` of `@wk/vlog`.
 *
 * Named here so that jobs say exactly which calls they make, and so that tests may put something between a job and the
 * log (a scheduler at every await, a fault). Guarantees nothing itself.
 */

import type { ValuePointer } from '@wk/codec'

/** Bytes of a value-log file's header; neither garbage nor live. The first record starts here. */
export const FILE_HEADER_LENGTH = 20

/** One logical file of the value log, as `files()` tells it. */
export interface GcFileInfo {
  /** Number of the (logical) file. */
  readonly fid: number
  /** Bytes on disk. */
  readonly size: number
  /** End of the last whole record, in bytes. */
  readonly validEnd: number
  /** No record will ever be appended again. */
  readonly sealed: boolean
  /** Already given up; only a pin keeps it on disk. Never a victim again. */
  readonly retired?: boolean
  /** Bytes of records that are still referenced, where the log knows them. */
  readonly liveBytes?: number | undefined
  /** Bytes of records reported through `discard`, where the log counts them. */
  readonly discardBytes?: number | undefined
  /** Lies in a relocated physical file: offsets have holes, `size` counts the records that are left. */
  readonly relocated?: boolean
}

/** A record as the log hands it out. Key and value stay valid until the pass has handled the slice they came in. */
export interface GcRecord {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly version: number
  readonly meta: number
  readonly userMeta: number
  readonly expiresAt: number
}

/** A record to append: what a survivor keeps. */
export interface GcAppend {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly version: number
  readonly meta: number
  readonly userMeta: number
  readonly expiresAt: number
}

/** The calls a rewriting pass makes. */
export interface GcValueLog {
  files(): readonly GcFileInfo[]
  /**
   * Records of one sealed file in order, with where they lie. With `stored`, values as they are stored: a compressed one stays
   * compressed, and a bit of `meta` says so. Throws `CorruptionError` at damage.
   */
  iterate(fid: number, options?: { readonly stored?: boolean }): AsyncIterable<{ readonly entry: GcRecord; readonly pointer: ValuePointer }>
  /** With `stored`, values are in their stored form, as {@link iterate} gave them. With `survivors`, records go to files apart from what the host appends. */
  append(entries: readonly GcAppend[], options?: { readonly stored?: boolean; readonly survivors?: boolean }): Promise<readonly ValuePointer[]>
  /** Everything appended so far is on the device when it resolves. */
  sync(): Promise<void>
  /** The record is dead: counts towards its file's garbage. */
  discard(pointer: ValuePointer): void
  /** Replaces the figure of {@link discard} for a file. */
  setDiscarded(fid: number, records: number, bytes: number): void
  /** No reference remains: unlink as soon as no reader pins the file. The intent survives a restart. */
  retire(fid: number): Promise<unknown>
  /** Ends the active file, so that it may become a victim. */
  seal(): Promise<void>
}
