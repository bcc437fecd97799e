/** Badger R9: a file collected while an iterator was open lived on in memory only as "to be deleted"; after a crash it stayed for ever. */
import { expect, it } from 'vitest'
import { namesOf, openMemoryLog, valueOf } from '../support/memory-log.js'

it.each(['P0', 'P1', 'P2', 'P3'] as const)('R9: a deletion that waits for a reader survives a crash (%s)', async (policy) => {
  const { host, gc, fs } = await openMemoryLog()
  for (let n = 0; n < 20; n++) await host.put(`k${n}`, `value ${n} `.repeat(20))
  await host.vlog.seal()
  for (let n = 0; n < 15; n++) host.delete(`k${n}`)
  await host.put('later', 'file')

  const reader = host.vlog.iterate(1)[Symbol.asyncIterator]()
  await reader.next()
  await gc.run({ discardRatio: 0.5 })
  expect(await namesOf(fs)).toContain('000001.vlog')
  let records = 1
  for (let next = await reader.next(); next.done !== true; next = await reader.next()) records++
  expect(records).toBe(20)

  const pinned = host.vlog.iterate(2)[Symbol.asyncIterator]()
  await pinned.next()
  await host.vlog.seal()
  host.delete('later')
  for (let n = 15; n < 20; n++) await host.put(`k${n}`, 'again')
  await host.vlog.sync()
  await gc.run({ discardRatio: 0.5 })
  expect(await namesOf(fs)).toContain('000002.vlog')
  const image = fs.crashClone(policy, 7)
  const reopened = await openMemoryLog({}, image, host.index)
  expect(await namesOf(image)).not.toContain('000002.vlog')
  expect(await namesOf(image)).not.toContain('000001.vlog')
  for (let n = 15; n < 20; n++) expect(await valueOf(reopened.host, `k${n}`)).toBe('again')
  await reopened.host.vlog.close()
  await pinned.return?.()
  await host.vlog.close()
})
