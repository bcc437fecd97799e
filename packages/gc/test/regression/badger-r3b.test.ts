/**
 * Badger R3b: one byte of the first of fifty records was flipped in an older file; the collection took it for the end of the file,
 * deleted the file, and all fifty values read as empty without an error.
 */
import { CorruptionError } from '@wk/codec'
import { expect, it } from 'vitest'
import { flipByte, namesOf, openMemoryLog, valueOf } from '../support/memory-log.js'

it.each([0, 24, 49])('R3b: damage in record %i stops the pass and keeps the file', async (damaged) => {
  const { host, gc, fs } = await openMemoryLog()
  for (let n = 0; n < 50; n++) await host.put(`k${n}`, `value ${n} `.repeat(30))
  await host.vlog.seal()
  for (let n = 0; n < 50; n += 3) if (n !== damaged) host.delete(`k${n}`)
  await host.put('later', 'file')
  const pointer = host.index.map.get(`k${damaged}`)!
  flipByte(fs, '000001.vlog', pointer.offset + 40)

  const error = await gc.run({ discardRatio: 0.1 }).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(CorruptionError)
  expect(error).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog', offset: pointer.offset })
  expect(await namesOf(fs)).toContain('000001.vlog')
  for (const key of host.index.map.keys()) {
    if (key === `k${damaged}`) await expect(valueOf(host, key)).rejects.toThrow(CorruptionError)
    else expect(await valueOf(host, key)).toBeTruthy()
  }
  await expect(gc.run({ discardRatio: 0.1 })).rejects.toThrow(CorruptionError)
  await host.vlog.close()
})
