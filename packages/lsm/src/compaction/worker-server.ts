/**
 * The worker's side: takes jobs and tasks, runs them, answers.
 *
 * Each job comes with a description of its file system and opens files by path; nothing is shared but the arenas of sealed memtables, and
 * nothing is kept between two jobs. Several take turns in time slices, so that a flush does not wait for a long compaction or for garbage
 * collection. On Linux it
 * runs at a lower priority (measured on two busy cores: 99th percentile of the event loop's delay while loading 20 to 34 ms
 * without, 6 to 12 ms with).
 */
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { NotSupportedError } from '@wk/codec'
import { defaultRuntime, fileSystemFrom } from '@wk/fs'
import type { Task } from './executor.js'
import type { Job } from './job.js'
import { runJob } from './job-runner.js'
import { referencesTask } from './references-task.js'
import { TREE_JOB, WORKER_PROTOCOL, describeError } from './worker-protocol.js'
import type { WorkerReply, WorkerRequest, WorkerStart } from './worker-protocol.js'

type AnyTask = Pick<Task<unknown, unknown>, 'kind' | 'run'>

const treeJobs: AnyTask = { kind: TREE_JOB, run: (job, context) => runJob(job as Job, context) }

/**
 * Makes this thread a worker that runs a tree's jobs and `tasks`. To be called by the worker's file, once; does nothing
 * anywhere but in a worker that a `WorkerExecutor` started.
 */
export function serveWorker(tasks: readonly Task<never, unknown>[] = []): void {
  const started = workerData as Partial<WorkerStart> | undefined | null
  if (parentPort === null || started?.wkLsmWorker === undefined) return
  giveWay()
  serve(parentPort, tasks)
}

/** Answers every request that comes through `port`. */
export function serve(port: MessagePort, more: readonly Task<never, unknown>[]): void {
  // What arrives under a task's kind is what its caller passed.
  const known = [treeJobs, referencesTask as AnyTask, ...(more as readonly unknown[] as readonly AnyTask[])]
  const tasks = new Map(known.map((task) => [task.kind, task]))
  const running = new Map<number, AbortController>()
  const reply = (message: WorkerReply): void => port.postMessage(message)

  const run = async ({ id, kind, data, fs }: Extract<WorkerRequest, { type: 'run' }>): Promise<void> => {
    const controller = new AbortController()
    running.set(id, controller)
    try {
      const task = tasks.get(kind)
      if (task === undefined) throw new NotSupportedError(`this worker runs no ${kind}`)
      const result = await task.run(data, { fs: fileSystemFrom(fs), runtime: defaultRuntime, signal: controller.signal })
      reply({ type: 'done', id, result })
    } catch (error) {
      reply({ type: 'failed', id, error: describeError(error) })
    } finally {
      running.delete(id)
    }
  }

  port.on('message', (request: WorkerRequest) => {
    if (request.type === 'abort') running.get(request.id)?.abort()
    else void run(request)
  })
  reply({ type: 'ready', protocol: WORKER_PROTOCOL })
}

/** Niceness of a worker: it gives way to the event loop, and to other processes, when processors are short. */
const NICENESS = 10

/** On Linux "this process" is the calling thread; elsewhere it would slow the whole process down. */
function giveWay(): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(0, NICENESS)
  } catch {
    // Not allowed here: the worker runs as everything else does.
  }
}
