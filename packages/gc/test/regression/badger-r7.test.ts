/**
 * Badger R7: a pointer to 0xFFFFFFFF bytes at offset 100 passed the range check, a sum of 32 bits, and the process died. The same
 * length in a record's header was believed before the checksum was looked at.
 */
import { CorruptionError } from '@wk/codec'
import { expect, it } from 'vitest'
import { namesOf, openMemoryLog, valueOf, type MemoryLog } from '../support/memory-log.js'

const WRAPPING = { offset: 100, len: 0xffff_ffff }
const LITTLE = 64 << 20

/** Twenty values of 400 bytes in file 1, sealed. */
async function filled(): Promise<MemoryLog> {
  const log = await openMemoryLog()
  for (let n = 0; n < 20; n++) await log.host.put(`k${n}`, `k${n} `.padEnd(400, 'x'))
  await log.host.vlog.seal()
  return log
}

/** Nothing of the length that was lied about may be allocated on the way. */
async function withoutAllocating(run: () => Promise<void>): Promise<void> {
  const before = process.memoryUsage().arrayBuffers
  await run()
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(LITTLE)
}

it.each([
  WRAPPING,
  { offset: 0xffff_fff0, len: 400 },
  { offset: 100, len: 0x7fff_ffff },
  { offset: 0xffff_ffff, len: 0xffff_ffff },
])('R7: no way of reading follows a pointer outside its file ($offset, $len)', async (place) => {
  const { host } = await filled()
  const pointer = { fid: 1, ...place }
  await withoutAllocating(async () => {
    expect(() => host.vlog.readSync(pointer)).toThrow(CorruptionError)
    await expect(host.vlog.read(pointer)).rejects.toThrow(CorruptionError)
    await expect(host.vlog.readMany([host.index.map.get('k0')!, pointer])).rejects.toThrow(CorruptionError)
  })
  await host.vlog.close()
})

it('R7: an index that holds such a pointer: the pass leaves the key alone and every other value alive', async () => {
  const { host, gc } = await filled()
  for (let n = 10; n < 20; n++) host.delete(`k${n}`)
  const wrapping = { fid: 1, ...WRAPPING }
  host.index.map.set('k3', wrapping)
  await withoutAllocating(async () => {
    expect((await gc.run({ discardRatio: 0.3 })).filesCollected).toBe(1)
  })
  expect(host.index.map.get('k3')).toEqual(wrapping)
  await expect(valueOf(host, 'k3')).rejects.toThrow(CorruptionError)
  for (const key of host.index.map.keys()) if (key !== 'k3') expect(await valueOf(host, key)).toMatch(new RegExp(`^${key} `))
  await host.vlog.close()
})

it('R7: such a pointer reported as garbage spoils figures at most, never values', async () => {
  const { host, gc } = await filled()
  host.vlog.discard({ fid: 1, ...WRAPPING })
  const [file] = host.vlog.files()
  expect(file!.discardBytes).toBeLessThanOrEqual(file!.size)
  expect((await gc.recount({ repair: true })).get(1)).toBe([...host.index.map.values()].reduce((sum, { len }) => sum + len, 0))
  expect(host.vlog.files()[0]).toMatchObject({ discardBytes: 0 })

  host.vlog.discard({ fid: 1, ...WRAPPING })
  await gc.run({ discardRatio: 0.9, liveBytes: () => 0 })
  expect(host.index.map.size).toBe(20)
  for (const key of host.index.map.keys()) expect(await valueOf(host, key)).toMatch(new RegExp(`^${key} `))
  await host.vlog.close()
})

it('R7: a record that claims 4 GiB for its value stops the pass before anything is allocated for it', async () => {
  const { host, gc, fs } = await filled()
  for (let n = 10; n < 20; n++) host.delete(`k${n}`)
  const { offset } = host.index.map.get('k4')!
  const file = fs.openSync('/values/000001.vlog', 'update')
  // The value's length follows meta, userMeta and the key's length; as a varint 0xFFFFFFFF is these five bytes.
  file.writeSync(new Uint8Array([0xff, 0xff, 0xff, 0xff, 0x0f]), 0, 5, offset + 3)
  file.closeSync()
  await withoutAllocating(async () => {
    await expect(gc.run({ discardRatio: 0.3 })).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog', offset })
    await expect(valueOf(host, 'k4')).rejects.toThrow(CorruptionError)
  })
  expect(await namesOf(fs)).toContain('000001.vlog')
  for (const key of host.index.map.keys()) if (key !== 'k4') expect(await valueOf(host, key)).toMatch(new RegExp(`^${key} `))
  await host.vlog.close()
})
