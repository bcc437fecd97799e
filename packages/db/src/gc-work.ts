/**
 * Work of the collector that runs side by side: how much there is, when the next of it ends, and the first failure.
 *
 * Whoever adds work waits for it with {@link GcWork.settled}, whatever failed; after a failure nothing is to be added.
 */
export class GcWork {
  readonly #running = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | undefined
  #change: (() => void) | undefined

  /** How much is under way. */
  get size(): number {
    return this.#running.size
  }

  /** Takes work that has begun. */
  add(work: Promise<void>): void {
    const running = work
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .then(() => {
        this.#running.delete(running)
        this.wake()
      })
    this.#running.add(running)
  }

  /** Resolves when some of the work has ended, or at {@link wake}. Rejects as the first that failed did. */
  async next(): Promise<void> {
    if (this.#failure === undefined && this.#running.size > 0) await new Promise<void>((resolve) => (this.#change = resolve))
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Ends a {@link next} that waits. */
  wake(): void {
    this.#change?.()
    this.#change = undefined
  }

  /** Waits for the end of all of it. Rejects as the first that failed did. */
  async settled(): Promise<void> {
    await Promise.all(this.#running)
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
