/**
 * What the WAL does not say yet: operations that were acknowledged because the host's value log holds them.
 *
 * A deferred operation is a record of the value log that commits its write alone. Recovery goes on with such records where
 * the WAL ends, as long as each follows on the one before by its sequence number: whatever is missing in between (an operation
 * that only the WAL could tell, part of a batch, a record that was lost) ends it, so that what is recovered is an ordered
 * prefix. Sequence numbers of what lies behind the end must not come back (CR12).
 */
import { MAX_SEQUENCE } from '@wk/codec'

/** A record of the value log, as an operation. The bytes are good until the next one is asked for. */
export interface TailOperation {
  sequence: number
  kind: number
  key: Uint8Array
  payload: Uint8Array
  /** It commits its write: it was staged as `deferred`. */
  commits: boolean
}

/** Follows sequence numbers. */
export class DeferredTail {
  #last: number
  #highest: number
  #ended = false

  /** `lastSequence`: of the last operation that is known otherwise. */
  constructor(lastSequence: number) {
    this.#last = lastSequence
    this.#highest = lastSequence
  }

  /** Sequence number of the last operation that follows on. */
  get lastSequence(): number {
    return this.#last
  }

  /** Highest sequence number seen. */
  get highestSequence(): number {
    return this.#highest
  }

  /** Whether the operation is to be taken over. */
  accepts({ sequence, commits }: TailOperation): boolean {
    if (sequence > this.#highest && sequence <= MAX_SEQUENCE) this.#highest = sequence
    if (sequence <= this.#last || this.#ended) return false
    this.#ended = !commits || sequence !== this.#last + 1
    if (!this.#ended) this.#last = sequence
    return !this.#ended
  }
}
