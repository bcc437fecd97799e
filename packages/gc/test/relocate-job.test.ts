import { AbortedError, CorruptionError, InvalidArgumentError, IoError } from '@wk/codec'
import { ManualRuntime } from '@wk/fs'
import { describe, expect, it } from 'vitest'
import { relocate, type GcFileInfo, type GcProgress, type LiveRange, type RelocationLog } from '../src/index.js'

/** Files 1 to 3 of 1,000 record bytes each, sealed; file 4 active. Notes what is asked of it. */
class FakeRelocationLog implements RelocationLog {
  readonly calls: string[] = []
  failAt: string | undefined
  freed = 2040
  failure: Error = new IoError('disk', { file: 'x', operation: 'write' })

  files(): GcFileInfo[] {
    return [1, 2, 3, 4].map((fid) => ({ fid, size: 1020, validEnd: 1020, sealed: fid !== 4 }))
  }

  async createRelocation(): Promise<Awaited<ReturnType<RelocationLog['createRelocation']>>> {
    this.#call('create')
    return {
      copyMany: async (fid, { offsets, lengths }) => {
        for (const [i, offset] of offsets.entries()) this.#call(`copy ${fid}:${offset}+${lengths[i]}`)
      },
      finish: async () => {
        this.#call('finish')
        return { bytesFreed: this.freed }
      },
      abort: async () => this.#call('abort'),
    }
  }

  async dropLogical(fids: readonly number[]): Promise<number> {
    this.#call(`drop ${fids.join()}`)
    return fids.length * 1020
  }

  #call(name: string): void {
    this.calls.push(name)
    if (name === this.failAt) throw this.failure
  }
}

const RANGES: Record<number, LiveRange[]> = {
  1: [
    { offset: 20, len: 100 },
    { offset: 200, len: 50 },
  ],
  2: [],
  3: [{ offset: 1000, len: 20 }],
}
const rangesOf = (fid: number): LiveRange[] => RANGES[fid] ?? []

describe('relocate', () => {
  it('drops dead files first, copies live ranges in order, finishes once', async () => {
    const log = new FakeRelocationLog()
    expect(await relocate(log, [3, 1, 2, 1], rangesOf)).toEqual({ bytesMoved: 170, bytesReclaimed: 1020 + 2040 - 170 })
    expect(log.calls).toEqual(['drop 2', 'create', 'copy 1:20+100', 'copy 1:200+50', 'copy 3:1000+20', 'finish'])
  })

  it('a physical file that others still need is not reclaimed', async () => {
    const log = new FakeRelocationLog()
    log.freed = 0
    expect(await relocate(log, [1, 3], rangesOf)).toEqual({ bytesMoved: 170, bytesReclaimed: 0 })
  })

  it('dead files cost no copy', async () => {
    const log = new FakeRelocationLog()
    expect(await relocate(log, [2], rangesOf)).toEqual({ bytesMoved: 0, bytesReclaimed: 1020 })
    expect(log.calls).toEqual(['drop 2'])
    expect(await relocate(log, [], rangesOf)).toEqual({ bytesMoved: 0, bytesReclaimed: 0 })
  })

  const wrong: [string, number, LiveRange[]][] = [
    ['the active file', 4, []],
    ['an unknown file', 9, []],
    ['ranges that overlap', 1, [{ offset: 20, len: 100 }, { offset: 110, len: 10 }]],
    ['ranges that descend', 1, [{ offset: 200, len: 10 }, { offset: 20, len: 10 }]],
    ['an empty range', 1, [{ offset: 20, len: 0 }]],
    ['a range beyond the end', 1, [{ offset: 1000, len: 21 }]],
  ]
  it.each(wrong)('refuses %s before it changes anything', async (_name, fid, ranges) => {
    const log = new FakeRelocationLog()
    await expect(relocate(log, [2, fid], (each) => (each === fid ? ranges : []))).rejects.toThrow(InvalidArgumentError)
    expect(log.calls).toEqual([])
  })

  it.each(['create', 'copy 1:200+50', 'finish'])('a failure in %s removes what was written', async (failAt) => {
    const log = new FakeRelocationLog()
    log.failAt = failAt
    await expect(relocate(log, [1, 3], rangesOf)).rejects.toThrow(IoError)
    expect(log.calls.at(-1)).toBe(failAt === 'create' ? 'create' : 'abort')
  })

  it('a damaged record stops it', async () => {
    const log = new FakeRelocationLog()
    log.failAt = 'copy 3:1000+20'
    log.failure = new CorruptionError('damaged')
    await expect(relocate(log, [1, 3], rangesOf)).rejects.toThrow(CorruptionError)
    expect(log.calls.at(-1)).toBe('abort')
    expect(log.calls).not.toContain('finish')
  })

  it('tells the first failure, not that of the abort', async () => {
    const log = new FakeRelocationLog()
    const create = log.createRelocation.bind(log)
    log.createRelocation = async () => ({
      ...(await create()),
      copyMany: () => Promise.reject(log.failure),
      abort: () => Promise.reject(new CorruptionError('second')),
    })
    await expect(relocate(log, [1], rangesOf)).rejects.toBe(log.failure)
  })

  it('an aborted signal ends it between copies', async () => {
    const log = new FakeRelocationLog()
    const abort = new AbortController()
    const runtime = new ManualRuntime({ yieldMs: 10 })
    const onProgress = (): void => abort.abort()
    const options = { signal: abort.signal, onProgress, runtime, stepBytes: 1 }
    await expect(relocate(log, [1, 3], rangesOf, options)).rejects.toThrow(AbortedError)
    expect(log.calls).toEqual(['create', 'copy 1:20+100', 'abort'])
    await expect(relocate(log, [1], rangesOf, { signal: AbortSignal.abort() })).rejects.toThrow(AbortedError)
  })

  it('works in steps, reports each', async () => {
    const seen: GcProgress[] = []
    const runtime = new ManualRuntime()
    const onProgress = (progress: GcProgress): unknown => seen.push(progress)
    await relocate(new FakeRelocationLog(), [1, 3], rangesOf, { runtime, stepBytes: 1, onProgress })
    expect(seen.map(({ done }) => done)).toEqual([100, 150, 170])
    expect(seen.at(-1)).toEqual({ phase: 'relocate', done: 170, total: 170, bytes: 170 })
  })

  it('keeps to its rate, reading and writing counted', async () => {
    const runtime = new ManualRuntime()
    let ended = false
    const job = relocate(new FakeRelocationLog(), [1], rangesOf, { runtime, bytesPerSecond: 100, stepBytes: 1 }).then(() => (ended = true))
    while (!ended && runtime.monotonic() < 10_000) {
      await runtime.yield()
      await runtime.advance(50)
      await runtime.yield()
    }
    await job
    expect(runtime.monotonic()).toBeGreaterThanOrEqual(2 * 150 * 10 - 100)
    expect(runtime.monotonic()).toBeLessThan(3500)
    await expect(relocate(new FakeRelocationLog(), [1], rangesOf, { bytesPerSecond: -1 })).rejects.toThrow(InvalidArgumentError)
  })
})
