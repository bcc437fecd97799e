/** The collector over the real value log: what the log adds to the picture. */
import { AbortedError, ClosedError, NoRewriteError } from '@wk/codec'
import { ManualRuntime, MemoryFileSystem } from '@wk/fs'
import { ValueLog } from '@wk/vlog'
import { describe, expect, it } from 'vitest'
import { GarbageCollector, relocate, type LiveRange } from '../src/index.js'
import { scheduleIndex, scheduleValueLog } from '../src/testing.js'
import { MapIndex } from './support/map-index.js'
import { namesOf, openMemoryLog, valueOf, type MemoryLog } from './support/memory-log.js'

async function churned(options: Parameters<typeof openMemoryLog>[0] = { fileSize: 4096 }): Promise<MemoryLog> {
  const log = await openMemoryLog(options)
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 30; n++) await log.host.put(`k${n}`, `value ${n} round ${round} `.repeat(10))
  }
  return log
}

async function expectAll({ host }: MemoryLog): Promise<void> {
  for (let n = 0; n < 30; n++) expect(await valueOf(host, `k${n}`)).toMatch(new RegExp(`^value ${n} round 2 `))
}

function rangesOf(index: MapIndex): (fid: number) => LiveRange[] {
  return (fid) => [...index.map.values()].filter((pointer) => pointer.fid === fid).sort((a, b) => a.offset - b.offset)
}

