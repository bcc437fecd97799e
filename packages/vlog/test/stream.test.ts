import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AbortedError, ClosedError, CorruptionError, InvalidArgumentError } from '@wk/codec'
import { ScheduledFileSystem, TraceFileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { ValueLog, type ValuePointer } from '../src/index.js'
import { recordLength, writeRecord } from '../src/record.js'
import { SEED, mulberry } from './support/bytes.js'
import { appendAll, collect, entryOf, failureOf, lineOf, newMemory, openLog } from './support/memory-log.js'

const random = mulberry(SEED)

async function prepare(count = 400): ReturnType<typeof build> {
  return build(count)
}

async function build(count: number) {
  const fs = await newMemory()
  const log = await openLog(fs, { fileSize: 1 << 16 })
  const kept = await appendAll(log, Array.from({ length: count }, () => entryOf(random, 900)), 20)
  const shuffled = kept.map((one) => ({ one, at: random() })).sort((a, b) => a.at - b.at).map(({ one }) => one)
  return { fs, log, kept, shuffled }
}

describe('stream', () => {
  test.each([1, 2, 7, 128, 5000])('records in the order of the pointers, window %i', async (window) => {
    const { log, shuffled } = await prepare()
    const entries = await collect(log.stream(shuffled.map(({ pointer }) => pointer), { window }))
    expect(entries.map(lineOf)).toEqual(shuffled.map(({ entry }) => lineOf(entry)))
    expect(await collect(log.stream([]))).toEqual([])
    await log.close()
  })

  test('at most a window of pointers is taken ahead, and the next ones are read while the caller works', async () => {
    const { fs, log, shuffled } = await prepare()
    await log.close()
    const trace = new TraceFileSystem(fs)
    const reader = await openLog(trace, { readOnly: true })
    let taken = 0
    async function* source(): AsyncGenerator<ValuePointer> {
      for (const { pointer } of shuffled) {
        taken++
        yield pointer
      }
    }
    let seen = 0
    for await (const entry of reader.stream(source(), { window: 20 })) {
      expect(lineOf(entry)).toBe(lineOf(shuffled[seen]!.entry))
      seen++
      await Promise.resolve()
      expect(taken - seen).toBeLessThanOrEqual(21)
    }
    expect(seen).toBe(shuffled.length)
    await reader.close()
  })

  test('reads complete in any order; results do not', async () => {
    const { fs, log, shuffled } = await prepare(120)
    await log.close()
    const reader = await openLog(new ScheduledFileSystem(fs, SEED), { readOnly: true })
    const big = shuffled.map(({ pointer }) => pointer)
    expect((await collect(reader.stream(big, { window: 50 }))).map(lineOf)).toEqual(shuffled.map(({ entry }) => lineOf(entry)))
    await reader.close()
  })

  test('abort, damage, an early end, a source that fails, close: each ends it, and nothing is left behind', async () => {
    const { log, shuffled } = await prepare()
    const pointers = shuffled.map(({ pointer }) => pointer)
    const aborter = new AbortController()
    let seen = 0
    const aborted = (async () => {
      for await (const _ of log.stream(pointers, { window: 10, signal: aborter.signal })) if (++seen === 33) aborter.abort()
    })()
    expect(await failureOf(aborted)).toBeInstanceOf(AbortedError)
    expect(seen).toBe(33)
    const bad = pointers.slice(0, 100).concat({ ...pointers[0]!, len: 20 })
    seen = 0
    const damaged = (async () => {
      for await (const _ of log.stream(bad, { window: 10 })) seen++
    })()
    expect(await failureOf(damaged)).toBeInstanceOf(CorruptionError)
    expect(seen).toBe(100)
    let closed = false
    function* source(): Generator<ValuePointer> {
      try {
        yield* pointers
      } finally {
        closed = true
      }
    }
    for await (const _ of log.stream(source(), { window: 4 })) break
    expect(closed).toBe(true)
    async function* failing(): AsyncGenerator<ValuePointer> {
      yield* pointers.slice(0, 5)
      throw new Error('of the source')
    }
    expect(await failureOf(collect(log.stream(failing())))).toMatchObject({ message: 'of the source' })
    for (const window of [0, 1.5, 1 << 20]) expect(() => log.stream([], { window })).toThrow(InvalidArgumentError)
    const stream = log.stream(pointers, { window: 2 })
    await stream.next()
    await log.close()
    expect(await failureOf(collect(stream))).toBeInstanceOf(ClosedError)
  })
})

test.each([0, 1, 200])('an abort ends a stream whose source lets wait behind %i pointers, and the source', async (count) => {
  const { log, shuffled } = await prepare()
  const pointers = shuffled.slice(0, count).map(({ pointer }) => pointer)
  const aborter = new AbortController()
  let isClosed = false
  const source: AsyncIterableIterator<ValuePointer> = {
    [Symbol.asyncIterator]: () => source,
    next: () => {
      const value = pointers.shift()
      return value === undefined ? new Promise(() => {}) : Promise.resolve({ done: false, value })
    },
    return: () => {
      isClosed = true
      return new Promise(() => {})
    },
  }
  const aborted = failureOf(collect(log.stream(source, { window: 10, signal: aborter.signal })))
  await expect.poll(() => pointers.length).toBe(0)
  aborter.abort('enough')
  expect(await aborted).toMatchObject({ code: 'WK_ABORTED', cause: 'enough' })
  expect(isClosed).toBe(true)
  await log.close()
})

describe('10,000 log files', () => {
  test('are read with 64 handles', async () => {
    const root = mkdtempSync(join(tmpdir(), 'wk-vlog-many-'))
    try {
      const dir = join(root, 'log')
      mkdirSync(dir)
      const text = (i: number): Buffer => Buffer.from(`value ${i}`)
      const pointers: ValuePointer[] = []
      for (let fid = 1; fid <= 10_000; fid++) {
        const value = text(fid)
        const len = recordLength(3, value.length, 0)
        const bytes = new Uint8Array(20 + len)
        writeRecord(bytes, 20, Buffer.from('key'), fid, 0, 0, 0, value)
        writeFileSync(join(dir, `${String(fid).padStart(6, '0')}.vlog`), bytes)
        pointers.push({ fid, offset: 20, len })
      }
      const handles = (): number => readdirSync('/proc/self/fd').length
      const before = handles()
      const log = await ValueLog.open(dir, { readOnly: true, maxOpenFiles: 64 })
      expect(log.files()).toHaveLength(10_000)
      let most = 0
      for (let i = 0; i < 3_000; i++) {
        const pointer = pointers[Math.floor(random() * pointers.length)]!
        if (log.readSync(pointer).version !== pointer.fid) throw new Error('a wrong record')
        if (i % 500 === 0) most = Math.max(most, handles())
      }
      const entries = await log.readMany(pointers)
      expect(entries.findIndex(({ value }, i) => Buffer.compare(value, text(i + 1)) !== 0)).toBe(-1)
      let next = 0
      for await (const { version } of log.stream(pointers.slice(0, 2_000), { window: 1000 })) if (version === pointers[next]!.fid) next++
      expect(next).toBe(2_000)
      most = Math.max(most, handles())
      expect(most - before).toBeLessThanOrEqual(64 + 8)
      await log.close()
      expect(handles()).toBe(before)
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  })
})
