/**
 * Worker threads: of one tree, or of several that share them.
 *
 * At most so many for each worker's file; jobs of several trees take turns in time slices. A thread that dies is replaced at the next job. Where
 * threads cannot be had at all (the worker's file is not there, as in bundled applications) there are none from then on.
 */
import { createRequire } from 'node:module'
import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { checkOptions, integerOption } from '@wk/codec'
import { WorkerThread } from './worker-thread.js'

export interface WorkerPoolOptions {
  /** Most threads, for each worker's file if there are several (`workerUrl`); 1 to 64. Default 1. */
  threads?: number
}

/** A worker's file as it was named: a URL or an absolute path; `undefined`: `@wk/lsm/worker`. */
export type WorkerFile = URL | string | undefined

/** Threads of one file that end, one after the other, before they can work. After so many there are none to be had: once may be for want of memory. */
const STILLBORN = 2

/** Threads of one file. */
interface Crew {
  readonly threads: Set<WorkerThread>
  stillborn: number
  /** Why there are none to be had. */
  failure: { readonly cause: unknown } | undefined
}

/**
 * Background threads that databases of one process share: those that are open at the same time, so that a hundred databases need no hundred
 * threads, or one after the other, so that the next one finds them started and their code compiled.
 *
 * Give it to each as its option `workers`, with any options beside, encryption included: a thread keeps nothing of a database. Threads are started when
 * there is something to do, and keep no process alive. They stay when a database is closed. Closing the pool while one is open is allowed: what ran in its
 * threads then runs again on the calling thread.
 */
export class WorkerPool {
  readonly #most: number
  readonly #crews = new Map<string, Crew>()
  #closed = false

  /** Starts nothing. @throws InvalidArgumentError */
  constructor(options: WorkerPoolOptions = {}) {
    this.#most = integerOption('threads', checkOptions(options).threads, 1, 1, 64)
  }

  /** Threads that live now. */
  get threads(): number {
    let count = 0
    for (const { threads } of this.#crews.values()) count += threads.size
    return count
  }

  /** Whether it was closed. */
  get isClosed(): boolean {
    return this.#closed
  }

  /** Ends the threads. Whoever still uses them does without: what ran in them runs again, on the calling thread. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#crews.values()].flatMap(({ threads }) => [...threads].map((thread) => thread.stop())))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal Why there are no threads to be had that run `file`, if there are none. */
  failure(file: WorkerFile): { readonly cause: unknown } | undefined {
    return this.#crews.get(String(file))?.failure
  }

  /** @internal A thread that has started, and has nothing to do. */
  idle(file: WorkerFile): WorkerThread | undefined {
    for (const thread of this.#crews.get(String(file))?.threads ?? []) if (thread.isIdle) return thread
    return undefined
  }

  /** @internal The thread with the least to do, a new one if that helps; `undefined` where there are none to be had. */
  take(file: WorkerFile): WorkerThread | undefined {
    const crew = this.#crewOf(file)
    if (this.#closed || crew.failure !== undefined) return undefined
    let idlest: WorkerThread | undefined
    for (const thread of crew.threads) if (idlest === undefined || thread.load < idlest.load) idlest = thread
    if (idlest !== undefined && (idlest.load === 0 || crew.threads.size >= this.#most)) return idlest
    try {
      const thread = new WorkerThread(urlOf(file), (ended, loaded, cause) => this.#onEnd(crew, ended, loaded, cause))
      crew.threads.add(thread)
      return thread
    } catch (cause) {
      crew.failure = { cause }
      return undefined
    }
  }

  /** @internal Starts a thread if there is none. */
  prepare(file: WorkerFile): void {
    if (this.#crewOf(file).threads.size === 0) this.take(file)
  }

  #crewOf(file: WorkerFile): Crew {
    const name = String(file)
    let crew = this.#crews.get(name)
    if (crew === undefined) this.#crews.set(name, (crew = { threads: new Set(), stillborn: 0, failure: undefined }))
    return crew
  }

  #onEnd(crew: Crew, thread: WorkerThread, loaded: boolean, cause: unknown): void {
    crew.threads.delete(thread)
    if (this.#closed) return
    crew.stillborn = loaded ? 0 : crew.stillborn + 1
    if (crew.stillborn >= STILLBORN) crew.failure = { cause }
  }
}

/** Throws where there is no such file: the package's own is found through its own exports, from sources and from the built package alike. */
function urlOf(file: WorkerFile): URL {
  if (file instanceof URL) return file
  if (file !== undefined) return isAbsolute(file) ? pathToFileURL(file) : new URL(file)
  return pathToFileURL(createRequire(import.meta.url).resolve('@wk/lsm/worker'))
}
