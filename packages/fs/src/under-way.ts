/**
 * Work that has begun: whoever closes what it works on waits for it, and meets none of its failures.
 */
export class UnderWay {
  readonly #work = new Set<Promise<unknown>>()

  /** Counts work in. Returns it. */
  add<T>(work: Promise<T>): Promise<T> {
    this.#work.add(work)
    const remove = (): void => void this.#work.delete(work)
    work.then(remove, remove)
    return work
  }

  /** Resolves when all that was added before has settled, however it did. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#work])
  }
}
