import { AbortedError, CorruptionError, GcRunningError, InvalidArgumentError, IoError, NoRewriteError, NotSupportedError } from '@wk/codec'
import { ManualRuntime } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { GarbageCollector, WriteFence, type GcFileInfo, type GcProgress } from '../src/index.js'
import { FakeLog } from './support/fake-log.js'
import { MapHost, textOf } from './support/map-index.js'

/** Files of about ten records; every second key overwritten once. */
async function churned(): Promise<{ host: MapHost<FakeLog>; gc: GarbageCollector }> {
  const host = new MapHost(new FakeLog(500))
  for (let n = 0; n < 50; n++) await host.put(`k${n}`, `first value of ${n}`.padEnd(40))
  for (let n = 0; n < 50; n += 2) await host.put(`k${n}`, `second value of ${n}`.padEnd(40))
  return { host, gc: new GarbageCollector({ vlog: host.vlog, index: host.index }) }
}

function expectAllReadable(host: MapHost<FakeLog>): void {
  for (let n = 0; n < 50; n++) {
    const value = textOf(host.vlog.read(host.index.map.get(`k${n}`)!))
    expect(value.trim()).toBe(`${n % 2 === 0 ? 'second' : 'first'} value of ${n}`)
  }
}

const sizeOf = (files: readonly GcFileInfo[]): number => files.reduce((sum, file) => sum + file.size, 0)

