/**
 * Runs jobs in worker threads, so that the tree's own thread is free.
 *
 * Threads are started when there is a job for them, or one is foreseen (`prepare`), and keep the process alive only while they
 * have one. A thread that dies costs time only: what its jobs had written is removed, and they are rejected with `WorkerLostError`, upon
 * which the tree runs them again under new file numbers, the first time in a new thread, then on its own thread, with a
 * warning. Where threads cannot be had at all (the worker's file is not there, as in bundled applications) everything
 * runs in-line from then on, with one warning. Very small jobs run in-line too: they cost less than their trip.
 */
import { createRequire } from 'node:module'
import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { AbortedError, ClosedError, NotSupportedError, throwIfAborted } from '@wk/codec'
import type { FileSystem, Runtime } from '@wk/fs'
import { tablePath } from '../table-cache.js'
import { InlineExecutor } from './executor.js'
import type { Executor, Task } from './executor.js'
import type { Job, JobResult } from './job.js'
import { TREE_JOB } from './worker-protocol.js'
import { WorkerLostError, WorkerThread } from './worker-thread.js'

/** Something that works, but not as it was meant to. */
export interface LsmWarning {
  /**
   * `WK_WORKER_UNAVAILABLE`: no worker could be started; all jobs run in-line from now on. `WK_WORKER_LOST`: workers
   * died; one job runs in-line.
   */
  code: 'WK_WORKER_UNAVAILABLE' | 'WK_WORKER_LOST'
  message: string
  cause: unknown
}

export interface WorkerExecutorOptions {
  /** Workers make it anew from its description; without one, everything runs in-line. */
  fs: FileSystem
  runtime: Runtime
  /** Most threads. Default 1. */
  workers?: number
  /** The worker's file: a URL or an absolute path. Default: `@wk/lsm/worker`, wherever that is. */
  workerUrl?: URL | string | undefined
  onWarning?: ((warning: LsmWarning) => void) | undefined
  /** Jobs with fewer bytes of input run in-line. Default 32 KiB. */
  inlineBelow?: number
}

/** Threads that die one after the other, without a job done between, before a job runs in-line. */
const LOSSES_BEFORE_INLINE = 2
const INLINE_BELOW = 32 * 1024

export class WorkerExecutor implements Executor {
  readonly #options: WorkerExecutorOptions
  readonly #inline: InlineExecutor
  readonly #threads = new Set<WorkerThread>()
  readonly #running = new Map<AbortController, Promise<unknown>>()
  #losses = 0
  #isUnavailable = false
  #closed = false

  constructor(options: WorkerExecutorOptions) {
    this.#options = options
    this.#inline = new InlineExecutor(options.fs, options.runtime)
  }

  /** Threads that live now. */
  get threads(): number {
    return this.#threads.size
  }

  run(job: Job, signal?: AbortSignal): Promise<JobResult> {
    return this.#tracked((own) => this.#run(job, own), signal)
  }

  runTask<D, R>(task: Task<D, R>, data: D, signal?: AbortSignal): Promise<R> {
    return this.#tracked((own) => this.#runTask(task, data, own), signal)
  }

