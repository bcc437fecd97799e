/**
 * The real worker, which dies. WK_DYING is a query, `deaths=N&marker=FILE&after=MS`: the first N threads end that long after
 * their first job came, in whatever state its files are then; each death is a byte in the marker file. `how=throw`: by an
 * uncaught error.
 */
import { appendFileSync, existsSync, statSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import '@wk/lsm/worker'

const query = new URLSearchParams(process.env.WK_DYING)
const marker = query.get('marker')
parentPort.once('message', () => {
  const deaths = existsSync(marker) ? statSync(marker).size : 0
  if (deaths >= Number(query.get('deaths'))) return
  setTimeout(() => {
    appendFileSync(marker, 'x')
    if (query.get('how') === 'throw') throw new Error('the worker broke')
    process.exit(3)
  }, Number(query.get('after') ?? 0))
})
