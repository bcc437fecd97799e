/**
 * What long calls (`gc`, `compact`, `verify`, `backup`, `load`, `clear`, ...) take and tell, and what ends them: the caller's signal,
 * which is `WK_ABORTED`, or `close()`, which is `WK_CLOSED`.
 */
import { AbortedError, ClosedError, InvalidArgumentError, throwIfAborted } from '@wk/codec'

/** How far a long call has come. */
export interface Progress {
  /** What it is doing now. */
  phase: string
  /** Steps done, of {@link total}; what a step is depends on the phase. */
  done: number
  total: number
  /** Bytes read or moved so far. */
  bytes: number
}

export interface MaintenanceOptions {
  /** Aborting it ends the call with `WK_ABORTED` at the next safe point; one that is aborted already begins nothing. */
  signal?: AbortSignal | undefined
  /** Called now and then, on the calling thread. What it throws ends the call with it, at a safe point. */
  onProgress?: ((progress: Progress) => void) | undefined
}

/** Checks what a long call was given. @throws InvalidArgumentError, AbortedError if the signal is aborted already */
export function checkMaintenance({ signal, onProgress }: MaintenanceOptions): MaintenanceOptions {
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw new InvalidArgumentError('signal must be an AbortSignal')
  if (onProgress !== undefined && typeof onProgress !== 'function') throw new InvalidArgumentError('onProgress must be a function')
  throwIfAborted(signal)
  return { signal, onProgress }
}

/** The long calls of one database. */
export class LongCalls {
  readonly #closing = new AbortController()

  /** Ends every call at its next safe point. */
  close(): void {
    // No error as the reason: one takes longer to make than most databases to close.
    this.#closing.abort('closed')
  }

  /** Checks the options and calls `work` with a signal that is aborted by the caller's or by {@link close}, whichever comes first. */
  async run<T>(options: MaintenanceOptions, work: (options: MaintenanceOptions) => Promise<T>): Promise<T> {
    const begun = this.begin(options)
    try {
      return await work(begun)
    } catch (error) {
      throw this.errorOf(error, options)
    }
  }

  /** The options that {@link run} calls its work with. */
  begin(options: MaintenanceOptions): MaintenanceOptions {
    const { signal, onProgress } = checkMaintenance(options)
    const closing = this.#closing.signal
    return { signal: signal === undefined ? closing : AbortSignal.any([signal, closing]), onProgress }
  }

  /** What the caller gets for an error of its call: it is told of an abort only if it asked for it. */
  errorOf(error: unknown, { signal }: MaintenanceOptions): unknown {
    if (error instanceof AbortedError && this.#closing.signal.aborted && signal?.aborted !== true) return new ClosedError('the database was closed before the call had ended')
    return error
  }
}
