/**
 * What long calls (`gc`, `compact`, `verify`, `backup`, `load`, `clear`, ...) take and tell, and what ends them: the caller's signal,
 * which is `WK_ABORTED`, or `close()`, which is `WK_CLOSED`.
 */
import { AbortedError, ClosedError, checkWork, throwIfAborted } from '@wk/codec'

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
export function checkMaintenance(options: MaintenanceOptions): MaintenanceOptions {
  const { signal, onProgress } = checkWork(options)
  throwIfAborted(signal)
  return { signal, onProgress }
}

/** Resolves when `before` does, which does not reject; rejects with `AbortedError` if the signal is aborted first: who waits for a turn can be told at once. */
export function orAborted(before: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    throwIfAborted(signal)
    const abort = (): void => reject(new AbortedError(undefined, { cause: signal?.reason }))
    signal?.addEventListener('abort', abort, { once: true })
    void before.then(() => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
  })
}

/** A long call under way: its options, with a signal that is aborted by the caller's or by `close()`, whichever comes first. */
export class LongCall {
  readonly options: MaintenanceOptions
  readonly #controller = new AbortController()
  readonly #signal: AbortSignal | undefined
  readonly #onEnd: (call: LongCall) => void
  #isClosed = false
  readonly #abort = (): void => this.#controller.abort(this.#signal?.reason)

  /** @throws InvalidArgumentError, AbortedError if the signal is aborted already */
  constructor(given: MaintenanceOptions, onEnd: (call: LongCall) => void) {
    const { signal, onProgress } = checkMaintenance(given)
    this.options = { signal: this.#controller.signal, onProgress }
    this.#signal = signal
    this.#onEnd = onEnd
    // Not `AbortSignal.any`: a signal that lives as long as the process would keep something of every call.
    signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /** The database is closed: ends the call at its next safe point. */
  close(): void {
    this.#isClosed = true
    // No error as the reason: one takes longer to make than most databases to close.
    this.#controller.abort('closed')
  }

  /** What the caller gets for an error: it is told of an abort only if it asked for it. */
  errorOf(error: unknown): unknown {
    if (error instanceof AbortedError && this.#isClosed && this.#signal?.aborted !== true) return new ClosedError('the database was closed before the call had ended')
    return error
  }

  /** It has ended, however it did. */
  end(): void {
    this.#signal?.removeEventListener('abort', this.#abort)
    this.#onEnd(this)
  }
}

/** The long calls of one database. */
export class LongCalls {
  readonly #running = new Set<LongCall>()

  /** Calls `work` with what a {@link LongCall} makes of the options. */
  async run<T>(options: MaintenanceOptions, work: (options: MaintenanceOptions) => Promise<T>): Promise<T> {
    const call = this.begin(options)
    try {
      return await work(call.options)
    } catch (error) {
      throw call.errorOf(error)
    } finally {
      call.end()
    }
  }

  begin(options: MaintenanceOptions): LongCall {
    const call = new LongCall(options, (ended) => this.#running.delete(ended))
    this.#running.add(call)
    return call
  }

  /** Ends every call at its next safe point. */
  close(): void {
    for (const call of this.#running) call.close()
  }
}
