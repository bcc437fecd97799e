/**
 * Whether a writer may write, and what it has failed with.
 *
 * Law 9: the first failure of a write, sync or create counts in the turn in which it is met. Staged bytes are forgotten, nothing is ever
 * written again, later calls fail with `ReadOnlyError`. There is no way back.
 *
 * It stops nobody by itself: whoever is about to write asks first, and whoever meets a failure notes it.
 */
import { ReadOnlyError } from '@wk/codec'
import type { Staging } from './staging.js'

export interface WriteFailureOptions {
  readOnly: boolean
  /** See {@link ValueLogOptions.onFailure}. */
  onFailure: ((error: unknown) => void) | undefined
  /** What another writer of the same log has failed with: then this one writes nothing more either. Default: there is none. */
  failedBeside?: () => unknown
}

export class WriteFailure {
  readonly #staging: Staging
  readonly #options: WriteFailureOptions
  #cause: unknown
  /** Whether the owner was told of the failure, or told us. */
  #told = false

  constructor(staging: Staging, options: WriteFailureOptions) {
    this.#staging = staging
    this.#options = options
  }

  /** The first failure. */
  get cause(): unknown {
    return this.#cause
  }

  /** @throws ReadOnlyError if nothing may be written */
  checkWritable(): void {
    if (this.#options.readOnly) throw new ReadOnlyError('the value log was opened read-only')
    const failure = this.#cause ?? this.#options.failedBeside?.()
    if (failure !== undefined) throw new ReadOnlyError('the value log is read-only after a failure', { cause: failure })
  }

  /** Takes note of a failure that the caller throws, in the turn of the failure. Returns it. */
  note(error: unknown): unknown {
    if (this.#cause === undefined && !(error instanceof ReadOnlyError)) {
      this.#cause = error
      this.#staging.drop()
    }
    return error
  }

  /** {@link note} of one that may have no caller, or one that looks away: whoever owns the log is told in the same turn. */
  tell(error: unknown): unknown {
    this.note(error)
    if (this.#cause === undefined || this.#told) return error
    this.#told = true
    this.#options.onFailure?.(this.#cause)
    return error
  }

  /** The owner failed, and need not be told. */
  abandon(error: unknown): void {
    this.#told = true
    this.note(error)
  }
}
