/**
 * What garbage collection tells the world: messages on the diagnostics channel `wk:gc`.
 *
 * Plain data, made only while somebody listens. A subscriber runs in the turn of the collector and must not throw.
 */
import { channel } from 'node:diagnostics_channel'

/** A message on `wk:gc`. */
export interface GcEvent {
  /** Directory of the database. */
  dir: string
  /**
   * `rest`: nothing runs, for the reason given. `bring out`: a flush and a compaction begin, for hidden garbage. `relocate`: a
   * pass begins. `fill`: new values go into gaps of files from now on. `kept`: it leaves these alone, for the reason given. `readdress`: pointers into files are rewritten to where the
   * records lie, for the reason given. `collected`: files were given back. `failed`: a pass failed, for the reason given.
   */
  type: 'rest' | 'bring out' | 'relocate' | 'fill' | 'readdress' | 'kept' | 'collected' | 'failed'
  /** Why. */
  reason: string
  /** Bytes on disk for each byte of keys and values, with the hidden garbage that was estimated. */
  spaceAmp?: number
  /** Numbers of the value-log files concerned. */
  files?: number[]
  /** Bytes of live values that were copied. */
  bytesMoved?: number
  /** Bytes of disk given back. */
  bytesReclaimed?: number
  /** Those of them that were holes in files that stay. */
  bytesPunched?: number
  /** Bytes of the gaps that new values go to. */
  gapBytes?: number
}

/** Name of the diagnostics channel. */
export const GC_CHANNEL = 'wk:gc'

const events = channel(GC_CHANNEL)

/** Tells subscribers, if there are any. */
export function publishGc(make: () => GcEvent): void {
  if (events.hasSubscribers) events.publish(make())
}
