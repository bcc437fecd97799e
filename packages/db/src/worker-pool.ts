/**
 * The background threads of a database: the file that they run, and a pool of them for several databases.
 */
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { checkOptions } from '@wk/codec'
import { WorkerPool as TreeWorkerPool } from '@wk/lsm'
import type { WorkerPoolOptions } from '@wk/lsm'

/**
 * Background threads that databases of one process share: those that are open at the same time, so that a hundred databases need no hundred
 * threads, or one after the other, so that the next one finds them started and their code compiled.
 *
 * Give it to each as its option `workers`, with any options beside, encryption included: a thread keeps nothing of a database. Threads are started when there is
 * something to do, and keep no process alive. It stays open when a database is closed; closing it while one is open is
 * allowed, what ran in its threads then runs again on the calling thread.
 */
export class WorkerPool extends TreeWorkerPool {
  /** Starts nothing. `workerUrl`: as {@link DbOptions.workerUrl}, which is not looked at beside a pool. @throws InvalidArgumentError */
  constructor(options: WorkerPoolOptions = {}) {
    const { workerUrl } = checkOptions(options)
    super(workerUrl === undefined ? { ...options, workerUrl: ownWorker() } : options)
  }
}

let worker: { readonly url: URL | undefined } | undefined

/** The worker's file of this package; `undefined` where it is not built: the tree's own then does what it knows. Looked for once. */
export function ownWorker(): URL | undefined {
  worker ??= { url: findWorker() }
  return worker.url
}

function findWorker(): URL | undefined {
  try {
    return pathToFileURL(createRequire(import.meta.url).resolve('@wk/db/worker'))
  } catch {
    return undefined
  }
}
