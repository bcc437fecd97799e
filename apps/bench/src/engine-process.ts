/**
 * Entry point of the child process that holds one engine: reads its job from the command line, runs it, tells the parent.
 *
 * Ends with status 0 also if the engine failed: the result says so. Ends by itself if the parent goes away.
 */
import { describeFailure, runEngine } from './engine-run.js'
import { AbsentEngineError, loadEngine } from './engines/registry.js'
import type { EngineJob, EngineMessage } from './protocol.js'

function tell(message: EngineMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    if (process.send === undefined) reject(new Error('engine-process is started by the benchmark, not by hand'))
    else process.send(message, undefined, undefined, (error) => (error === null ? resolve() : reject(error)))
  })
}

/** Progress and phases may be lost with the parent; then there is nobody to tell and nothing left to do. */
function tellSoon(message: EngineMessage): void {
  tell(message).catch(() => process.exit(1))
}

process.on('disconnect', () => process.exit(1))
const job = JSON.parse(process.argv[2] ?? '{}') as EngineJob
loadEngine(job.engine)
  .then((engine) =>
    runEngine(engine, job, {
      onProgress: (title, done, total) => tellSoon({ type: 'progress', title, done, total }),
      onPhase: (phase) => tellSoon({ type: 'phase', phase }),
    }),
  )
  .then(
    (result) => tell({ type: 'result', result }),
    (error: unknown) => {
      if (error instanceof AbsentEngineError) return tell({ type: 'absent', reason: error.message })
      throw error
    },
  )
  .then(() => process.exit(0))
  .catch((error: unknown) => {
    process.stderr.write(`${job.engine}: ${describeFailure(error)}\n`)
    process.exit(1)
  })
