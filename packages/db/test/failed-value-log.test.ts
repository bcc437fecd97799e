/** A value log that has failed a moment before the database knows. */
import { ReadOnlyError, WkError } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { expect, it } from 'vitest'
import { closeFiles } from '../src/close-files.js'
import { openParts } from '../src/open.js'
import { resolveOptions } from '../src/options.js'
import { SMALL } from './harness.js'

it('law 9: a put that meets the failed value log before the word of it ends writing with that failure, and the next one is refused', async () => {
  const parts = await openParts('/db', resolveOptions({ ...SMALL, fs: new MemoryFileSystem() }))
  const { tree, queue, health } = parts
  const failure = new WkError('WK_IO', 'the device is full')
  const put = (): Promise<void> =>
    queue.write(false, () => {
      tree.prepareBatch(1, 100)
      throw new ReadOnlyError('the value log is read-only after a failure', { cause: failure })
    })
  const refusal = expect.objectContaining({ code: 'WK_READ_ONLY', cause: failure })
  expect(put).toThrow(refusal)
  expect(health.failure).toBe(failure)
  expect(put).toThrow(refusal)
  await closeFiles(parts, false)
  await parts.lock.release()
})
