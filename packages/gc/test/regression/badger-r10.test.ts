/**
 * Badger R10: after a power loss the index was there, the bytes that its pointers name were not: the key was present, its value
 * empty, and no error.
 */
import { CorruptionError } from '@wk/codec'
import type { MemoryFileSystem } from '@wk/fs'
import type { LogPosition } from '@wk/vlog'
import { expect, it } from 'vitest'
import { GarbageCollector } from '../../src/index.js'
import { scheduleIndex, scheduleValueLog } from '../../src/testing.js'
import { MapIndex } from '../support/map-index.js'
import { namesOf, openMemoryLog, valueOf, type MemoryLog } from '../support/memory-log.js'

const HEADER = 20

async function expectAll(host: MemoryLog['host'], when: string): Promise<void> {
  for (const key of host.index.map.keys()) expect(await valueOf(host, key), `${key}, ${when}`).toMatch(new RegExp(`^${key} `))
}

/** An index of its own for each image: as if every change of a pointer were durable the moment it is made. */
function copyOf({ map }: MapIndex): MapIndex {
  const copy = new MapIndex()
  for (const [key, pointer] of map) copy.map.set(key, pointer)
  return copy
}

it.each(['P0', 'P2', 'P3'] as const)('R10: at no moment of a pass does a pointer name bytes that a power loss takes (%s)', async (policy) => {
  const { host, fs } = await openMemoryLog({ fileSize: 4096 })
  for (let n = 0; n < 40; n++) await host.put(`k${n}`, `k${n} `.padEnd(400, 'x'))
  await host.vlog.seal()
  for (let n = 0; n < 40; n++) if (n % 2 !== 0) host.delete(`k${n}`)
  const images: { point: string; image: MemoryFileSystem; index: MapIndex; durable: LogPosition }[] = []
  const hook = async (point: string): Promise<void> => {
    const image = fs.crashClone(policy, images.length)
    images.push({ point: `moment ${images.length}, ${point}`, image, index: copyOf(host.index), durable: host.vlog.syncedPosition() })
  }
  const gc = new GarbageCollector({ vlog: scheduleValueLog(host.vlog, hook), index: scheduleIndex(host.index, hook) })
  expect((await gc.run({ discardRatio: 0.3 })).filesCollected).toBeGreaterThan(3)
  await hook('the end')
  await host.vlog.close()
  expect(images.length).toBeGreaterThan(50)
  expect(images.filter(({ point }) => point.endsWith('after compareAndSwap')).length).toBeGreaterThan(5)

  for (const { point, image, index, durable } of images) {
    // Sectors that outlived lost ones before them are damage to a log that was promised nothing (docs/format.md, torn tail).
    const options = policy === 'P3' ? { fileSize: 4096, durable } : { fileSize: 4096 }
    const reopened = await openMemoryLog(options, image, index)
    expect(index.map.size).toBe(20)
    await expectAll(reopened.host, point)
    await reopened.host.vlog.close()
  }
})

async function zeroRecords(fs: MemoryFileSystem, name: string): Promise<void> {
  const file = await fs.open(`/values/${name}`, 'update')
  const length = (await file.size()) - HEADER
  await file.write(new Uint8Array(length), 0, length, HEADER)
  await file.sync()
  await file.close()
}

it('R10: a file whose records are zeros: reads and the pass report damage, and the file stays', async () => {
  const { host, fs } = await openMemoryLog()
  for (let n = 0; n < 10; n++) await host.put(`k${n}`, `k${n} `.padEnd(400, 'x'))
  await host.vlog.seal()
  await host.put('later', 'later ')
  await host.vlog.sync()
  const image = fs.crashClone('P1')
  await host.vlog.close()
  await zeroRecords(image, '000001.vlog')

  const reopened = await openMemoryLog({}, image, host.index)
  for (let n = 0; n < 10; n++) await expect(valueOf(reopened.host, `k${n}`)).rejects.toThrow(CorruptionError)
  expect(await valueOf(reopened.host, 'later')).toBe('later ')
  const pass = reopened.gc.run({ discardRatio: 0.5, liveBytes: () => 0 })
  await expect(pass).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000001.vlog' })
  expect(await namesOf(image)).toContain('000001.vlog')
  await reopened.host.vlog.close()
})

it('R10: the newest file lost its records: no pointer into it ever reads as empty or as what is written later', async () => {
  const { host, fs } = await openMemoryLog()
  await host.put('durable', 'durable '.padEnd(400, 'x'))
  await host.vlog.seal()
  for (let n = 0; n < 10; n++) await host.put(`k${n}`, `k${n} `.padEnd(400, 'x'))
  const image = fs.crashClone('P1')
  await host.vlog.close()
  await zeroRecords(image, '000002.vlog')

  const reopened = await openMemoryLog({}, image, host.index)
  const expectErrors = async (): Promise<void> => {
    for (let n = 0; n < 10; n++) await expect(valueOf(reopened.host, `k${n}`)).rejects.toThrow(CorruptionError)
    expect(await valueOf(reopened.host, 'durable')).toMatch(/^durable /)
  }
  await expectErrors()
  for (let n = 0; n < 10; n++) await reopened.host.put(`new ${n}`, `new ${n} `.padEnd(400, 'x'))
  await expectErrors()
  await reopened.gc.run({ discardRatio: 0.01, sealActive: true, liveBytes: () => 0 })
  await expectErrors()
  for (let n = 0; n < 10; n++) expect(await valueOf(reopened.host, `new ${n}`)).toMatch(new RegExp(`^new ${n} `))
  await reopened.host.vlog.close()
})
