/**
 * What a history is made of: calls of many clients on one database, in the order in which they were made.
 *
 * Moments are versions, the numbers that the engine gives to operations and that `snapshot().version` tells, which takes no time: between two
 * of them nothing can be written unseen. Plain data; `oracle.ts` says what may stand in one, `client.ts` records them.
 */

/** A key and its new value; undefined deletes it. Values are never written twice. */
export type Change = readonly [key: string, value: string | undefined]

/** The version at the call, and when its answer was there. */
interface Call {
  readonly client: number
  readonly called: number
  readonly returned: number
}

/** Keys from `gte` to before `lt`, backwards if so asked; at most `limit` of them. */
export interface Scan {
  readonly gte: string
  readonly lt: string
  readonly reverse: boolean
  readonly limit: number
  readonly shows: 'entries' | 'keys'
  /** Values are left out of what shows keys. */
  readonly found: readonly Change[]
}

/** A put, a deletion or a batch: takes as many versions as it has operations, up to `version`, in the turn of the call. */
export interface Write extends Call {
  readonly kind: 'write'
  readonly version: number
  readonly changes: readonly Change[]
}

/** Something read of one state, which is one of those from version `low` to `high`: the same where it is known. */
export interface Read extends Call {
  readonly kind: 'read'
  readonly by: string
  readonly low: number
  readonly high: number
  readonly gets: readonly Change[]
  readonly scan: Scan | undefined
}

/** One thing done in a transaction. */
export type TransactionStep = { readonly get: Change } | { readonly scan: Scan } | { readonly put: Change }

/** A transaction; `began` is the version that it reads. */
export interface TransactionCall extends Call {
  readonly kind: 'transaction'
  readonly began: number
  /** The version at which its function was done. */
  readonly ready: number
  /** The version of the last of its operations. Undefined where it wrote nothing. */
  readonly version: number | undefined
  readonly outcome: 'committed' | 'conflict' | 'given up'
  readonly steps: readonly TransactionStep[]
}

/** `clear()`; one that was aborted may have deleted or not. */
export interface Clear extends Call {
  readonly kind: 'clear'
  readonly gte: string
  readonly lt: string
  readonly aborted: boolean
}

/** What should change nothing that is read: a collection, a flush, a compaction, a checkpoint. `begun` and `ended` count calls and answers. */
export interface Maintenance extends Call {
  readonly kind: 'maintenance'
  readonly name: 'gc' | 'flush' | 'compact' | 'checkpoint'
  readonly begun: number
  readonly ended: number
  readonly hasSignal: boolean
  /** The code of the error that it was refused with. */
  readonly refused: string | undefined
}

export type HistoryEvent = Write | Read | TransactionCall | Clear | Maintenance
