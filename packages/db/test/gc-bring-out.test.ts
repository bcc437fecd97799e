/** Bringing garbage out: with a database that has failed, and what it asks of writers. */
import { KIND_VALUE, WkError } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { expect, it } from 'vitest'
import { closeFiles } from '../src/close-files.js'
import { openParts } from '../src/open.js'
import { resolveOptions } from '../src/options.js'
import { SMALL } from './harness.js'

it('bringing garbage out of a database that failed meanwhile rejects, and nothing else does', async () => {
  const unheard: unknown[] = []
  const listen = (reason: unknown): void => void unheard.push(reason)
  process.on('unhandledRejection', listen)
  try {
    const parts = await openParts('/db', resolveOptions({ ...SMALL, fs: new MemoryFileSystem() }))
    const { tree, health, gc, lock } = parts
    const failure = new WkError('WK_IO', 'the device is gone')
    tree.fail(failure, tree.nextSequence())
    health.fail(failure)
    const bringOut = gc!.bringOut({ seal: false, signal: new AbortController().signal, onWritersNeeded: () => undefined, onWritersDone: () => undefined })
    await expect(bringOut).rejects.toMatchObject({ code: 'WK_READ_ONLY' })
    // Rejections are counted as unheard when the event loop turns.
    await new Promise((resolve) => setImmediate(resolve))
    expect(unheard).toEqual([])
    await closeFiles(parts, false)
    await lock.release()
  } finally {
    process.off('unhandledRejection', listen)
  }
})

it('bringing garbage out lets writers go on until what was staged before it is written, and no longer', async () => {
  const parts = await openParts('/db', resolveOptions({ ...SMALL, fs: new MemoryFileSystem() }))
  const { tree, queue, gc } = parts
  const events: string[] = []
  const note = (event: string) => (): void => void events.push(event)
  const put = queue.write(false, () => tree.stage(KIND_VALUE, Buffer.from('k'), Buffer.from('v'))).then(note('written'))
  const bringOut = gc!.bringOut({ seal: false, signal: new AbortController().signal, onWritersNeeded: note('needed'), onWritersDone: note('done') })
  await Promise.all([put, bringOut.then(note('out'))])
  expect(events).toEqual(['needed', 'written', 'done', 'out'])
  await closeFiles(parts, false)
  await parts.lock.release()
})
