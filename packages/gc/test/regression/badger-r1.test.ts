/**
 * Badger R1: a key was put, deleted, and the file collected; the copy made by the collection carried the old version to the top of the
 * tree, outlived the tombstone, and the key was back.
 */
import { expect, it } from 'vitest'
import { textOf } from '../support/map-index.js'
import { openMemoryLog, valueOf } from '../support/memory-log.js'

it('R1: a key deleted before the pass is not copied and does not come back', async () => {
  const { host, gc, fs } = await openMemoryLog()
  await host.put('k', 'x'.repeat(4096))
  await host.put('other', 'kept')
  await host.vlog.seal()
  host.delete('k')
  for (const key of ['a', 'b', 'c']) await host.put(key, 'later commit')
  await host.vlog.sync()
  await gc.run({ discardRatio: 0.5 })
  expect(await valueOf(host, 'k')).toBeUndefined()
  for (const { fid } of host.vlog.files()) {
    for await (const { entry } of host.vlog.iterate(fid)) expect(textOf(entry.key)).not.toBe('k')
  }
  await host.vlog.close()

  const reopened = await openMemoryLog({}, fs, host.index)
  await reopened.host.vlog.seal()
  await reopened.gc.run({ discardRatio: 0.5 }).catch(() => undefined)
  expect(await valueOf(reopened.host, 'k')).toBeUndefined()
  expect(await valueOf(reopened.host, 'other')).toBe('kept')
  await reopened.host.vlog.close()
})

it('R1: a key deleted between lookup and swap stays deleted', async () => {
  const { host, gc } = await openMemoryLog()
  await host.put('k', 'x'.repeat(4096))
  await host.put('dead', 'x'.repeat(8192))
  await host.vlog.seal()
  host.delete('dead')
  const lookup = host.index.lookup.bind(host.index)
  host.index.lookup = (keys) => {
    const pointers = lookup(keys)
    host.delete('k')
    return pointers
  }
  await gc.run({ discardRatio: 0.5 })
  expect(host.index.map.has('k')).toBe(false)
  expect(host.vlog.files().reduce((sum, file) => sum + (file.discardBytes ?? 0), 0)).toBeGreaterThan(4096)
  await host.vlog.close()
})
