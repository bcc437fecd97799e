/** Bringing garbage out: with a database that has failed, and what it asks of writers. */
import { KIND_VALUE, MAX_SEQUENCE, WkError } from '@wk/codec'
import { FaultFileSystem, MemoryFileSystem } from '@wk/fs'
import { newLookupResult } from '@wk/codec'
import { expect, it } from 'vitest'
import { closeFiles } from '../src/close-files.js'
import { openParts } from '../src/open.js'
import { resolveOptions } from '../src/options.js'
import { Stager } from '../src/stager.js'
import { SMALL, large } from './harness.js'

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
    const bringOut = gc!.bringOut({ seal: false, signal: new AbortController().signal })
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

it('bringing garbage out does not wait for writers that are slowed, and lets none of them go', async () => {
  const parts = await openParts('/db', resolveOptions({ ...SMALL, fs: new MemoryFileSystem() }))
  const { tree, queue, gc } = parts
  const events: string[] = []
  const note = (event: string) => (): void => void events.push(event)
  const put = (key: string): Promise<void> => queue.write(false, () => tree.stage(KIND_VALUE, Buffer.from(key), Buffer.from('v')))
  const letGo: (() => void)[] = []
  queue.gc = { slowdown: () => new Promise((resolve) => letGo.push(resolve)) }
  const first = put('a').then(note('a'))
  await new Promise((resolve) => setImmediate(resolve))
  expect(letGo).toHaveLength(1)
  const second = put('b').then(note('b'))
  await gc!.bringOut({ seal: true, signal: new AbortController().signal })
  note('out')()
  expect(tree.stats()).toMatchObject({ memtableEntries: 0, tableEntries: 2 })
  letGo.shift()!()
  await first
  await new Promise((resolve) => setImmediate(resolve))
  // What was written early waits in its turn.
  expect(events).toEqual(['out', 'a'])
  expect(letGo).toHaveLength(1)
  letGo.shift()!()
  await second
  queue.gc = undefined
  await put('c')
  expect(tree.stats()).toMatchObject({ memtableEntries: 1, tableEntries: 2 })
  await closeFiles(parts, false)
  await parts.lock.release()
})

it('law 9: a failure of what is written early refuses it, and acknowledges what was written before and only waits', async () => {
  const fs = new FaultFileSystem(new MemoryFileSystem())
  const parts = await openParts('/db', resolveOptions({ ...SMALL, fs }))
  const { tree, vlog, queue, gc, health } = parts
  const stager = new Stager(tree, vlog, 64)
  const put = (key: string): Promise<void> => queue.write(false, () => stager.put(Buffer.from(key), large(100), 0, 0))
  let letGo = (): void => undefined
  queue.gc = { slowdown: () => new Promise((resolve) => (letGo = resolve)) }
  const first = put('a')
  await new Promise((resolve) => setImmediate(resolve))
  const second = put('b')
  const settled = Promise.allSettled([first, second])
  fs.add({ operation: 'write', path: /\.vlog$/, errno: 'EIO', times: Infinity })
  const bringOut = gc!.bringOut({ seal: false, signal: new AbortController().signal })
  await expect(bringOut).rejects.toBeInstanceOf(WkError)
  expect(health.state).toBe('read-only')
  letGo()
  expect(await settled).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'WK_IO' } }])
  for (const key of ['a', 'b']) expect(tree.get(Buffer.from(key), MAX_SEQUENCE, newLookupResult())).toBe(key === 'a')
  await closeFiles(parts, false)
  await parts.lock.release()
})
