import { MemoryFileSystem, TraceFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { DIR, failureOf, newMemory, openLog, readFile } from './support/memory-log.js'

const sizes = async (fs: MemoryFileSystem): Promise<[string, number][]> =>
  (await fs.list(DIR)).filter((name) => name.endsWith('.vlog')).map((name) => [name, readFile(fs, name).length])

describe('rotation', () => {
  test('by size: after the group that passes it, never inside one', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { fileSize: 4096 })
    const value = 'x'.repeat(982)
    const pointers = []
    for (let i = 0; i < 5; i++) pointers.push(...(await log.append([{ key: `k${i}`, value }])))
    // 20 + 4 * 1002 = 4028 does not pass 4096, the fifth record does.
    expect(pointers.map(({ fid, offset, len }) => [fid, offset, len])).toEqual([0, 1, 2, 3, 4].map((i) => [1, 20 + i * 1002, 1002]))
    const group = await log.append(Array.from({ length: 9 }, (_, i) => ({ key: `g${i}`, value })))
    expect(new Set(group.map(({ fid }) => fid))).toEqual(new Set([2]))
    expect((await log.append([{ key: 'z', value }]))[0]?.fid).toBe(3)
    await log.close()
    expect(await sizes(fs)).toEqual([['000001.vlog', 20 + 5 * 1002], ['000002.vlog', 20 + 9 * 1002], ['000003.vlog', 20 + 1001]])
  })

  test('by entries: maxEntries 20 gives files of 21, as Badger', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { maxEntries: 20, fileSize: 2 ** 30 })
    const fids: number[] = []
    for (let i = 0; i < 50; i++) fids.push((await log.append([{ key: `k${i}`, value: '' }]))[0]!.fid)
    expect([1, 2, 3].map((fid) => fids.filter((one) => one === fid).length)).toEqual([21, 21, 8])
    await log.close()
  })

  test('order on disk: sync old, create, header, sync, sync directory, only then records', async () => {
    const memory = await newMemory()
    const fs = new TraceFileSystem(memory)
    const log = await openLog(fs, { fileSize: 4096 })
    await log.append([{ key: 'a', value: 'x'.repeat(5000) }])
    await log.append([{ key: 'b', value: 'y' }])
    const steps = fs.entries
      .filter(({ kind }) => ['create', 'write', 'sync', 'syncDir'].includes(kind))
      .map(({ kind, path }) => `${kind} ${path.replace(`${DIR}/`, '')}`)
    expect(steps.slice(steps.indexOf('create 000001.vlog'))).toEqual([
      'create 000001.vlog', 'write 000001.vlog', 'sync 000001.vlog', `syncDir ${DIR}`, 'write 000001.vlog',
      'sync 000001.vlog',
      'create 000002.vlog', 'write 000002.vlog', 'sync 000002.vlog', `syncDir ${DIR}`, 'write 000002.vlog',
    ])
    await log.close()
  })

  test('open creates no file; seal makes the next record start one; numbers never come back', async () => {
    const fs = await newMemory()
    const log = await openLog(fs)
    expect(await fs.list(DIR)).toEqual(['LOCK'])
    await log.seal()
    await log.append([{ key: 'a', value: 'b' }])
    await log.seal()
    await log.seal()
    expect(log.files()).toMatchObject([{ fid: 1, sealed: true, size: 39, validEnd: 39 }])
    expect(await log.dropLogical([1, 77])).toBe(39)
    expect(await fs.list(DIR), 'an empty file takes the place of the highest number').toEqual(['000002.vlog', 'LOCK'])
    await log.append([{ key: 'a', value: 'b' }])
    await log.sync()
    expect(await fs.list(DIR)).toEqual(['000002.vlog', 'LOCK'])
    expect(await failureOf(log.dropLogical([2]))).toMatchObject({ code: 'WK_INVALID_ARGUMENT' })
    await log.close()
    const again = await openLog(fs)
    expect(await again.append([{ key: 'a', value: 'b' }])).toMatchObject([{ fid: 3 }])
    await again.close()
  })
})
