/**
 * Worker threads: of one tree, or of several that share them, one after the other or at the same time.
 *
 * Threads are started when somebody has a job for them, or foresees one, at most so many, and keep the process alive only while they have one.
 * A thread knows nothing of a tree: each job brings what it needs, and jobs of several trees take turns in time slices. A thread that dies is
 * replaced at the next job. Where threads cannot be had at all (the worker's file is not there, as in bundled applications) there are none
 * from then on.
 */
import { createRequire } from 'node:module'
import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InvalidArgumentError, checkOptions, integerOption } from '@wk/codec'
import { WorkerThread } from './worker-thread.js'

export interface WorkerPoolOptions {
  /** Most threads, 1 to 64. Default 1. */
  threads?: number
  /** The worker's file: a URL or an absolute path. Default: that of the package, wherever it is. */
  workerUrl?: URL | string | undefined
}

export class WorkerPool {
  readonly #most: number
  readonly #url: URL | string | undefined
  readonly #threads = new Set<WorkerThread>()
  #failure: { cause: unknown } | undefined
  #closed = false

  /** Starts nothing. @throws InvalidArgumentError */
  constructor(options: WorkerPoolOptions = {}) {
    const { threads, workerUrl } = checkOptions(options)
    if (workerUrl !== undefined && typeof workerUrl !== 'string' && !(workerUrl instanceof URL)) throw new InvalidArgumentError('workerUrl must be a URL or a path')
    this.#most = integerOption('threads', threads, 1, 1, 64)
    this.#url = workerUrl
  }

  /** Threads that live now. */
  get threads(): number {
    return this.#threads.size
  }

  /** Ends the threads. Whoever still uses them does without: what ran in them runs again, on the calling thread. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#threads].map((thread) => thread.stop()))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Whether it was closed. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** @internal Why there are no threads to be had, if there are none. */
  get failure(): { readonly cause: unknown } | undefined {
    return this.#failure
  }

  /** @internal A thread that has started, and has nothing to do. */
  idle(): WorkerThread | undefined {
    for (const thread of this.#threads) if (thread.isIdle) return thread
    return undefined
  }

  /** @internal The thread with the least to do, a new one if that helps; `undefined` where there are none to be had. */
  take(): WorkerThread | undefined {
    if (this.#closed || this.#failure !== undefined) return undefined
    let idlest: WorkerThread | undefined
    for (const thread of this.#threads) if (idlest === undefined || thread.load < idlest.load) idlest = thread
    if (idlest !== undefined && (idlest.load === 0 || this.#threads.size >= this.#most)) return idlest
    try {
      const thread = new WorkerThread(urlOf(this.#url), (ended, loaded, cause) => this.#onEnd(ended, loaded, cause))
      this.#threads.add(thread)
      return thread
    } catch (cause) {
      this.#failure = { cause }
      return undefined
    }
  }

  /** @internal Starts a thread if there is none. */
  prepare(): void {
    if (this.#threads.size === 0) this.take()
  }

  #onEnd(thread: WorkerThread, loaded: boolean, cause: unknown): void {
    this.#threads.delete(thread)
    if (!loaded && !this.#closed) this.#failure ??= { cause }
  }
}

/**
 * The worker's file: the one named, or the package's own built one, found through its own exports, from sources and from
 * the built package alike. Throws where there is none.
 */
function urlOf(given: URL | string | undefined): URL {
  if (given instanceof URL) return given
  if (given !== undefined) return isAbsolute(given) ? pathToFileURL(given) : new URL(given)
  return pathToFileURL(createRequire(import.meta.url).resolve('@wk/lsm/worker'))
}
