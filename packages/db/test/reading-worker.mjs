/**
 * The real worker, which notes each read that it is asked to help with in the file WK_READS. WK_READS_DEATH=N: it ends in the middle of the
 * N-th one of all threads.
 */
import { appendFileSync, statSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import '@wk/db/worker'

const death = Number(process.env.WK_READS_DEATH ?? 0)
// After the worker's own: what it does before its first pause is done.
parentPort.on('message', ({ type, kind }) => {
  if (type !== 'run' || kind !== 'read') return
  appendFileSync(process.env.WK_READS, 'x')
  if (statSync(process.env.WK_READS).size === death) process.exit(3)
})
