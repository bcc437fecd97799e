/** Badger R5: a value-log file was removed while the database was closed; every read then gave an empty value, and no error. */
import { CorruptionError, NoRewriteError, WkError } from '@wk/codec'
import { expect, it } from 'vitest'
import { openMemoryLog, valueOf } from '../support/memory-log.js'

it('R5: values of a missing file are reported as damage, before and after a pass', async () => {
  const first = await openMemoryLog({ fileSize: 4096 })
  for (let n = 0; n < 40; n++) await first.host.put(`k${n}`, `value ${n} `.repeat(40))
  for (let n = 0; n < 40; n += 2) first.host.delete(`k${n}`)
  await first.host.vlog.close()
  const missing = [...first.host.index.map].find(([, { fid }]) => fid === 2)
  await first.fs.remove('/values/000002.vlog')

  const opened = await openMemoryLog({ fileSize: 4096 }, first.fs, first.host.index).catch((error: unknown) => error)
  if (opened instanceof WkError) {
    expect(opened).toBeInstanceOf(CorruptionError)
    return
  }
  const { host, gc } = opened as Awaited<ReturnType<typeof openMemoryLog>>
  const check = async (): Promise<void> => {
    await expect(valueOf(host, missing![0])).rejects.toThrow(CorruptionError)
    for (const [key, { fid }] of host.index.map) if (fid !== 2) expect(await valueOf(host, key)).toBeTruthy()
  }
  await check()
  await gc.run({ discardRatio: 0.1 }).catch((error: unknown) => {
    if (!(error instanceof NoRewriteError)) throw error
  })
  await check()
  await host.vlog.close()
})