describe('collector over the value log', () => {
  it('a pass that waits for its rate ends within a second of the close of its log', async () => {
    const log = await churned()
    const runtime = new ManualRuntime()
    const gc = new GarbageCollector({ vlog: log.host.vlog, index: log.host.index, runtime })
    const pass = gc.run({ discardRatio: 0.1, bytesPerSecond: 1 })
    pass.catch(() => undefined)
    // The collector lets the real event loop turn, too: a loop of microtasks would never let it come to its wait.
    while (runtime.sleeping === 0) {
      await new Promise((resolve) => setImmediate(resolve))
      await runtime.advance(0)
    }
    await log.host.vlog.close()
    expect(gc.running).toBe(true)
    await runtime.advance(1000)
    await expect(pass).rejects.toThrow(ClosedError)
    expect([runtime.sleeping, gc.running]).toEqual([0, false])
  })

  it('in a log without records nothing qualifies, before and after it is opened again', async () => {
    const log = await churned()
    for (let n = 0; n < 30; n++) log.host.delete(`k${n}`)
    await log.gc.run({ sealActive: true })
    const left = log.host.vlog.files()
    expect(left).toMatchObject([{ size: 20, liveBytes: 0 }])
    for (let pass = 0; pass < 3; pass++) await expect(log.gc.run({ discardRatio: 0.01, sealActive: true })).rejects.toThrow(NoRewriteError)
    expect(log.host.vlog.files()).toEqual(left)
    await log.host.vlog.close()
    const again = await ValueLog.open('/values', { fs: log.fs, fileSize: 4096 })
    const gc = new GarbageCollector({ vlog: again, index: log.host.index })
    await expect(gc.run({ discardRatio: 0.01, sealActive: true })).rejects.toThrow(NoRewriteError)
    const [pointer] = await again.append([{ key: 'k', value: 'v' }])
    expect(pointer!.fid).toBeGreaterThan(left[0]!.fid)
    await again.close()
  })

  it('survivors go to files of their own, whatever the host writes meanwhile, and those of several passes to the same', async () => {
    const log = await churned()
    const { vlog, index } = log.host
    const survivors = new Set<number>()
    const fresh = new Set([...index.map.values()].map(({ fid }) => fid))
    let count = 0
    const hook = async (): Promise<void> => {
      if (++count % 5 === 0) fresh.add((await log.host.put(`fresh ${count}`, 'x'.repeat(300))).fid)
    }
    const swap = index.compareAndSwap.bind(index)
    index.compareAndSwap = (moves) => {
      for (const { to } of moves) survivors.add(to.fid)
      return swap(moves)
    }
    const gc = new GarbageCollector({ vlog: scheduleValueLog(vlog, hook), index: scheduleIndex(index, hook) })
    // Two passes of one file each, and one over the rest.
    for (const maxFiles of [1, 1, 100]) {
      for (let n = 0; n < 30; n += 3) await log.host.put(`k${n}`, `value ${n} round 2 again `.padEnd(200, 'x'))
      await gc.run({ discardRatio: 0.05, maxFiles })
    }
    expect(count).toBeGreaterThan(50)
    expect(survivors.size).toBeGreaterThan(0)
    expect([...survivors].filter((fid) => fresh.has(fid))).toEqual([])
    // Less than two of them a file's worth: they were filled one after another.
    const moved = [...survivors].map((fid) => vlog.files().find((file) => file.fid === fid)?.validEnd ?? 4096)
    expect(moved.filter((end) => end < 4096).length).toBeLessThanOrEqual(1)
    await expectAll(log)
    await vlog.close()
  })

  it('accounted live bytes equal recounted ones through puts, deletes and passes', async () => {
    const log = await churned()
    log.host.delete('k3')
    await log.host.put('k3', 'value 3 round 2 again')
    const check = async (): Promise<void> => {
      const counted = await log.gc.recount()
      for (const { fid, sealed, liveBytes } of log.host.vlog.files()) if (sealed) expect(liveBytes).toBe(counted.get(fid))
    }
    await check()
    await log.gc.run({ discardRatio: 0.3 })
    await check()
    await log.host.vlog.close()
  })

  it('a pass that was aborted leaves exact figures', async () => {
    const log = await churned({ fileSize: 1 << 20 })
    await log.host.vlog.seal()
    const abort = new AbortController()
    const swap = log.host.index.compareAndSwap.bind(log.host.index)
    log.host.index.compareAndSwap = (moves) => {
      abort.abort()
      return swap(moves)
    }
    await expect(log.gc.run({ discardRatio: 0.3, signal: abort.signal })).rejects.toThrow(AbortedError)
    expect(log.host.vlog.files().find(({ fid }) => fid === 1)?.liveBytes).toBe(0)
    await expectAll(log)
    await log.gc.run({ discardRatio: 0.99 })
    expect(await namesOf(log.fs)).not.toContain('000001.vlog')
    await expectAll(log)
    await log.host.vlog.close()
  })

  it('figures lost in a crash come back by a recount', async () => {
    const log = await churned()
    await log.host.vlog.sync()
    const image = await openMemoryLog({ fileSize: 4096 }, log.fs.crashClone('P1'), log.host.index)
    await expect(image.gc.run({ discardRatio: 0.3 })).rejects.toThrow(NoRewriteError)
    await image.gc.recount({ repair: true })
    expect((await image.gc.run({ discardRatio: 0.3 })).filesCollected).toBeGreaterThan(2)
    await expectAll(image)
    await image.host.vlog.close()
    await log.host.vlog.close()
  })

  it('a file that the host pins stays readable, is not collected twice, and goes with the pin', async () => {
    const log = await churned()
    const { vlog } = log.host
    const old = [...log.host.index.map.values()].find(({ fid }) => fid < vlog.files().at(-1)!.fid)!
    vlog.pin(old.fid)
    await log.gc.run({ discardRatio: 0.01 })
    expect((await vlog.read(old)).value.length).toBeGreaterThan(0)
    expect(vlog.files().find(({ fid }) => fid === old.fid)?.retired).toBe(true)
    await expect(log.gc.run({ discardRatio: 0.01 })).rejects.toThrow(NoRewriteError)
    vlog.unpin(old.fid)
    await vlog.sync()
    for (let turn = 0; turn < 20; turn++) await Promise.resolve()
    expect(await namesOf(log.fs)).not.toContain(`${String(old.fid).padStart(6, '0')}.vlog`)
    await expectAll(log)
    await vlog.close()
  })

  it('survivors keep version, user meta, expiry and the meta bits that are theirs', async () => {
    const index = new MapIndex()
    const vlog = await ValueLog.open('/values', { fs: new MemoryFileSystem() })
    const [kept, dead] = await vlog.append([
      { key: 'k', value: 'v', version: 42, userMeta: 7, expiresAt: 1_900_000_000, meta: 0x0e },
      { key: 'dead', value: 'x'.repeat(1000) },
    ])
    index.map.set('k', kept!)
    vlog.discard(dead!)
    await vlog.seal()
    await new GarbageCollector({ vlog, index }).run({ discardRatio: 0.5 })
    const moved = index.map.get('k')!
    expect(moved.fid).toBe(2)
    expect(await vlog.read(moved)).toMatchObject({ version: 42, userMeta: 7, expiresAt: 1_900_000_000, meta: 0x0c })
    await vlog.close()
  })

  it('appends that resolve late are in the index before it is believed', async () => {
    const log = await openMemoryLog({ fileSize: 4096, sync: true })
    for (let n = 0; n < 12; n++) await log.host.put('k', `${n}`.padEnd(1000))
    const writes = Array.from({ length: 4 }, (_, n) => log.host.put(`late ${n}`, `${n}`.padEnd(2000)))
    await log.gc.run({ discardRatio: 0.01, sealActive: true })
    await Promise.all(writes)
    for (let n = 0; n < 4; n++) expect(await valueOf(log.host, `late ${n}`)).toHaveLength(2000)
    await log.host.vlog.close()
  })

  it('closing the log under a pass ends it with WK_CLOSED; the store opens as it was', async () => {
    const log = await churned()
    let swaps = 0
    const swap = log.host.index.compareAndSwap.bind(log.host.index)
    let closing: Promise<void> | undefined
    log.host.index.compareAndSwap = (moves) => {
      if (++swaps === 2) closing = log.host.vlog.close()
      return swap(moves)
    }
    await expect(log.gc.run({ discardRatio: 0.3 })).rejects.toThrow(ClosedError)
    await closing
    const reopened = await openMemoryLog({ fileSize: 4096 }, log.fs, log.host.index)
    await expectAll(reopened)
    await reopened.host.vlog.close()
  })
})

