/**
 * Badger R4: an empty value-log file, which is what a crash between the two steps of a deletion (truncate, unlink) left there,
 * kept the store from opening.
 */
import type { MemoryFileSystem } from '@wk/fs'
import { expect, it } from 'vitest'
import { namesOf, openMemoryLog, valueOf, type MemoryLog } from '../support/memory-log.js'

const HEADER = 20

async function setLength(fs: MemoryFileSystem, name: string, length: number, access: 'create' | 'update'): Promise<void> {
  const file = await fs.open(`/values/${name}`, access)
  await file.truncate(length)
  await file.sync()
  await file.close()
  await fs.syncDir('/values')
}

async function expectAll(host: MemoryLog['host'], count: number): Promise<void> {
  expect(host.index.map.size).toBe(count)
  for (const key of host.index.map.keys()) expect(await valueOf(host, key)).toMatch(new RegExp(`^${key} `))
}

it.each([0, HEADER])('R4: a stray file of %i bytes does not matter to open, to a pass, and to what is written later', async (length) => {
  const first = await openMemoryLog({ fileSize: 4096 })
  for (let n = 0; n < 40; n++) await first.host.put(`k${n}`, `k${n} `.padEnd(400, 'x'))
  for (let n = 0; n < 40; n++) if (n % 4 !== 0) first.host.delete(`k${n}`)
  await first.host.vlog.close()
  const stray = '000007.vlog'
  expect((await namesOf(first.fs)).at(-1)! < stray).toBe(true)
  await setLength(first.fs, stray, length, 'create')

  const { host, gc, fs } = await openMemoryLog({ fileSize: 4096 }, first.fs, first.host.index)
  await expectAll(host, 10)
  expect((await gc.run({ discardRatio: 0.5, sealActive: true })).filesCollected).toBeGreaterThan(3)
  await expectAll(host, 10)
  await host.put('more', 'more '.padEnd(400, 'x'))
  await expectAll(host, 11)
  await host.vlog.close()

  const reopened = await openMemoryLog({ fileSize: 4096 }, fs, host.index)
  expect(await namesOf(fs)).not.toContain(stray)
  await expectAll(reopened.host, 11)
  await reopened.host.vlog.close()
})

it.each([0, HEADER])('R4: a collected file that a crash left with %i bytes is cleaned up, and the pass is not undone', async (length) => {
  const { host, gc, fs } = await openMemoryLog()
  for (let n = 0; n < 20; n++) await host.put(`k${n}`, `k${n} `.padEnd(400, 'x'))
  await host.vlog.seal()
  for (let n = 0; n < 15; n++) host.delete(`k${n}`)
  // A reader holds the file, so that the image has it.
  host.vlog.pin(1)
  await gc.run({ discardRatio: 0.5 })
  const image = fs.crashClone('P1')
  await setLength(image, '000001.vlog', length, 'update')
  host.vlog.unpin(1)
  await host.vlog.close()

  const reopened = await openMemoryLog({}, image, host.index)
  expect(await namesOf(image)).not.toContain('000001.vlog')
  await expectAll(reopened.host, 5)
  await reopened.gc.run({ discardRatio: 0.5, sealActive: true, liveBytes: () => 0 })
  await expectAll(reopened.host, 5)
  await reopened.host.vlog.close()
})
