/**
 * The calls that an executor has under way: each with a signal that is aborted by its caller's, and by the executor's end.
 */
import { ClosedError, throwIfAborted } from '@wk/codec'

export class ExecutorCalls {
  readonly #running = new Map<AbortController, Promise<unknown>>()
  #closed = false

  get isClosed(): boolean {
    return this.#closed
  }

  /** Settles as `work` does. @throws ClosedError, AbortedError before it begins */
  async run<R>(work: (signal: AbortSignal) => Promise<R>, signal: AbortSignal | undefined): Promise<R> {
    if (this.#closed) throw new ClosedError('the executor is closed')
    throwIfAborted(signal)
    // Not AbortSignal.any: it ties every call to the caller's signal for as long as that lives.
    const controller = new AbortController()
    const abort = (): void => controller.abort(signal?.reason)
    signal?.addEventListener('abort', abort)
    const running = work(controller.signal)
    this.#running.set(controller, running)
    try {
      return await running
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#running.delete(controller)
    }
  }

  /** Lets no call begin any more, aborts those under way, and waits for their end. */
  async close(): Promise<void> {
    this.#closed = true
    for (const controller of this.#running.keys()) controller.abort()
    await Promise.allSettled([...this.#running.values()])
  }
}
