/**
 * Options of the tree's calls. Those of the tree itself are in `options.ts`, those of compactions in `compaction-scheduler.ts`.
 */
import type { KeyRange } from '@wk/codec'

export interface CursorOptions {
  /** From the last key to the first. Default false. */
  reverse?: boolean | undefined
  /** Keys to visit. The bytes must not change while the cursor is used. Default: all. */
  range?: KeyRange | undefined
  /** Unix seconds: what expired by then is not seen. Default: now. */
  now?: number | undefined
}

export interface EntriesOptions {
  /** Keys that matter. Default: all. */
  range?: KeyRange | undefined
  /** Entries that matter have a greater sequence number. Default: all. */
  since?: number | undefined
}

export interface CloseOptions {
  /** Flush everything and mark the end as clean. After a failure, or read-only, nothing is written anyway. */
  clean: boolean
  /** Newest value-log file and its exact size, for the mark. Default: there is none. */
  vlog?: { fid: number; size: number } | undefined
}
