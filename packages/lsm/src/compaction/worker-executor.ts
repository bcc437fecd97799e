/**
 * Runs jobs in worker threads, so that the tree's own thread is free.
 *
 * A thread that dies costs time only: what its jobs had written is removed, and they are rejected with `WorkerLostError`, upon
 * which the tree runs them again under new file numbers, the first time in a new thread, then on its own thread, with a
 * warning. Where threads cannot be had at all everything runs in-line, with one warning. Very small jobs run in-line too: they cost less than
 * their trip.
 */
import { AbortedError, NotSupportedError, throwIfAborted } from '@wk/codec'
import type { FileSystem, FileSystemDescription, Runtime } from '@wk/fs'
import { tablePath } from '../table-cache.js'
import { ExecutorCalls } from './executor-calls.js'
import { InlineExecutor } from './executor.js'
import type { Executor, Task } from './executor.js'
import type { Job, JobResult } from './job.js'
import { WorkerPool } from './worker-pool.js'
import { TREE_JOB } from './worker-protocol.js'
import { WorkerLostError } from './worker-thread.js'
import type { WorkerThread } from './worker-thread.js'

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
  /** Most threads of its own, or those that it shares with others, which are not closed with it. Default 1. */
  workers?: number | WorkerPool
  /** The worker's file: a URL or an absolute path. Default: `@wk/lsm/worker`, wherever that is. */
  workerUrl?: URL | string | undefined
  onWarning?: ((warning: LsmWarning) => void) | undefined
  /** Jobs with fewer bytes of input run in-line. Default 32 KiB. */
  inlineBelow?: number
}

/** A thread, and what it makes the file system from. */
interface ReadyThread {
  readonly thread: WorkerThread
  readonly description: FileSystemDescription
}

/** Threads that die one after the other, without a job done between, before a job runs in-line. */
const LOSSES_BEFORE_INLINE = 2
const INLINE_BELOW = 32 * 1024

export class WorkerExecutor implements Executor {
  readonly #options: WorkerExecutorOptions
  readonly #inline: InlineExecutor
  readonly #pool: WorkerPool
  readonly #isShared: boolean
  readonly #calls = new ExecutorCalls()
  #losses = 0
  #hasWarned = false

  constructor(options: WorkerExecutorOptions) {
    this.#options = options
    this.#inline = new InlineExecutor(options.fs, options.runtime)
    const { workers = 1 } = options
    this.#isShared = workers instanceof WorkerPool
    this.#pool = workers instanceof WorkerPool ? workers : new WorkerPool({ threads: workers })
  }

  /** Threads that live now. */
  get threads(): number {
    return this.#pool.threads
  }

  run(job: Job, signal?: AbortSignal): Promise<JobResult> {
    return this.#calls.run((own) => this.#run(job, own), signal)
  }

  runTask<D, R>(task: Task<D, R>, data: D, signal?: AbortSignal): Promise<R> {
    return this.#calls.run((own) => this.#runTask(task, data, own), signal)
  }

  findIdle<D, R>(task: Task<D, R>): ((data: D) => Promise<R>) | undefined {
    const { description } = this.#options.fs
    if (this.#calls.isClosed || description === undefined) return undefined
    const thread = this.#pool.idle(this.#options.workerUrl)
    if (thread === undefined) return undefined
    return (data) => this.#calls.run((own) => thread.run(task.kind, data, description, own) as Promise<R>, undefined)
  }

  prepare(): void {
    if (!this.#calls.isClosed && this.#options.fs.description !== undefined) this.#pool.prepare(this.#options.workerUrl)
  }

  async close(): Promise<void> {
    await this.#calls.close()
    await this.#inline.close()
    if (!this.#isShared) await this.#pool.close()
  }

  async #run(job: Job, signal: AbortSignal): Promise<JobResult> {
    if (inputBytes(job) < (this.#options.inlineBelow ?? INLINE_BELOW)) return this.#inline.run(job, signal)
    if (this.#losses >= LOSSES_BEFORE_INLINE) {
      // The next job may try a thread again.
      this.#losses = LOSSES_BEFORE_INLINE - 1
      return this.#inline.run(job, signal)
    }
    const ready = this.#thread()
    if (ready === undefined) return this.#inline.run(job, signal)
    try {
      return (await this.#runInThread(ready, TREE_JOB, job, signal)) as JobResult
    } catch (error) {
      if (!(error instanceof WorkerLostError)) throw error
      // Nobody writes to them any more; their numbers are not used again.
      for (const number of job.fileNumbers) await this.#options.fs.remove(tablePath(job.dir, number)).catch(() => undefined)
      throwIfAborted(signal)
      throw error
    }
  }

  async #runTask<D, R>(task: Task<D, R>, data: D, signal: AbortSignal): Promise<R> {
    const ready = this.#thread()
    if (ready !== undefined) {
      try {
        return (await this.#runInThread(ready, task.kind, data, signal)) as R
      } catch (error) {
        // A worker's file that was named by a host of another kind does not know every task.
        if (!(error instanceof WorkerLostError || error instanceof NotSupportedError)) throw error
      }
    }
    return this.#inline.runTask(task, data, signal)
  }

  async #runInThread({ thread, description }: ReadyThread, kind: string, data: unknown, signal: AbortSignal): Promise<unknown> {
    try {
      const result = await thread.run(kind, data, description, signal)
      if (kind === TREE_JOB) this.#losses = 0
      return result
    } catch (error) {
      if (error instanceof AbortedError) throwIfAborted(signal)
      if (error instanceof WorkerLostError && !this.#calls.isClosed) this.#onLoss(error)
      throw error
    }
  }

  /** The thread for the next job; `undefined` where there are none to be had. */
  #thread(): ReadyThread | undefined {
    const { description } = this.#options.fs
    if (description === undefined) return undefined
    const thread = this.#pool.take(this.#options.workerUrl)
    if (thread !== undefined) return { thread, description }
    this.#tellOfNone()
    return undefined
  }

  #onLoss({ cause }: WorkerLostError): void {
    if (this.#pool.failure(this.#options.workerUrl) !== undefined) {
      this.#tellOfNone()
      return
    }
    // Threads that somebody closed are not missed.
    if (this.#pool.isClosed) return
    this.#losses++
    if (this.#losses < LOSSES_BEFORE_INLINE) return
    this.#options.onWarning?.({ code: 'WK_WORKER_LOST', message: 'background threads ended unexpectedly: their job runs on the main thread', cause })
  }

  /** Once. Not where somebody closed the threads: that was meant. */
  #tellOfNone(): void {
    const failure = this.#pool.failure(this.#options.workerUrl)
    if (failure === undefined || this.#hasWarned) return
    this.#hasWarned = true
    const message = 'the background thread could not be started (bundled applications name its file by the option workerUrl): flushes and compactions run on the main thread'
    this.#options.onWarning?.({ code: 'WK_WORKER_UNAVAILABLE', message, cause: failure.cause })
  }
}

function inputBytes(job: Job): number {
  let bytes = job.memtable === undefined ? 0 : job.memtable.recordEnd - job.memtable.recordStart
  if (job.type === 'flush') return bytes
  for (const { tables } of job.inputs) for (const { size } of tables) bytes += size
  return bytes
}
