/** Badger R6: 200 overwrites of one 64 KiB value filled 13 files of 1 MiB, and no ratio ever got one of them collected. */
import { NoRewriteError } from '@wk/codec'
import { expect, it } from 'vitest'
import { namesOf, openMemoryLog, valueOf } from '../support/memory-log.js'

it('R6: overwrites are garbage at once, without any compaction', async () => {
  const { host, gc, fs } = await openMemoryLog({ fileSize: 1 << 20 })
  for (let n = 0; n < 200; n++) await host.put('k', `${n} `.padEnd(64 << 10, 'x'))
  expect((await namesOf(fs)).length).toBeGreaterThan(11)
  const report = await gc.run({ discardRatio: 0.99 })
  expect(report.filesCollected).toBeGreaterThan(10)
  expect(report.bytesMoved).toBe(0)
  expect(report.bytesReclaimed).toBeGreaterThan(10 << 20)
  expect((await namesOf(fs)).length).toBeLessThanOrEqual(2)
  expect(await valueOf(host, 'k')).toMatch(/^199 /)
  await expect(gc.run({ discardRatio: 0.01 })).rejects.toThrow(NoRewriteError)

  await gc.run({ discardRatio: 0.01, sealActive: true })
  expect(await valueOf(host, 'k')).toMatch(/^199 /)
  await host.vlog.close()
})
