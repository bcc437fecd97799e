/** What a worker answers, over a port of this thread: the worker's own run is counted by no coverage. */
import { MessageChannel } from 'node:worker_threads'
import type { MessagePort } from 'node:worker_threads'
import { CorruptionError, throwIfAborted } from '@wk/codec'
import { NodeFileSystem, defaultRuntime } from '@wk/fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Task } from '../src/compaction/executor.js'
import { WORKER_PROTOCOL, errorFrom } from '../src/compaction/worker-protocol.js'
import type { WorkerReply, WorkerRequest } from '../src/compaction/worker-protocol.js'
import { serve } from '../src/compaction/worker-server.js'

const double: Task<number, number> = { kind: 'double', run: async (data) => 2 * data }
const fail: Task<null, never> = {
  kind: 'fail',
  run: async () => {
    throw new CorruptionError('damaged', { file: 'f', offset: 3 })
  },
}
const wait: Task<null, never> = {
  kind: 'wait',
  run: async (_data, { signal }) => {
    for (;;) {
      throwIfAborted(signal)
      await defaultRuntime.yield()
    }
  },
}

let port: MessagePort
let received: WorkerReply[]

beforeEach(() => {
  const channel = new MessageChannel()
  port = channel.port1
  received = []
  port.on('message', (reply: WorkerReply) => received.push(reply))
  serve(channel.port2, [double, fail, wait])
})
afterEach(() => port.close())

const fs = new NodeFileSystem().description
const post = (request: WorkerRequest): void => port.postMessage(request)
const run = (id: number, kind: string, data: unknown): void => post({ type: 'run', id, kind, data, fs })

/** The replies once there are `count` of them, after the first, which says that the worker is loaded. */
async function replies(count: number): Promise<WorkerReply[]> {
  await expect.poll(() => received.length, { interval: 1 }).toBe(1 + count)
  expect(received[0]).toEqual({ type: 'ready', protocol: WORKER_PROTOCOL })
  return received.slice(1)
}

/** The error that a reply describes. */
function errorOf(reply: WorkerReply | undefined): Error {
  if (reply?.type !== 'failed') throw new Error(`not a failure: ${JSON.stringify(reply)}`)
  return errorFrom(reply.error)
}

test('it runs what it knows, several at a time, and answers each by its number', async () => {
  run(1, 'wait', null)
  run(2, 'double', 21)
  expect(await replies(1)).toEqual([{ type: 'done', id: 2, result: 42 }])
  post({ type: 'abort', id: 1 })
  expect(errorOf((await replies(2))[1])).toMatchObject({ code: 'WK_ABORTED', name: 'AbortError' })
})

test('what fails is told with all its facts', async () => {
  run(7, 'fail', null)
  const [reply] = await replies(1)
  expect(reply).toMatchObject({ type: 'failed', id: 7 })
  expect(errorOf(reply)).toMatchObject({ code: 'WK_CORRUPTION', file: 'f', offset: 3 })
})

test('what it does not know is not supported, and what has ended cannot be aborted', async () => {
  run(1, 'treble', 21)
  expect(errorOf((await replies(1))[0])).toMatchObject({ code: 'WK_NOT_SUPPORTED', message: 'this worker runs no treble' })
  post({ type: 'abort', id: 1 })
  run(2, 'double', 4)
  expect((await replies(2))[1]).toEqual({ type: 'done', id: 2, result: 8 })
})
