/**
 * Wakes who waits for the tree to change: a flush or compaction was published, a group written, the tree failed or closed.
 *
 * Waiting is a loop: check, wait for the next change, check again. After the end every wait is rejected, so no waiter
 * is left behind.
 */
import type { WkError } from '@wk/codec'

interface Waiter {
  resolve: () => void
  reject: (error: WkError) => void
}

export class ChangeNotifier {
  #waiters: Waiter[] = []
  #ended: WkError | undefined

  /** Why there will be no more changes, if that is so. */
  get ended(): WkError | undefined {
    return this.#ended
  }

  /** Resolves at the next change; rejects once there will be none. */
  next(): Promise<void> {
    const ended = this.#ended
    if (ended !== undefined) return Promise.reject(ended)
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  /** Wakes all waiters. */
  changed(): void {
    for (const { resolve } of this.#waiters.splice(0)) resolve()
  }

  /** Rejects all waiters, now and later. The first error stays. */
  end(error: WkError): void {
    this.#ended ??= error
    for (const { reject } of this.#waiters.splice(0)) reject(this.#ended)
  }
}
