import { MemoryFileSystem, ManualRuntime } from '@wk/fs'
import { ValueLog } from '@wk/vlog'
import { describe, expect, it } from 'vitest'
import { GarbageCollector, Throttle, WriteFence, measureGarbage, pickVictims, relocate, spaceAmplification, type GcFileInfo } from '../src/index.js'

const INVALID = expect.objectContaining({ code: 'WK_INVALID_ARGUMENT' }) as Error
const file: GcFileInfo = { fid: 1, size: 120, validEnd: 120, sealed: true, discardBytes: 60 }
const NO_FILES: unknown[] = [undefined, null, 5, 'text', {}, [undefined], [5], [{}], [{ ...file, fid: 'x' }], [{ ...file, size: Number.NaN }], [{ ...file, validEnd: undefined }]]
const refused = (call: () => unknown): void => expect(call).toThrow(INVALID)

describe('misuse of the loose parts is WK_INVALID_ARGUMENT', () => {
  it('figures', () => {
    for (const wrong of NO_FILES as never[]) {
      refused(() => pickVictims(wrong, { discardRatio: 0.5 }))
      refused(() => spaceAmplification(wrong))
    }
    for (const wrong of [undefined, null, 5, 'text', {}] as never[]) refused(() => measureGarbage(wrong))
    for (const wrong of [undefined, null, 5, {}, { discardRatio: 0 }, { discardRatio: 1 }, { discardRatio: Number.NaN }, { discardRatio: '0.5' }, { discardRatio: 0.5, last: [1] }, { discardRatio: 0.5, liveBytes: 5 }] as never[]) refused(() => pickVictims([file], wrong))
    for (const wrong of [5, 'text', {}] as never[]) {
      refused(() => spaceAmplification([file], wrong))
      refused(() => measureGarbage(file, wrong))
    }
    // What is no number would pass for a file without garbage, or make one that nothing else can be told from.
    for (const wrong of [Number.NaN, -1, '5', {}] as never[]) refused(() => measureGarbage(file, () => wrong))
    expect(measureGarbage(file, () => null as never).deadBytes).toBe(60)
  })

  it('a fence', async () => {
    const fence = new WriteFence()
    for (const wrong of [undefined, null, 5, 'text', {}] as never[]) await expect(fence.run(wrong)).rejects.toThrow(INVALID)
    expect(await fence.run((() => 5) as never)).toBe(5)
    await expect(fence.run(() => { throw new Error('own') })).rejects.toThrow('own')
    await fence.settle()
  })

  it('a throttle: what is no count of bytes would be waited for for ever', async () => {
    for (const wrong of [undefined, null, 5, {}] as never[]) refused(() => new Throttle(5, wrong))
    refused(() => new Throttle(5, new ManualRuntime(), 5 as never))
    for (const rate of [5, undefined]) {
      const throttle = new Throttle(rate, new ManualRuntime())
      for (const wrong of [undefined, null, 'x', '5', Number.NaN, Infinity, -1, {}] as never[]) await expect(throttle.take(wrong)).rejects.toThrow(INVALID)
      await expect(throttle.take(0, 5 as never)).rejects.toThrow(INVALID)
    }
  })

  it('relocation', async () => {
    const vlog = await ValueLog.open('/log', { fs: new MemoryFileSystem(), fileSize: 4096 })
    await vlog.append([{ key: 'k', value: 'v' }])
    await vlog.seal()
    for (const wrong of [undefined, null, 5, {}] as never[]) await expect(relocate(wrong, [1], () => [])).rejects.toThrow(INVALID)
    for (const wrong of [undefined, null, 5, {}, 'text', ['x'], [undefined], [{}], [0], [7]] as never[]) await expect(relocate(vlog, wrong, () => [])).rejects.toThrow(INVALID)
    for (const wrong of [undefined, null, 5, {}] as never[]) await expect(relocate(vlog, [1], wrong)).rejects.toThrow(INVALID)
    for (const wrong of [undefined, null, 5, [5], [undefined], [{}], [{ offset: 20 }], [{ offset: '20', len: 19 }], [{ offset: 20, len: 19.5 }], { offsets: 5, lengths: 5 }, { offsets: [20], lengths: [19] }, { offsets: Uint32Array.of(20), lengths: new Uint32Array(0) }] as never[]) {
      await expect(relocate(vlog, [1], () => wrong)).rejects.toThrow(INVALID)
    }
    for (const options of [null, 5, { stepBytes: 0 }, { stepBytes: Number.NaN }, { stepBytes: 'x' }, { pace: 5 }, { sweep: 5 }, { runtime: {} }, { bytesPerSecond: 0 }] as never[]) await expect(relocate(vlog, [1], () => [{ offset: 20, len: 19 }], options)).rejects.toThrow(INVALID)
    expect(vlog.files()).toMatchObject([{ fid: 1, sealed: true }])
    expect((await vlog.verify()).records).toBe(1)
    await vlog.close()
  })

  it('a collector whose host answers with no figure of live bytes', async () => {
    const vlog = await ValueLog.open('/log', { fs: new MemoryFileSystem(), fileSize: 4096 })
    const [pointer] = await vlog.append([{ key: 'k', value: 'v' }])
    await vlog.seal()
    const gc = new GarbageCollector({ vlog, index: { lookup: (keys) => keys.map(() => pointer), compareAndSwap: (moves) => moves.map(() => true) } })
    await expect(gc.run({ liveBytes: () => Number.NaN })).rejects.toThrow(INVALID)
    expect(gc.running).toBe(false)
    await vlog.close()
  })
})
