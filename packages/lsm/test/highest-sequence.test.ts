/** Files that somebody prepared may claim numbers behind which no write has one: opening refuses, rather than the next write. */
import { MAX_SEQUENCE } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import { LsmTree } from '../src/index.js'
import { DIR, smallOptions } from './engine-support.js'

test.each([MAX_SEQUENCE, MAX_SEQUENCE + 1, 2 ** 53 - 1])('a record of version %d is damage', async (minSequence) => {
  const recovery = await LsmTree.recover(DIR, smallOptions(new MemoryFileSystem()))
  await expect(recovery.finish({ minSequence })).rejects.toMatchObject({ code: 'WK_CORRUPTION' })
})

test('far below, writing goes on', async () => {
  const recovery = await LsmTree.recover(DIR, smallOptions(new MemoryFileSystem()))
  const tree = await recovery.finish({ minSequence: 2 ** 47 })
  expect(tree.nextSequence()).toBe(2 ** 47 + 1)
  await tree.close({ clean: false })
})
