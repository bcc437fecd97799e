/**
 * Where jobs run. The tree knows only this interface; the same job function runs behind every implementation.
 */
import type { FileSystem, Runtime } from '@wk/fs'
import { ExecutorCalls } from './executor-calls.js'
import type { Job, JobResult } from './job.js'
import { runJob } from './job-runner.js'
import type { JobContext } from './job-runner.js'

/**
 * Work that is not a tree's job: a function over plain data, which a worker knows by its kind (`serveWorker`). It must be
 * possible to run it again after it ended half-way.
 */
export interface Task<D, R> {
  kind: string
  run(data: D, context: JobContext): Promise<R>
}

export interface Executor {
  /**
   * Runs a job. The outputs are synced and closed when it resolves; when it rejects (`WkError`, `AbortedError` after
   * `signal`) none of them is left, as far as the file system allows. The same job must not be run again after a
   * failure: it needs new file numbers.
   */
  run(job: Job, signal?: AbortSignal): Promise<JobResult>
  /** Runs a task; on this thread if no worker knows it or the worker dies. Rejects as the task does. */
  runTask<D, R>(task: Task<D, R>, data: D, signal?: AbortSignal): Promise<R>
  /**
   * How to run a task in a thread that has nothing else to do, to be called in the same turn; `undefined` if there is none: no thread is started
   * for it. Rejects also when the thread is lost or knows no such task. Default: there is none.
   */
  findIdle?<D, R>(task: Task<D, R>): ((data: D) => Promise<R>) | undefined
  /** A job is likely to come soon: does ahead what it would have to wait for, a thread's start. Idempotent, and cheap. Default: nothing. */
  prepare?(): void
  /** Aborts what runs and waits for its end. Later calls of `run` reject with `ClosedError`. */
  close(): Promise<void>
}

/** Runs jobs on the calling thread, in slices of a few milliseconds. */
export class InlineExecutor implements Executor {
  readonly #fs: FileSystem
  readonly #runtime: Runtime
  readonly #calls = new ExecutorCalls()

  constructor(fs: FileSystem, runtime: Runtime) {
    this.#fs = fs
    this.#runtime = runtime
  }

  run(job: Job, signal?: AbortSignal): Promise<JobResult> {
    return this.#calls.run((own) => runJob(job, this.#context(own)), signal)
  }

  runTask<D, R>(task: Task<D, R>, data: D, signal?: AbortSignal): Promise<R> {
    return this.#calls.run((own) => task.run(data, this.#context(own)), signal)
  }

  close(): Promise<void> {
    return this.#calls.close()
  }

  #context(signal: AbortSignal): JobContext {
    return { fs: this.#fs, runtime: this.#runtime, signal }
  }
}
