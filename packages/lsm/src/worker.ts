/**
 * The file that a worker thread runs: takes jobs, runs them, answers. `@wk/lsm/worker`.
 *
 * It has a file system of its own and opens files by path; nothing is shared but the arenas of sealed memtables. Several
 * jobs take turns in time slices, so that a flush does not wait for a long compaction. On Linux it runs at a lower priority
 * (measured on two busy cores: 99th percentile of the event loop's delay while loading 20 to 34 ms without, 6 to 12 ms with). Imported anywhere but in a
 * worker that `WorkerExecutor` started, it does nothing.
 *
 * Bundled applications make it an entry point of its own and name it by the option `workerUrl`.
 */
import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { defaultRuntime, fileSystemFrom } from '@wk/fs'
import type { FileSystemDescription } from '@wk/fs'
import { runJob } from './compaction/job-runner.js'
import { WORKER_PROTOCOL, describeError } from './compaction/worker-protocol.js'
import type { WorkerReply, WorkerRequest, WorkerStart } from './compaction/worker-protocol.js'

function serve(port: MessagePort, description: FileSystemDescription): void {
  const fs = fileSystemFrom(description)
  const running = new Map<number, AbortController>()
  const reply = (message: WorkerReply): void => port.postMessage(message)

  const run = async ({ id, job }: Extract<WorkerRequest, { type: 'run' }>): Promise<void> => {
    const controller = new AbortController()
    running.set(id, controller)
    try {
      const result = await runJob(job, { fs, runtime: defaultRuntime, signal: controller.signal })
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

const started = workerData as Partial<WorkerStart> | undefined | null
if (parentPort !== null && started?.wkLsmWorker !== undefined && started.fs !== undefined) {
  giveWay()
  serve(parentPort, started.fs)
}
