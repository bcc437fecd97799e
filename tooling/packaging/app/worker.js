/** The worker of a bundled application: an entry point of its own. */
import '@wk/db/worker'
