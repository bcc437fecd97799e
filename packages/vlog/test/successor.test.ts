/** A file that takes over the highest number, so that a dead one may go, beside groups that are staged, fill their files and begin others. */
import { MemoryFileSystem } from '@wk/fs'
import { HoldingFileSystem } from '@wk/testkit'
import { setImmediate as turn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ValueLog, type ValuePointer } from '../src/index.js'

test.each([true, false])('law 9: a dead file with the highest number is dropped while groups are staged and files end (durable marks: %s)', async (isHosted) => {
  const fs = new HoldingFileSystem(new MemoryFileSystem())
  await fs.mkdir('/log')
  const log = await ValueLog.open('/log', { fs, lock: false, fileSize: 4096, ...(isHosted ? { durable: null } : {}) })
  const pointers: ValuePointer[] = []
  let version = 0
  const stage = (): void => {
    const pointer = { fid: 0, offset: 0, len: 0 }
    log.stage(Buffer.from(`k${++version}`), version, 0, 0, 0, new Uint8Array(5000).fill(version), pointer)
    pointers.push(pointer)
  }
  stage()
  await log.writeStaged()
  await log.seal()
  pointers.length = 0
  // A group is collecting: its file is not there yet.
  stage()
  fs.hold = ({ kind, path }) => kind === 'create' && path.endsWith('.vlog')
  const dropped = log.dropLogical([1]).catch((error: unknown) => error)
  for (let i = 0; i < 50; i++) await turn()
  expect(fs.held.length).toBe(1)
  // The group grows, is on its way, and the next one collects.
  stage()
  log.endGroup()
  const written = log.writeStaged().catch((error: unknown) => error)
  stage()
  fs.release()
  expect(await dropped).not.toBeInstanceOf(Error)
  expect(await written).toBeUndefined()
  await log.writeStaged()
  await log.sync()
  for (const [i, { fid, offset, len }] of pointers.entries()) expect(log.readValueSync(fid, offset, len, Buffer.from(`k${i + 2}`), i + 2)[0]).toBe(i + 2)
  await log.close()
})

const key = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A log whose first file is sealed, with its one record at `pointer`. */
async function firstSealed(): Promise<{ fs: MemoryFileSystem; log: ValueLog; pointer: ValuePointer }> {
  const fs = new MemoryFileSystem()
  const log = await ValueLog.open('/log', { fs, durable: null, lock: false, fileSize: 4096 })
  const pointer = { fid: 0, offset: 0, len: 0 }
  log.stage(key('a'), 1, 0, 0, 0, new Uint8Array(5000), pointer)
  await log.writeStaged()
  await log.seal()
  expect(pointer.fid).toBe(1)
  return { fs, log, pointer }
}

test.each([0, 1, 2, 3, 6])('an empty file that took over the highest number is not left behind by a seal that comes while it waits for its turn (%i ticks)', async (ticks) => {
  const { fs, log, pointer } = await firstSealed()
  log.stage(key('b'), 2, 0, 0, 0, new Uint8Array(5000), pointer)
  expect(pointer.fid).toBe(2)
  // The file is full, and its record not written yet.
  log.endGroup()
  const dropped = log.dropLogical([1])
  for (let turn = 0; turn < ticks; turn++) await undefined
  const sealed = log.seal()
  await Promise.all([dropped, sealed])
  const end = log.position()
  await log.close()
  expect(log.position()).toEqual(end)
  const again = await ValueLog.open('/log', { fs, cleanEnd: { fid: end.fid, size: end.offset }, lock: false })
  expect(again.physicalFiles().every(({ sealed }) => sealed)).toBe(true)
  await again.close()
})

test('records that are staged while an empty file is about to take over the highest number, and fill their file meanwhile, do not end writing', async () => {
  const { log, pointer } = await firstSealed()
  log.stage(key('b'), 2, 0, 0, 0, new Uint8Array(3000), pointer)
  expect(pointer.fid).toBe(2)
  const dropped = log.dropLogical([1])
  await undefined
  // What a host does while its groups are on their way: more records, a rotation, and more records.
  log.stage(key('c'), 3, 0, 0, 0, new Uint8Array(3000), pointer)
  expect(pointer.fid).toBe(2)
  log.endGroup()
  log.stage(key('d'), 4, 0, 0, 0, new Uint8Array(3000), pointer)
  expect(pointer.fid).toBe(3)
  await dropped
  await log.writeStaged()
  expect((await log.verify()).ok).toBe(true)
  await log.close()
})
