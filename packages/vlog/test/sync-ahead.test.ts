import { TraceFileSystem } from '@wk/fs'
import { expect, test } from 'vitest'
import { newMemory, openLog } from './support/memory-log.js'

const MIB = 1 << 20

test('what is not durable stays bounded: a sync begins in the background, once for many groups', async () => {
  const fs = new TraceFileSystem(await newMemory())
  const log = await openLog(fs, { fileSize: 1 << 30 })
  const value = new Uint8Array(MIB)
  const syncs = (): number => fs.entries.filter(({ kind, path }) => kind === 'sync' && path.endsWith('.vlog')).length
  await log.append([{ key: 'first', value: 'x' }])
  const before = syncs()
  for (let i = 0; i < 31; i++) await log.append([{ key: `k${i}`, value }])
  expect(syncs()).toBe(before)
  expect(log.syncedPosition().offset).toBeLessThan(MIB)
  for (let i = 31; i < 40; i++) await log.append([{ key: `k${i}`, value }])
  await expect.poll(() => log.syncedPosition().offset).toBeGreaterThan(31 * MIB)
  expect(syncs()).toBe(before + 1)
  await log.close()
})
