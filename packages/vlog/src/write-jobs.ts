/**
 * The asynchronous work of a writer: one job at a time, in the order of the calls.
 *
 * Records may be staged meanwhile, but what writes to the files at the call, or goes on to the next one, asks first whether a job is under way.
 * What a job throws is a failure of the writer (law 9): those that wait behind it do not begin any more.
 */
import type { WriteFailure } from './write-failure.js'

export class WriteJobs {
  readonly #failure: WriteFailure
  #last: Promise<unknown> = Promise.resolve()
  #count = 0

  constructor(failure: WriteFailure) {
    this.#failure = failure
  }

  /** Whether one is under way, or waits. */
  get isBusy(): boolean {
    return this.#count > 0
  }

  /** Runs a job when those before have ended; at once if there are none. @throws ReadOnlyError, what the job throws */
  async run(job: () => Promise<void>): Promise<void> {
    this.#failure.checkWritable()
    const begin = async (): Promise<void> => {
      try {
        this.#failure.checkWritable()
        await job()
      } catch (error) {
        throw this.#failure.tell(error)
      } finally {
        this.#count--
      }
    }
    const run = this.#count++ === 0 ? begin() : this.#last.then(begin)
    this.#last = run.catch(() => undefined)
    await run
  }

  /** Resolves when all jobs have ended, however they did. */
  async settled(): Promise<void> {
    await this.#last
  }
}
