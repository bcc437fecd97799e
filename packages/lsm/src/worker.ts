/**
 * The file that a worker thread of a plain tree runs: `@wk/lsm/worker`. Imported anywhere but in a worker that
 * `WorkerExecutor` started, it does nothing.
 *
 * Bundled applications make it an entry point of its own and name it by the option `workerUrl`.
 */
import { serveWorker } from './compaction/worker-server.js'

serveWorker()