  findIdle<D, R>(task: Task<D, R>): ((data: D) => Promise<R>) | undefined {
    if (this.#closed) return undefined
    for (const thread of this.#threads) {
      if (thread.isIdle) return (data) => this.#tracked((own) => thread.run(task.kind, data, own) as Promise<R>, undefined)
    }
    return undefined
  }

  prepare(): void {
    if (!this.#closed && this.#threads.size === 0) this.#thread()
  }

  async #tracked<R>(work: (signal: AbortSignal) => Promise<R>, signal: AbortSignal | undefined): Promise<R> {
    if (this.#closed) throw new ClosedError('the executor is closed')
    throwIfAborted(signal)
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

  async close(): Promise<void> {
    this.#closed = true
    for (const controller of this.#running.keys()) controller.abort()
    await Promise.allSettled([...this.#running.values()])
    await this.#inline.close()
    await Promise.all([...this.#threads].map((thread) => thread.stop()))
  }

  async #run(job: Job, signal: AbortSignal): Promise<JobResult> {
    if (inputBytes(job) < (this.#options.inlineBelow ?? INLINE_BELOW)) return this.#inline.run(job, signal)
    if (this.#losses >= LOSSES_BEFORE_INLINE) {
      // The next job may try a thread again.
      this.#losses = LOSSES_BEFORE_INLINE - 1
      return this.#inline.run(job, signal)
    }
    const thread = this.#thread()
    if (thread === undefined) return this.#inline.run(job, signal)
    try {
      const result = await thread.run(TREE_JOB, job, signal)
      this.#losses = 0
      return result as JobResult
    } catch (error) {
      if (error instanceof AbortedError) throwIfAborted(signal)
      if (!(error instanceof WorkerLostError)) throw error
      // Nobody writes to them any more; their numbers are not used again.
      for (const number of job.fileNumbers) await this.#options.fs.remove(tablePath(job.dir, number)).catch(() => undefined)
      throwIfAborted(signal)
      throw error
    }
  }

  async #runTask<D, R>(task: Task<D, R>, data: D, signal: AbortSignal): Promise<R> {
    const thread = this.#thread()
    if (thread !== undefined) {
      try {
        return (await thread.run(task.kind, data, signal)) as R
      } catch (error) {
        if (error instanceof AbortedError) throwIfAborted(signal)
        // A worker's file that was named by a host of another kind does not know every task.
        if (!(error instanceof WorkerLostError || error instanceof NotSupportedError)) throw error
      }
    }
    return this.#inline.runTask(task, data, signal)
  }

  /** The thread with the least to do, a new one if that helps; `undefined` where there are none to be had. */
  #thread(): WorkerThread | undefined {
    const { description } = this.#options.fs
    if (this.#isUnavailable || description === undefined) return undefined
    let idlest: WorkerThread | undefined
    for (const thread of this.#threads) if (idlest === undefined || thread.load < idlest.load) idlest = thread
    if (idlest !== undefined && (idlest.load === 0 || this.#threads.size >= (this.#options.workers ?? 1))) return idlest
    try {
      const thread = new WorkerThread(workerUrl(this.#options.workerUrl), description, (ended, loaded, cause) => this.#onEnd(ended, loaded, cause))
      this.#threads.add(thread)
      return thread
    } catch (cause) {
      this.#giveUp(cause)
      return undefined
    }
  }

  #onEnd(thread: WorkerThread, loaded: boolean, cause: unknown): void {
    this.#threads.delete(thread)
    if (this.#closed) return
    if (!loaded) {
      this.#giveUp(cause)
      return
    }
    this.#losses++
    if (this.#losses < LOSSES_BEFORE_INLINE) return
    this.#warn({ code: 'WK_WORKER_LOST', message: 'background threads ended unexpectedly: their job runs on the main thread', cause })
  }

  #giveUp(cause: unknown): void {
    if (this.#isUnavailable) return
    this.#isUnavailable = true
    const message = 'the background thread could not be started (bundled applications name its file by the option workerUrl): flushes and compactions run on the main thread'
    this.#warn({ code: 'WK_WORKER_UNAVAILABLE', message, cause })
  }

  #warn(warning: LsmWarning): void {
    this.#options.onWarning?.(warning)
  }
}

/**
 * The worker's file: the one named, or the package's own built one, found through its own exports, from sources and from
 * the built package alike. Throws where there is none.
 */
function workerUrl(given: URL | string | undefined): URL {
  if (given instanceof URL) return given
  if (given !== undefined) return isAbsolute(given) ? pathToFileURL(given) : new URL(given)
  return pathToFileURL(createRequire(import.meta.url).resolve('@wk/lsm/worker'))
}

function inputBytes(job: Job): number {
  let bytes = job.memtable === undefined ? 0 : job.memtable.recordEnd - job.memtable.recordStart
  if (job.type === 'flush') return bytes
  for (const { tables } of job.inputs) for (const { size } of tables) bytes += size
  return bytes
}
