/**
 * How memtables, tables, levels and merges are walked: synchronous, without an allocation per entry.
 *
 * A cursor is either at an entry (`valid`) or beside all of them. The byte views belong to the source and hold only
 * until the cursor moves; positions are never reused across cursors.
 */
import { NO_BYTES } from './no-bytes.js'

/** Where an entry lies on disk. */
export interface EntryPlace {
  /** Name of the file. */
  readonly file: string
  /** Offset of its block there, in bytes. */
  readonly offset: number
}

/** A user key where it lies: `keyBytes[keyStart..keyEnd)`. */
export interface KeyView {
  readonly keyBytes: Uint8Array
  readonly keyStart: number
  readonly keyEnd: number
}

/** An entry where it lies. */
export interface EntryView extends KeyView {
  readonly sequence: number
  readonly kind: number
  /** The payload (`entry-payload.ts`) is `valueBytes[valueStart..valueEnd)`. */
  readonly valueBytes: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
}

/** A walk through a sorted run of entries, from the first one on. */
export interface EntryScan extends EntryView {
  readonly valid: boolean
  /** What to name when the entry turns out to be damaged. Absent where it lies in memory. Requires `valid`. */
  readonly place?: EntryPlace | undefined

  first(): void
  /** Requires `valid`. */
  next(): void
}

/** A position in a sorted run of entries. */
export interface EntryCursor extends EntryScan {
  last(): void
  /** To the first entry at or after (userKey, sequence) in internal order. */
  seek(userKey: Uint8Array, sequence: number): void
  /** To the last entry at or before (userKey, sequence) in internal order. */
  seekReverse(userKey: Uint8Array, sequence: number): void
  /** Requires `valid`. */
  prev(): void
}

/** What a point lookup found: owned and reused by the caller, its views hold until the source's next call. */
export interface LookupResult {
  found: boolean
  sequence: number
  kind: number
  valueBytes: Uint8Array
  valueStart: number
  valueEnd: number
}

/** An empty result, to be reused from lookup to lookup. */
export function newLookupResult(): LookupResult {
  return { found: false, sequence: 0, kind: 0, valueBytes: NO_BYTES, valueStart: 0, valueEnd: 0 }
}
