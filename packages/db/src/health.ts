/**
 * The one place that decides what an error does to a database.
 *
 * opening -> open -> read-only -> closed, and from each straight to closed. The first failure of a write or sync of
 * WAL, value log or manifest turns it read-only in the same turn (law 9); nothing but reopening turns it back.
 */
import { ClosedError, ReadOnlyError, WkError } from '@wk/codec'

export type HealthState = 'open' | 'read-only' | 'closing' | 'closed'

/** Allowed moves; every other one is a bug. */
const TRANSITIONS: Record<HealthState, readonly HealthState[]> = {
  open: ['read-only', 'closing'],
  'read-only': ['closing'],
  closing: ['closed'],
  closed: [],
}

export class Health {
  #state: HealthState = 'open'
  #failure: WkError | undefined
  readonly #onFailure: (failure: WkError) => void

  /** @param onFailure told once, about the first failure, in the same turn. It must not throw. */
  constructor(readOnly: boolean, onFailure: (failure: WkError) => void) {
    this.#onFailure = onFailure
    if (readOnly) this.#move('read-only')
  }

  get state(): HealthState {
    return this.#state
  }

  /** The failure that ended writing, if one did. */
  get failure(): WkError | undefined {
    return this.#failure
  }

  /**
   * Reports a failure. Only the first one counts. A part may be met refusing work before the failure itself has come up to
   * here: then it is that failure which counts.
   */
  fail(error: WkError): void {
    if (this.#failure !== undefined) return
    this.#failure = error instanceof ReadOnlyError && error.cause instanceof WkError ? error.cause : error
    if (this.#state === 'open') this.#move('read-only')
    this.#onFailure(this.#failure)
  }

  startClosing(): void {
    this.#move('closing')
  }

  closed(): void {
    this.#move('closed')
  }

  /** Throws `WK_CLOSED` once `close()` was called. */
  assertReadable(): void {
    if (this.#state === 'closing' || this.#state === 'closed') throw new ClosedError('the database is closed')
  }

  /** Throws `WK_CLOSED`, or `WK_READ_ONLY` with the failure as its cause. */
  assertWritable(): void {
    this.assertReadable()
    if (this.#state === 'read-only') throw this.readOnlyError()
  }

  /** The error for a write that cannot be done any more. */
  readOnlyError(): ReadOnlyError {
    return this.#failure === undefined
      ? new ReadOnlyError('the database was opened read-only')
      : new ReadOnlyError('the database turned read-only after a failure', { cause: this.#failure })
  }

  #move(to: HealthState): void {
    if (!TRANSITIONS[this.#state].includes(to)) throw new Error(`health cannot go from ${this.#state} to ${to}`)
    this.#state = to
  }
}
