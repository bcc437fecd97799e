/**
 * Whether a tree still changes: open, then failed or closed, for ever.
 *
 * Turning is synchronous: in the turn of a failure background work is told to end and everybody who waits is rejected.
 */
import { AbortedError, ClosedError, ReadOnlyError } from '@wk/codec'
import type { WkError } from '@wk/codec'
import { ChangeNotifier } from './change-notifier.js'

/** Why background work ends where nothing failed. One for all: an error takes longer to make than most trees to close. */
const ENDED = new AbortedError('the tree is closed')

export class Lifecycle {
  readonly changes = new ChangeNotifier()
  readonly #abort = new AbortController()
  #failure: WkError | undefined
  #closed = false

  /** Aborted when background work has to end. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** What turned the tree read-only. */
  get failure(): WkError | undefined {
    return this.#failure
  }

  get isClosed(): boolean {
    return this.#closed
  }

  /** Whether background work has to end. */
  get isStopped(): boolean {
    return this.#abort.signal.aborted
  }

  get isWritable(): boolean {
    return this.#failure === undefined && !this.#closed
  }

  /** Throws if the tree takes no writes any more. */
  checkWritable(): void {
    if (this.#closed) throw new ClosedError('the tree is closed')
    if (this.#failure !== undefined) throw new ReadOnlyError('the tree is read-only after a failure', { cause: this.#failure })
  }

  checkOpen(): void {
    if (this.#closed) throw new ClosedError('the tree is closed')
  }

  /** Ends background work and rejects who waits. */
  fail(error: WkError): void {
    this.#failure ??= error
    this.changes.end(new ReadOnlyError('the tree is read-only after a failure', { cause: this.#failure }))
    this.#abort.abort(this.#failure)
  }

  /** Ends background work; the tree may still be written by its own closing. */
  stop(): void {
    this.#abort.abort(ENDED)
  }

  close(): void {
    this.#closed = true
    this.changes.end(new ClosedError('the tree is closed'))
    this.#abort.abort(ENDED)
  }
}
