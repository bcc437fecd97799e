/** Zeros behind records that are synced little by little: where there are some, that they go, and that nothing takes them for more. */
import { errnoOf } from '@wk/codec'
import { CRASH_POLICIES, FaultFileSystem, ScheduledFileSystem, type FileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { ValueLog, ValueLogOptions, ValuePointer } from '../src/index.js'
import { mulberry, randomBytes, SEED } from './support/bytes.js'
import { collect, failureOf, newMemory, openLog, readFile } from './support/memory-log.js'

const NAME = '000001.vlog'
const HOSTED: ValueLogOptions = { durable: null, lock: false, fileSize: 1 << 30 }

function fileEnd(fs: FileSystem): number {
  return readFile(fs, NAME).length
}

async function appendSynced(log: ValueLog, bytes: number, times = 1): Promise<ValuePointer[]> {
  const pointers: ValuePointer[] = []
  for (let i = 0; i < times; i++) pointers.push(...(await log.append([{ key: `k${i}`, value: new Uint8Array(bytes).fill(7) }], { sync: true })))
  return pointers
}

describe('zeros ahead', () => {
  test('come with several small syncs in a row, are written over, and are cut off with the seal', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, HOSTED)
    await appendSynced(log, 100, 3)
    expect(fileEnd(fs)).toBe(log.position().offset)
    expect(log.passingBytes).toBe(0)
    await appendSynced(log, 100)
    const end = fileEnd(fs)
    const { offset } = log.position()
    expect(end).toBe(offset + 16 * 1024)
    expect(log.passingBytes).toBe(end - offset)
    expect(readFile(fs, NAME).subarray(offset).every((byte) => byte === 0)).toBe(true)
    const pointers = await appendSynced(log, 100, 40)
    expect(fileEnd(fs), 'room for many more').toBe(end)
    expect(log.passingBytes).toBe(end - log.position().offset)
    expect(log.physicalFiles()[0]?.size, 'figures of files are without them').toBeLessThan(end)
    await log.seal()
    expect(fileEnd(fs.crashClone('P0'))).toBe(log.position().offset)
    expect(log.passingBytes).toBe(0)
    for (const pointer of pointers) expect(log.readSync(pointer).value.length).toBe(100)
    await log.close()
    const again = await openLog(fs, { ...HOSTED, cleanEnd: { fid: 1, size: log.position().offset } })
    expect((await collect(again.iterate(1))).length).toBe(44)
    await again.close()
  })

  test('are as many as the file has bytes, a mebibyte at most, and none before a large sync', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, HOSTED)
    await appendSynced(log, 60_000, 4)
    expect(fileEnd(fs)).toBe(2 * log.position().offset)
    await appendSynced(log, 70_000, 30)
    expect(fileEnd(fs)).toBe(log.position().offset)
    await appendSynced(log, 60_000, 3)
    expect(fileEnd(fs), 'large ones break the row').toBe(log.position().offset)
    await appendSynced(log, 60_000)
    expect(fileEnd(fs)).toBe(log.position().offset + (1 << 20))
    await log.close()
  })

  test('law 1: are none while a job writes, for it would be they that are left', async () => {
    for (let ticks = 0; ticks < 30; ticks++) {
      const memory = await newMemory()
      const log = await openLog(new ScheduledFileSystem(memory, SEED + ticks), HOSTED)
      const staged: { pointer: ValuePointer; key: Uint8Array; version: number; value: Uint8Array }[] = []
      const put = (length: number): void => {
        const one = { pointer: { fid: 0, offset: 0, len: 0 }, key: Buffer.from(`k${staged.length}`), version: staged.length, value: randomBytes(mulberry(staged.length), length) }
        log.stage(one.key, one.version, 0, 0, 0, one.value, one.pointer)
        staged.push(one)
      }
      for (let i = 0; i < 4; i++) {
        put(9000)
        if (!log.writeStagedSync()) await log.writeStaged()
        if (i < 3) await log.sync()
      }
      for (let i = 0; i < 20; i++) put(100_000)
      const job = log.writeStaged()
      for (let n = 0; n < ticks; n++) await Promise.resolve()
      await Promise.all([log.sync(), job])
      for (const { pointer: { fid, offset, len }, key, version, value } of staged) expect(Buffer.compare(log.readValueSync(fid, offset, len, key, version), value), `after ${ticks} ticks`).toBe(0)
      await log.close()
    }
  })

  test('are none in a log that stands alone', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { fileSize: 1 << 30 })
    await appendSynced(log, 100, 20)
    expect(fileEnd(fs)).toBe(log.position().offset)
    await log.close()
  })

  test.each(['ENOSPC', 'EDQUOT', 'EFBIG'])('a disk that has no room for them (%s) does without', async (errno) => {
    const fs = new FaultFileSystem(await newMemory())
    const log = await openLog(fs, HOSTED)
    await appendSynced(log, 100, 3)
    fs.add({ operation: 'write', index: 1, errno, short: 1000 })
    await appendSynced(log, 100, 20)
    await log.close()
    expect(fs.injected.length).toBe(1)
    expect(fileEnd(fs)).toBe(log.position().offset)
  })

  test('any other failure ends writing (law 9)', async () => {
    const fs = new FaultFileSystem(await newMemory())
    const log = await openLog(fs, HOSTED)
    const pointers = await appendSynced(log, 100, 3)
    fs.add({ operation: 'write', index: 1, errno: 'EIO' })
    expect(errnoOf(await failureOf(appendSynced(log, 100)))).toBe('EIO')
    expect(await failureOf(log.append([{ key: 'k', value: 'v' }]))).toMatchObject({ code: 'WK_READ_ONLY' })
    expect(log.readSync(pointers[0]!).value.length).toBe(100)
    await log.close()
  })

  test.each(CRASH_POLICIES)('after a crash (%s) every synced record is there, behind the last nothing', async (policy) => {
    const random = mulberry(SEED)
    for (let seed = 1; seed <= 20; seed++) {
      const fs = await newMemory()
      const log = await openLog(fs, { ...HOSTED, fileSize: 40_000, prepareAhead: 1000 })
      const keys: string[] = []
      let durable = 0
      const steps = 10 + Math.floor(random() * 60)
      for (let i = 0; i < steps; i++) {
        const sync = random() < 0.8
        await log.append([{ key: `k${i}`, value: randomBytes(random, Math.floor(random() * 1500)) }], { sync })
        keys.push(`k${i}`)
        if (sync) durable = keys.length
      }
      const image = fs.crashClone(policy, seed)
      const again = await openLog(image, HOSTED)
      const found: string[] = []
      for (const { fid } of again.files()) for (const { entry } of await collect(again.iterate(fid))) found.push(Buffer.from(entry.key).toString())
      expect(found.length, `seed ${seed} of ${policy}`).toBeGreaterThanOrEqual(durable)
      expect(found.slice(0, durable)).toEqual(keys.slice(0, durable))
      await again.close()
      await log.close()
    }
  })
})
