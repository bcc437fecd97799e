/**
 * The file that a worker thread of a database runs: flushes, compactions, and the copying of garbage collection.
 * `@wk/db/worker`. Importing it anywhere else does nothing.
 *
 * A bundled application makes it an entry point of its own and names the built file by the option `workerUrl`.
 */
import { serveWorker } from '@wk/lsm'
import { copyTask } from '@wk/vlog'

serveWorker([copyTask])
