/**
 * The file that a worker thread of a database runs: flushes, compactions, the copying of garbage collection, and, while it
 * has nothing else to do, half of the reads of long scans.
 * `@wk/db/worker`. Importing it anywhere else does nothing.
 *
 * A bundled application makes it an entry point of its own and names the built file by the option `workerUrl`.
 */
import { serveWorker } from '@wk/lsm'
import { copyTask, readTask } from '@wk/vlog'

serveWorker([copyTask, readTask])
