/** Background work that meets a database which has failed: the failure is told once, and no rejection is left without a listener. */
import { WkError } from '@wk/codec'
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
    const bringOut = gc!.bringOut({ seal: false, signal: new AbortController().signal, onSealed: () => undefined })
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
