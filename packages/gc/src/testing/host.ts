/**
 * What the conformance suite needs of a host under test, and of the test runner that runs it.
 *
 * Nothing here depends on a test framework: the runner's functions are passed in.
 */

import type { LiveBytes } from '../picker.js'
import type { PointerIndex } from '../pointer-index.js'
import type { GcReport } from '../report.js'
import type { GcValueLog } from '../value-log.js'

/** A store with its values in a value log, open. */
export interface PointerHost {
  /** Resolves when the write is visible to every later read; durable only after {@link flush}. */
  put(key: Uint8Array, value: Uint8Array): Promise<void>
  /** As `put`. An absent key is no error. */
  delete(key: Uint8Array): Promise<void>
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** Makes every earlier write durable. Absent: each write is durable when it resolves. */
  flush?(): Promise<void>
  /** One call of the collector. `WK_NO_REWRITE` is a good answer. */
  collect(options: { readonly discardRatio: number; readonly signal?: AbortSignal }): Promise<GcReport>
  /** Live bytes of each sealed file as the host accounts them, and as a full count finds them. Absent: not checked. */
  accounting?(): Promise<LiveBytesAccounts>
  /** What `collect` works with, if that is `GarbageCollector`. Absent: checks that need it are left out. */
  readonly parts?: PointerHostParts
  close(): Promise<void>
}

/** The parts of a host that collects through `GarbageCollector`. */
export interface PointerHostParts {
  readonly vlog: GcValueLog
  readonly index: PointerIndex
  /** As in `GcRunOptions`. */
  readonly liveBytes?: LiveBytes
}

/** The same figure from two sources; law 8 says that they agree. */
export interface LiveBytesAccounts {
  readonly accounted: ReadonlyMap<number, number>
  readonly recounted: ReadonlyMap<number, number>
}

/** One store that can be opened again and again. */
export interface PointerHostStore {
  /**
   * Opens the store, an empty one the first time. Choose value-log files of some 4 KiB and let every value of at least
   * 64 bytes go there, so that a short history crosses many files. Some values are shorter.
   */
  open(): Promise<PointerHost>
  /**
   * Ends the open host as a crash would, without `close`: the next `open` finds what is durable, no more is promised.
   * A pass may hang in the middle of a call and stays so. Absent: crashes are left out.
   */
  crash?(): Promise<void>
  /** Removes everything. */
  destroy?(): Promise<void>
}

/** The runner's own functions; those of vitest, mocha and `node:test` fit. */
export interface TestFunctions {
  describe(name: string, body: () => void): unknown
  it(name: string, body: () => Promise<void>): unknown
}

export interface PointerHostSuiteOptions {
  /** Number of random histories. Default 20. */
  readonly runs?: number
  /** Seed of the first history; history n uses seed + n. Default 1. */
  readonly seed?: number
  /** Steps of a history. Default 60. */
  readonly steps?: number
}
