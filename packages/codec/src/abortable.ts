/**
 * What a caller passes in as a source, walked until a signal is aborted: also while the source, which is foreign, lets wait for its next item.
 */
import { AbortedError, throwIfAborted } from './errors.js'

/** The items, until the signal is aborted: then `AbortedError`, at once. The source is closed unless it has ended. */
export async function* abortable<T>(source: AsyncIterable<T> | Iterable<T>, signal: AbortSignal | undefined): AsyncGenerator<T, void, undefined> {
  const iterator: AsyncIterator<T> | Iterator<T> = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  // One listener for the whole source: a race with one promise of the signal would keep something for every item.
  let abort: ((error: unknown) => void) | undefined
  const onAbort = (): void => abort?.(new AbortedError(undefined, { cause: signal?.reason }))
  signal?.addEventListener('abort', onAbort, { once: true })
  let isDone = false
  try {
    for (;;) {
      throwIfAborted(signal)
      const step = await new Promise<IteratorResult<T>>((resolve, reject) => {
        abort = reject
        Promise.resolve(iterator.next()).then(resolve, reject)
      })
      if (step.done === true) {
        isDone = true
        return
      }
      yield step.value
    }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    // Not waited for: a source that hangs must not hold up who aborts.
    if (!isDone) void endQuietly(iterator)
  }
}

/** Whatever the source throws at its end: the error that ended the call is the one to tell. */
async function endQuietly(iterator: AsyncIterator<unknown> | Iterator<unknown>): Promise<void> {
  try {
    await iterator.return?.()
  } catch {
    // Nobody is left to be told.
  }
}