describe('collector', () => {
  it('collects every file that qualifies and reports', async () => {
    const { host, gc } = await churned()
    const before = host.vlog.files()
    const report = await gc.run({ discardRatio: 0.4 })
    const after = host.vlog.files()
    expect(report.filesCollected).toBe(host.vlog.retired.length)
    expect(report.filesCollected).toBeGreaterThan(3)
    expect(report.bytesMoved).toBeGreaterThan(0)
    // Headers of new files are neither moved nor reclaimed.
    const headers = 20 * (after.at(-1)!.fid - before.at(-1)!.fid)
    expect(report.bytesReclaimed).toBe(sizeOf(before) - sizeOf(after) + headers)
    expect(report.spaceAmp).toBeGreaterThanOrEqual(1)
    expect(report.spaceAmp).toBeLessThan(1.3)
    expectAllReadable(host)
  })

  it('maxFiles: 1 takes only the worst', async () => {
    const { host, gc } = await churned()
    for (let n = 10; n < 16; n++) host.delete(`k${n}`)
    const worst = host.vlog.files().filter((file) => file.sealed).sort((a, b) => b.discardBytes! - a.discardBytes!)[0]!
    expect(await gc.run({ discardRatio: 0.4, maxFiles: 1 })).toMatchObject({ filesCollected: 1 })
    expect(host.vlog.retired).toEqual([worst.fid])
  })

  it('run in a loop comes to an end', async () => {
    const { host, gc } = await churned()
    let passes = 0
    await expect(
      (async () => {
        for (;;) {
          await gc.run({ discardRatio: 0.01 })
          if (++passes > 100) return
        }
      })(),
    ).rejects.toThrow(NoRewriteError)
    expectAllReadable(host)
  })

  it('never takes the active file, unless it is sealed on demand', async () => {
    const host = new MapHost(new FakeLog(1_000_000))
    const gc = new GarbageCollector({ vlog: host.vlog, index: host.index })
    for (let n = 0; n < 20; n++) await host.put('k', `${n}`)
    await expect(gc.run({ discardRatio: 0.01 })).rejects.toThrow(NoRewriteError)
    expect(await gc.run({ discardRatio: 0.01, sealActive: true })).toMatchObject({ filesCollected: 1 })
    expect(textOf(host.vlog.read(host.index.map.get('k')!))).toBe('19')
  })

  it.each([0, 1, -1, 2, Number.NaN, Number.POSITIVE_INFINITY, '0.5' as unknown as number])('refuses the ratio %s', async (discardRatio) => {
    const { gc } = await churned()
    await expect(gc.run({ discardRatio })).rejects.toThrow(InvalidArgumentError)
    expect(gc.running).toBe(false)
  })

  it('refuses a maxFiles, a rate and an index that make no sense', async () => {
    const { host, gc } = await churned()
    await expect(gc.run({ maxFiles: 0 })).rejects.toThrow(InvalidArgumentError)
    await expect(gc.run({ bytesPerSecond: 0 })).rejects.toThrow(InvalidArgumentError)
    await expect(gc.recount({ bytesPerSecond: -1 })).rejects.toThrow(InvalidArgumentError)
    expect(() => new GarbageCollector({ vlog: host.vlog, index: {} as never })).toThrow(InvalidArgumentError)
    expect(() => new GarbageCollector({ vlog: host.vlog, index: undefined as never })).toThrow(InvalidArgumentError)
  })

  it('refuses whatever is of the wrong kind as such', async () => {
    const { host, gc } = await churned()
    const { vlog, index } = host
    const wrong = [null, 5, 'text', true] as never[]
    for (const value of [undefined, {}, ...wrong] as never[]) {
      expect(() => new GarbageCollector(value)).toThrow(InvalidArgumentError)
      expect(() => new GarbageCollector({ vlog: value, index })).toThrow(InvalidArgumentError)
      expect(() => new GarbageCollector({ vlog, index: value })).toThrow(InvalidArgumentError)
    }
    for (const value of wrong) {
      expect(() => new GarbageCollector({ vlog, index, runtime: value })).toThrow(InvalidArgumentError)
      expect(() => new GarbageCollector({ vlog, index: { lookup: () => [], compareAndSwap: () => [], settle: value } })).toThrow(InvalidArgumentError)
      for (const options of [value, { signal: value }, { onProgress: value }] as never[]) {
        await expect(gc.run(options)).rejects.toThrow(InvalidArgumentError)
        await expect(gc.recount(options)).rejects.toThrow(InvalidArgumentError)
      }
      await expect(gc.run({ liveBytes: value })).rejects.toThrow(InvalidArgumentError)
      if (value === true) continue
      await expect(gc.run({ sealActive: value })).rejects.toThrow(InvalidArgumentError)
      await expect(gc.recount({ repair: value })).rejects.toThrow(InvalidArgumentError)
    }
    expect(vlog.retired).toEqual([])
    expectAllReadable(host)
  })

  it('an index that sorts or empties the lists that it is given changes nothing', async () => {
    const { host } = await churned()
    const gc = new GarbageCollector({
      vlog: host.vlog,
      index: {
        lookup: async (keys) => {
          const pointers = await host.index.lookup(keys)
          ;(keys as Uint8Array[]).reverse()
          return pointers
        },
        compareAndSwap: async (moves) => {
          const won = await host.index.compareAndSwap(moves)
          ;(moves as unknown[]).length = 0
          return won
        },
      },
    })
    expect((await gc.run({ discardRatio: 0.4 })).filesCollected).toBeGreaterThan(3)
    expectAllReadable(host)
  })

  it('one pass at a time for a log, whoever starts it', async () => {
    const { host, gc } = await churned()
    const other = new GarbageCollector({ vlog: host.vlog, index: host.index })
    const first = gc.run({ discardRatio: 0.4 })
    expect(other.running).toBe(true)
    await expect(gc.run({ discardRatio: 0.4 })).rejects.toThrow(GcRunningError)
    await expect(other.run({ discardRatio: 0.4 })).rejects.toThrow(GcRunningError)
    await expect(other.recount()).rejects.toThrow(GcRunningError)
    await first
    expect(gc.running).toBe(false)
    await other.recount()
  })

  it('nothing qualifies: NoRewriteError, and the next pass may run', async () => {
    const { gc } = await churned()
    await expect(gc.run({ discardRatio: 0.99 })).rejects.toThrow(NoRewriteError)
    await gc.run({ discardRatio: 0.4 })
  })

  it('an aborted signal ends it before anything, or between slices', async () => {
    const { host, gc } = await churned()
    const aborted = AbortSignal.abort(new Error('enough'))
    const error = await gc.run({ discardRatio: 0.4, signal: aborted }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'WK_ABORTED', name: 'AbortError' })
    expect(host.vlog.retired).toEqual([])

    const abort = new AbortController()
    const onProgress = (): void => abort.abort()
    await expect(gc.run({ discardRatio: 0.4, signal: abort.signal, onProgress })).rejects.toThrow(AbortedError)
    expect(host.vlog.retired.length).toBeLessThanOrEqual(1)
    expectAllReadable(host)
    await gc.run({ discardRatio: 0.4 })
    expectAllReadable(host)
  })

  it('reports progress up to the total', async () => {
    const { gc } = await churned()
    const seen: GcProgress[] = []
    const report = await gc.run({ discardRatio: 0.4, onProgress: (progress) => seen.push(progress) })
    const last = seen.at(-1)!
    expect(last).toMatchObject({ phase: 'rewrite', done: last.total, bytes: report.bytesMoved })
    for (const [at, progress] of seen.entries()) expect(progress.done).toBeGreaterThanOrEqual(seen[at - 1]?.done ?? 0)
  })

  it('keeps to its rate', async () => {
    const { host } = await churned()
    const runtime = new ManualRuntime()
    const gc = new GarbageCollector({ vlog: host.vlog, index: host.index, runtime })
    let ended = false
    const pass = gc.run({ discardRatio: 0.4, bytesPerSecond: 1000 }).finally(() => (ended = true))
    let seconds = 0
    while (!ended && seconds < 100) {
      await runtime.advance(1000)
      for (let turn = 0; turn < 500; turn++) await Promise.resolve()
      seconds++
    }
    const { bytesMoved } = await pass
    expect(seconds).toBeGreaterThanOrEqual(Math.floor((2 * bytesMoved) / 1000))
    expect(seconds).toBeLessThan(100)
  })

  it('counts what it reads and what it writes, in every slice', async () => {
    const host = new MapHost(new FakeLog(10_000_000))
    for (let n = 0; n < 2500; n++) await host.put(`key ${n}`, `value of ${n}`.padEnd(40))
    await host.vlog.seal()
    for (let n = 0; n < 2500; n += 2) host.delete(`key ${n}`)
    const [file] = host.vlog.files()
    const runtime = new ManualRuntime()
    const gc = new GarbageCollector({ vlog: host.vlog, index: host.index, runtime })
    let ended = false
    const pass = gc.run({ discardRatio: 0.4, bytesPerSecond: 10_000 }).finally(() => (ended = true))
    while (!ended && runtime.monotonic() < 100_000) {
      await new Promise((resolve) => setImmediate(resolve))
      await runtime.advance(100)
    }
    const { bytesMoved } = await pass
    const seconds = (file!.validEnd - 20 + bytesMoved) / 10_000
    // Less what may be ahead at the beginning, more by the steps of this clock.
    expect(runtime.monotonic() / 1000).toBeGreaterThan(seconds - 0.3)
    expect(runtime.monotonic() / 1000).toBeLessThan(seconds + 2)
  })

  it('an aborted signal ends it between two slices of one file', async () => {
    const host = new MapHost(new FakeLog(10_000_000))
    for (let n = 0; n < 2500; n++) await host.put(`key ${n}`, `value of ${n}`)
    await host.vlog.seal()
    for (let n = 0; n < 2500; n += 2) host.delete(`key ${n}`)
    const abort = new AbortController()
    const gc = new GarbageCollector({ vlog: host.vlog, index: host.index })
    await expect(gc.run({ discardRatio: 0.4, signal: abort.signal, onProgress: () => abort.abort() })).rejects.toThrow(AbortedError)
    expect(host.index.lookups.length).toBe(1)
    expect(host.vlog.retired).toEqual([])
    for (let n = 1; n < 2500; n += 2) expect(textOf(host.vlog.read(host.index.map.get(`key ${n}`)!))).toBe(`value of ${n}`)
  })

  it('a damaged file stops the pass, is kept, and does not hide the others next time', async () => {
    const { host, gc } = await churned()
    host.vlog.damage(1, 2)
    host.delete('k1')
    await expect(gc.run({ discardRatio: 0.4 })).rejects.toThrow(CorruptionError)
    expect(host.vlog.files().some((file) => file.fid === 1)).toBe(true)
    const before = host.vlog.retired.length
    await expect(gc.run({ discardRatio: 0.4 })).rejects.toThrow(CorruptionError)
    expect(host.vlog.retired.length).toBeGreaterThan(before)
    await expect(gc.run({ discardRatio: 0.4 })).rejects.toThrow(CorruptionError)
    await host.put('k1', 'first value of 1')
    expectAllReadable(host)
  })

  it.each([
    ['read error', new IoError('read failed', { file: '000001.vlog', operation: 'read' })],
    ['record that is not supported', new NotSupportedError('a version that is no safe integer')],
  ])('a file with a %s likewise', async (_name, failure) => {
    const { host, gc } = await churned()
    host.vlog.damage(1, 2, failure)
    host.delete('k1')
    await expect(gc.run({ discardRatio: 0.4 })).rejects.toBe(failure)
    const before = host.vlog.retired.length
    await expect(gc.run({ discardRatio: 0.4 })).rejects.toBe(failure)
    expect(host.vlog.retired.length).toBeGreaterThan(before)
    expect(host.vlog.files().some((file) => file.fid === 1)).toBe(true)
  })

  it('a failure of the index or of an append does not rank the file last', async () => {
    const { host, gc } = await churned()
    const failure = new IoError('write failed', { file: '000009.vlog', operation: 'write' })
    host.delete('k1')
    host.vlog.failNext = { retire: failure }
    await expect(gc.run({ discardRatio: 0.4 })).rejects.toBe(failure)
    await gc.run({ discardRatio: 0.4, maxFiles: 1 })
    expect(host.vlog.retired).toEqual([1])
  })

  it('recounts live bytes, and takes them in place of lost statistics', async () => {
    const { host, gc } = await churned()
    const counted = await gc.recount()
    for (const { fid, sealed, discardBytes, validEnd } of host.vlog.files()) {
      expect(counted.get(fid)).toBe(sealed ? validEnd - 20 - discardBytes! : undefined)
    }
    const files = host.vlog.files.bind(host.vlog)
    host.vlog.files = () => files().map((file) => ({ ...file, discardBytes: 0 }))
    await expect(gc.run({ discardRatio: 0.4 })).rejects.toThrow(NoRewriteError)
    await gc.run({ discardRatio: 0.4, liveBytes: (fid) => counted.get(fid) })
    expectAllReadable(host)
  })

  it('waits for writes that are between log and index before it believes the index', async () => {
    const host = new MapHost(new FakeLog(100))
    const fence = new WriteFence()
    await host.put('a', 'x'.repeat(60))
    let release = (): void => undefined
    const indexed = new Promise<void>((resolve) => (release = resolve))
    const write = fence.run(async () => {
      const entry = { key: new Uint8Array([98]), value: new Uint8Array(60), version: 0, meta: 0, userMeta: 0, expiresAt: 0 }
      const [pointer] = await host.vlog.append([entry])
      await indexed
      host.index.map.set('b', pointer!)
    })
    await Promise.resolve().then(() => undefined)
    host.delete('a')
    const index = Object.assign(host.index, { settle: () => fence.settle() })
    const pass = new GarbageCollector({ vlog: host.vlog, index }).run({ discardRatio: 0.1 })
    setTimeout(release, 5)
    await pass
    await write
    expect(host.vlog.read(host.index.map.get('b')!)).toHaveLength(60)
  })
})
