/**
 * What the calls of a database take beside keys and values, and what its listeners get.
 */
import type { WkError } from '@wk/codec'
import type { RangeOptions } from './arguments.js'
import type { MaintenanceOptions } from './maintenance.js'
import type { Snapshot } from './snapshot.js'

/** Options of a read. */
export interface ReadOptions {
  /** Read at this snapshot instead of at the call. */
  snapshot?: Snapshot
}

export interface ClearOptions extends RangeOptions, MaintenanceOptions {
  /** Begin with the last key; matters with `limit` only. Default false. */
  reverse?: boolean
  /** Most keys to delete; -1 is no limit. Default -1. */
  limit?: number
  /** Delete the keys that it holds in the range, those written again since included. Default: those that are there at the call. */
  snapshot?: Snapshot
  sync?: boolean
}

/** The range: what is to be merged at least. Default: everything. */
export interface CompactOptions extends RangeOptions, MaintenanceOptions {}

export interface GcRunOptions extends MaintenanceOptions {
  /** Disk bytes a live byte to get to. Default: the option of open. */
  maxSpaceAmp?: number
  /** Changes nothing and resolves with a {@link GcPlan}: what would be done. Default false. */
  dryRun?: boolean
}

/** What listeners of `health` get. */
export interface HealthEvent {
  state: 'read-only'
  cause: WkError
}
