import { errnoOf } from '@wk/codec'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FaultFileSystem, MemoryFileSystem, readFully, readFullySync, writeFully, writeFullySync } from '../src/index.js'
import type { File } from '../src/index.js'
import { property } from './support/property.js'

async function faulty(): Promise<{ fs: FaultFileSystem; file: File }> {
  const fs = new FaultFileSystem(new MemoryFileSystem())
  return { fs, file: await fs.open('/f', 'create') }
}

test('short reads and writes of any pattern have no visible effect', async () => {
  const pattern = fc.array(fc.record({ index: fc.nat(20), times: fc.nat(5), short: fc.integer({ min: 1, max: 60 }) }), { maxLength: 8 })
  await property(
    200,
    fc.asyncProperty(pattern, fc.nat(300), fc.nat(100), fc.boolean(), async (rules, length, position, synchronous) => {
      const { fs, file } = await faulty()
      for (const rule of rules) fs.add({ operation: ['read', 'write'], ...rule })
      const bytes = Uint8Array.from({ length: length + 10 }, (_, index) => (index % 255) + 1)
      const into = new Uint8Array(length + 20)
      let count: number
      if (synchronous) {
        writeFullySync(file, bytes, 5, length, position)
        count = readFullySync(file, into, 3, length + 10, position)
      } else {
        await writeFully(file, bytes, 5, length, position)
        count = await readFully(file, into, 3, length + 10, position)
      }
      expect(count).toBe(length)
      expect(Buffer.compare(into.subarray(3, 3 + length), bytes.subarray(5, 5 + length))).toBe(0)
      expect([...into.subarray(0, 3), ...into.subarray(3 + length)].every((byte) => byte === 0)).toBe(true)
    }),
  )
})

test('a failure in the middle comes through', async () => {
  const { fs, file } = await faulty()
  fs.add({ operation: 'write', short: 4 })
  fs.add({ operation: 'write', index: 1, errno: 'ENOSPC' })
  expect(errnoOf(await writeFully(file, new Uint8Array(10), 0, 10, 0).catch((error: unknown) => error))).toBe('ENOSPC')
  expect(file.sizeSync()).toBe(4)
})

test('a write that makes no progress fails instead of spinning', async () => {
  const stuck = { path: '/f', write: async () => 0, writeSync: () => 0 } as unknown as File
  await expect(writeFully(stuck, new Uint8Array(1), 0, 1, 0)).rejects.toMatchObject({ code: 'WK_IO' })
  expect(() => writeFullySync(stuck, new Uint8Array(1), 0, 1, 0)).toThrow(expect.objectContaining({ code: 'WK_IO' }))
})
