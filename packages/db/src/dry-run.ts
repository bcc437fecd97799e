/**
 * What a collection would do, as `db.gc({ dryRun: true })` tells it.
 */
import type { ValueLogFile } from './gc-victims.js'

/** What `gc({ dryRun: true })` would do. */
export interface GcPlan {
  /** Bytes on disk for each byte of keys and values, hidden garbage estimated. */
  spaceAmp: number
  /** Estimated bytes of garbage that a flush and a compaction would bring out. */
  hiddenBytes: number
  /** It would begin with a flush and a compaction. */
  compacts: boolean
  /** Files that it would remove without reading them. */
  removes: ValueLogFile[]
  /** Files that it would rewrite, in order, as far as can be told before a compaction. */
  rewrites: ValueLogFile[]
  /** Files of which it would give back the long dead ranges in place, likewise; with the option `gc.punchHoles`. */
  punches: ValueLogFile[]
  /** Why the background does nothing now, or what it does. */
  background: string
}
