/**
 * The file that a worker thread runs: `@wk/db/worker`. Importing it anywhere else does nothing.
 *
 * A bundled application makes it an entry point of its own and names the built file by the option `workerUrl`.
 */
import '@wk/lsm/worker'
