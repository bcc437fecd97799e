/**
 * One worker thread: started, given jobs, told to abort, and seen when it dies.
 *
 * It keeps the process alive only while a job is in it. When it ends, by whatever cause, every job in it is rejected with
 * a `WorkerLostError`; what such a job had written is left to the caller, who knows that the thread is gone.
 */
import { Worker } from 'node:worker_threads'
import { IoError } from '@wk/codec'
import { defaultRuntime } from '@wk/fs'
import type { FileSystemDescription } from '@wk/fs'
import { WORKER_PROTOCOL, errorFrom } from './worker-protocol.js'
import type { WorkerReply, WorkerRequest, WorkerStart } from './worker-protocol.js'

/** The thread that ran a job is gone. Nothing of the job counts; it may run again under other file numbers. */
export class WorkerLostError extends IoError {
  constructor(message: string, cause?: unknown) {
    super(message, { file: '', operation: 'worker', cause })
  }
}

/**
 * Of the thread's heap, in MiB, what is for new objects. Jobs leave few objects, but arrays hang on them: with the usual 48 some
 * 40 MB of those wait for a collection, with 6 some 25.
 */
const YOUNG_MIB = 3

/** Milliseconds after which a thread that has not loaded, and that a job waits for, is given up: a file that is no worker's never says that it has. */
const MOST_LOADING_MS = 10_000
/** And so many for one that is to end. */
const LOADING_AT_END_MS = 2000

interface PendingJob {
  resolve: (result: unknown) => void
  reject: (error: Error) => void
}

/** Told once, when the thread has ended without being asked to. `loaded`: whether it had ever been able to work. */
export type WorkerEnd = (thread: WorkerThread, loaded: boolean, cause: unknown) => void

export class WorkerThread {
  readonly #worker: Worker
  readonly #pending = new Map<number, PendingJob>()
  readonly #onEnd: WorkerEnd
  /** Resolves when it has loaded, or ended. */
  readonly #loading: Promise<void>
  /** Since a job waits for it to load. */
  #watch: Promise<void> | undefined
  #nextId = 1
  #loaded = false
  #ended = false
  #cause: unknown

  /** Starts the thread. Throws what `new Worker` throws. */
  constructor(url: URL, onEnd: WorkerEnd) {
    this.#onEnd = onEnd
    const workerData: WorkerStart = { wkLsmWorker: WORKER_PROTOCOL }
    // No options of the process: loaders and conditions of a development set-up must not reach the built file.
    this.#worker = new Worker(url, { name: 'wk-lsm', workerData, execArgv: [], resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB } })
    this.#worker.unref()
    this.#worker.on('message', (reply: WorkerReply) => this.#receive(reply))
    this.#worker.on('messageerror', (error) => this.#terminate(error))
    this.#worker.on('error', (error) => {
      this.#cause ??= error
    })
    this.#worker.on('exit', () => this.#end())
    this.#loading = new Promise((resolve) => {
      this.#worker.once('message', () => resolve())
      this.#worker.once('exit', () => resolve())
    })
  }

  /** Jobs in it. */
  get load(): number {
    return this.#pending.size
  }

  /** Whether it has started, and has no job. */
  get isIdle(): boolean {
    return this.#loaded && !this.#ended && this.#pending.size === 0
  }

  /** Runs what `kind` names, with the file system that `fs` describes. Rejects as it does, and with `WorkerLostError` when the thread ends first. */
  run(kind: string, data: unknown, fs: FileSystemDescription, signal: AbortSignal): Promise<unknown> {
    if (this.#ended) return Promise.reject(new WorkerLostError('the worker has ended', this.#cause))
    if (!this.#loaded) void (this.#watch ??= this.#loadOrEnd())
    const id = this.#nextId++
    const abort = (): void => this.#post({ type: 'abort', id })
    return new Promise<unknown>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject })
      this.#worker.ref()
      this.#post({ type: 'run', id, kind, data, fs })
      signal.addEventListener('abort', abort, { once: true })
    }).finally(() => {
      signal.removeEventListener('abort', abort)
      this.#pending.delete(id)
      if (this.#pending.size === 0) this.#worker.unref()
    })
  }

  /** Ends the thread. Idempotent. */
  async stop(): Promise<void> {
    // Node reads a thread's modules through the thread pool. Of a thread that is ended meanwhile the descriptors of those that it was about to close stay open.
    if (!this.#loaded && !this.#ended) await this.#loadedWithin(LOADING_AT_END_MS)
    await this.#worker.terminate()
  }

  async #loadOrEnd(): Promise<void> {
    await this.#loadedWithin(MOST_LOADING_MS)
    if (!this.#loaded) this.#terminate(new Error('its file does not answer as that of a worker does'))
  }

  /** Resolves when it has loaded, has ended, or is late. */
  async #loadedWithin(ms: number): Promise<void> {
    const waiting = new AbortController()
    await Promise.race([this.#loading, defaultRuntime.sleep(ms, waiting.signal).catch(() => undefined)])
    waiting.abort()
  }

  #post(request: WorkerRequest): void {
    this.#worker.postMessage(request)
  }

  #receive(reply: WorkerReply): void {
    if (reply.type === 'ready') {
      if (reply.protocol === WORKER_PROTOCOL) this.#loaded = true
      else this.#terminate(new Error(`the worker speaks protocol ${reply.protocol} instead of ${WORKER_PROTOCOL}`))
      return
    }
    const pending = this.#pending.get(reply.id)
    if (reply.type === 'done') pending?.resolve(reply.result)
    else pending?.reject(errorFrom(reply.error))
  }

  #terminate(cause: unknown): void {
    this.#cause ??= cause
    void this.#worker.terminate()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#onEnd(this, this.#loaded, this.#cause)
    for (const { reject } of this.#pending.values()) reject(new WorkerLostError('the worker ended before its job', this.#cause))
  }
}
