/** What a worker thread leaves open that is ended from outside. */
import { pbkdf2 } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterAll, expect, test } from 'vitest'
import { bundle, removeBundle } from './support/bundle.js'
import { temporaryDirectory } from './support/temporary.js'

const script = fileURLToPath(new URL('support/closing-thread.mjs', import.meta.url))

afterAll(removeBundle)

function isOpen(path: string): boolean {
  return readdirSync('/proc/self/fd').some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false
    }
  })
}

/** Gives every thread of the pool something to do. Resolves when all have done it. */
async function occupyPool(): Promise<void> {
  const threads = Number(process.env.UV_THREADPOOL_SIZE ?? 4)
  await Promise.all(Array.from({ length: threads }, () => new Promise((resolve) => pbkdf2('a', 'b', 300_000, 64, 'sha512', resolve))))
}

test.runIf(process.platform === 'linux')('a thread that is ended while it closes a file leaves no descriptor, however busy the pool is', async () => {
  const path = join(temporaryDirectory(), 'f')
  writeFileSync(path, 'x')
  const worker = new Worker(script, { workerData: [await bundle(), path] })
  await once(worker, 'message')
  expect(isOpen(path)).toBe(true)
  const busy = occupyPool()
  worker.postMessage('close')
  await once(worker, 'message')
  await worker.terminate()
  await busy
  expect(isOpen(path)).toBe(false)
})
