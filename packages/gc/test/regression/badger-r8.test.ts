/**
 * Badger R8: in the image of a process that was killed one byte of the fourth of ten commits was flipped; the store opened without an
 * error, and seven commits were gone. Here the log that a pass or a host wrote, found like that.
 */
import { CorruptionError } from '@wk/codec'
import type { MemoryFileSystem } from '@wk/fs'
import { expect, it } from 'vitest'
import { MapIndex } from '../support/map-index.js'
import { flipByte, openMemoryLog, valueOf } from '../support/memory-log.js'

const contentOf = async (fs: MemoryFileSystem, name: string): Promise<string> => {
  const file = await fs.open(`/values/${name}`, 'read')
  const bytes = new Uint8Array(await file.size())
  await file.read(bytes, 0, bytes.length, 0)
  await file.close()
  return Buffer.from(bytes).toString('base64')
}

const nameOf = (fid: number): string => `${String(fid).padStart(6, '0')}.vlog`

/** Opens the image with the fourth value damaged, then again with the damage undone. */
async function expectRefusedAndKept(image: MemoryFileSystem, pointers: MapIndex['map'], damaged: string): Promise<void> {
  const { fid, offset } = pointers.get(damaged)!
  const index = (): MapIndex => {
    const copy = new MapIndex()
    for (const [key, pointer] of pointers) copy.map.set(key, pointer)
    return copy
  }
  flipByte(image, nameOf(fid), offset + 40)
  const before = await contentOf(image, nameOf(fid))
  const error = await openMemoryLog({}, image, index()).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(CorruptionError)
  expect(error).toMatchObject({ file: nameOf(fid), offset })
  expect(await contentOf(image, nameOf(fid))).toBe(before)

  flipByte(image, nameOf(fid), offset + 40)
  const { host, gc } = await openMemoryLog({}, image, index())
  for (const key of pointers.keys()) expect(await valueOf(host, key)).toMatch(new RegExp(`^${key} `))
  await gc.run({ discardRatio: 0.5, sealActive: true, liveBytes: () => 0 })
  for (const key of pointers.keys()) expect(await valueOf(host, key)).toMatch(new RegExp(`^${key} `))
  await host.vlog.close()
}

it.each(['P0', 'P1', 'P2'] as const)('R8: ten commits, the fourth damaged: the log refuses to open and loses none (%s)', async (policy) => {
  const { host, fs } = await openMemoryLog()
  for (let n = 0; n < 10; n++) {
    await host.put(`k${n}`, `k${n} `.padEnd(200, 'x'))
    await host.vlog.sync()
  }
  const image = fs.crashClone(policy, 5)
  await host.vlog.close()
  await expectRefusedAndKept(image, host.index.map, 'k3')
})

it.each(['P0', 'P1', 'P2'] as const)('R8: ten survivors of a pass, the fourth damaged: likewise (%s)', async (policy) => {
  const { host, gc, fs } = await openMemoryLog()
  for (let n = 0; n < 30; n++) await host.put(`k${n}`, `k${n} `.padEnd(200, 'x'))
  await host.vlog.seal()
  for (let n = 0; n < 30; n++) if (n % 3 !== 0) host.delete(`k${n}`)
  expect((await gc.run({ discardRatio: 0.5 })).filesCollected).toBe(1)
  const image = fs.crashClone(policy, 5)
  await host.vlog.close()
  expect([...host.index.map.values()].every(({ fid }) => fid > 1)).toBe(true)
  await expectRefusedAndKept(image, host.index.map, 'k9')
})