describe('relocation over the value log', () => {
  it('moves live ranges, keeps every pointer, frees the rest', async () => {
    const log = await churned()
    const { vlog, index } = log.host
    const pointers = new Map(index.map)
    const victims = vlog.files().filter(({ sealed }) => sealed).map(({ fid }) => fid)
    const live = victims.flatMap(rangesOf(index)).reduce((sum, { len }) => sum + len, 0)
    const result = await relocate(vlog, victims, rangesOf(index))
    expect(result.bytesMoved).toBe(live)
    expect(result.bytesReclaimed).toBeGreaterThan(live)
    expect(index.map).toEqual(pointers)
    expect(index.lookups).toEqual([])
    await expectAll(log)
    await vlog.close()
    const reopened = await openMemoryLog({ fileSize: 4096 }, log.fs, index)
    await expectAll(reopened)
    // A relocated file is a victim like any other.
    for (let n = 0; n < 30; n += 2) await reopened.host.put(`k${n}`, `value ${n} round 2 moved on`)
    await reopened.gc.recount({ repair: true })
    await reopened.gc.run({ discardRatio: 0.2 })
    await expectAll(reopened)
    await reopened.host.vlog.close()
  })

  it('an aborted one leaves every file as it was', async () => {
    const log = await churned()
    const { vlog, index } = log.host
    const before = await log.fs.list('/values')
    const abort = new AbortController()
    const onProgress = (): void => abort.abort()
    const fids = new Set([...index.map.values()].map(({ fid }) => fid))
    const victims = vlog.files().filter(({ sealed, fid }) => sealed && fids.has(fid)).map(({ fid }) => fid)
    const options = { signal: abort.signal, onProgress, stepBytes: 1 }
    await expect(relocate(vlog, victims, rangesOf(index), options)).rejects.toThrow(AbortedError)
    expect(await log.fs.list('/values')).toEqual(before)
    await expectAll(log)
    await relocate(vlog, victims, rangesOf(index))
    await expectAll(log)
    await vlog.close()
  })
})
