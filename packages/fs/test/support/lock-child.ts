import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { onTestFinished } from 'vitest'
import { bundle } from './bundle.js'

const script = fileURLToPath(new URL('lock-child.mjs', import.meta.url))

/** Somebody else who asks for the lock: `first` is its answer. */
export interface Rival {
  readonly pid: number
  readonly first: string
  /** Lets go of the lock in good order. */
  release(): Promise<void>
  /** Ends it without any chance to clean up. */
  kill(): Promise<void>
}

export async function childProcess(
  path: string,
  variant: string,
  mode: 'shared' | 'exclusive' = 'exclusive',
  ids: { uid?: number; gid?: number } = {},
): Promise<Rival> {
  const child = spawn(process.execPath, [script, await bundle(), path, variant, mode], {
    stdio: ['pipe', 'pipe', 'pipe'],
    ...ids,
  })
  // Not `exit`: what it said may come after that.
  const gone = once(child, 'close')
  onTestFinished(() => void child.kill('SIGKILL'))
  let errors = ''
  child.stderr.on('data', (text) => (errors += String(text)))
  const first = await Promise.race([
    once(child.stdout, 'data').then(([text]) => String(text).trim()),
    gone.then(() => `died: ${errors}`),
  ])
  return {
    pid: child.pid ?? -1,
    first,
    release: async () => {
      child.stdin.end('go\n')
      await gone
    },
    kill: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}

export async function workerThread(path: string, variant: string): Promise<Rival> {
  const worker = new Worker(script, { workerData: [await bundle(), path, variant, 'exclusive'] })
  onTestFinished(() => void worker.terminate())
  const [first] = (await once(worker, 'message')) as [string]
  return {
    pid: process.pid,
    first,
    release: async () => {
      worker.postMessage('go')
      await once(worker, 'message')
      await worker.terminate()
    },
    kill: async () => void (await worker.terminate()),
  }
}
