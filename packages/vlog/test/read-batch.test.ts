import { crc32c } from '@wk/codec'
import { ManualRuntime, TraceFileSystem, type FileSystem } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { ValueBatch, type ValueLog } from '../src/index.js'
import { SEED, mulberry } from './support/bytes.js'
import { appendAll, entryOf, newMemory, openLog } from './support/memory-log.js'

const random = mulberry(SEED)

async function prepare(count: number, length: number) {
  const fs = await newMemory()
  const log = await openLog(fs, { fileSize: 1 << 20 })
  const kept = await appendAll(log, Array.from({ length: count }, () => ({ ...entryOf(random), value: new Uint8Array(length).map(() => random() * 256) })), 20)
  await log.close()
  return { fs, kept: kept.map((one) => ({ one, at: random() })).sort((a, b) => a.at - b.at).map(({ one }) => one) }
}

function batchOf(kept: Awaited<ReturnType<typeof prepare>>['kept']): ValueBatch {
  const batch = new ValueBatch()
  kept.forEach(({ pointer: { fid, offset, len }, entry: { key, version } }, slot) => batch.add(slot, fid, offset, len, Buffer.from(key), version))
  return batch
}

function expectValues(batch: ValueBatch, kept: Awaited<ReturnType<typeof prepare>>['kept']): void {
  expect(batch.values.map((value) => crc32c(value!))).toEqual(kept.map(({ entry }) => crc32c(entry.value)))
}

class Clock extends ManualRuntime {
  time = 0

  override monotonic(): number {
    return this.time
  }
}

class SlowFileSystem extends TraceFileSystem {
  readonly clock = new Clock()
  /** What a read on the calling thread takes. */
  ms = 0
  /** Reads on the calling thread. */
  reads = 0

  override aroundSync<T>(operation: Parameters<TraceFileSystem['aroundSync']>[0], run: () => T): T {
    if (operation.kind === 'read') {
      this.clock.time += this.ms
      this.reads++
    }
    return super.aroundSync(operation, run)
  }
}

async function open(inner: FileSystem, ms: number): Promise<{ log: ValueLog; fs: SlowFileSystem }> {
  const fs = new SlowFileSystem(inner)
  const log = await openLog(fs, { readOnly: true, runtime: fs.clock })
  fs.entries.length = 0
  fs.ms = ms
  fs.reads = 0
  return { log, fs }
}

describe('a batch of values', () => {
  test('of neighbours is one read, done before the call returns', async () => {
    const { fs: inner, kept } = await prepare(100, 500)
    const { log, fs } = await open(inner, 0.001)
    const batch = batchOf(kept)
    expect(log.readBatch(batch)).toBe(undefined)
    expectValues(batch, kept)
    expect(fs.entries.filter(({ kind }) => kind === 'read')).toHaveLength(1)
    await log.close()
  })

  test('gives the event loop a turn after each slice of quick reads', async () => {
    const { fs: inner, kept } = await prepare(120, 20_000)
    const { log, fs } = await open(inner, 0.05)
    const batch = batchOf(kept)
    const reading = log.readBatch(batch)
    const inFirstTurn = fs.entries.filter(({ kind }) => kind === 'read').length
    expect(inFirstTurn).toBeGreaterThanOrEqual(40)
    expect(inFirstTurn).toBeLessThanOrEqual(41)
    await reading
    expectValues(batch, kept)
    expect(fs.entries.filter(({ kind }) => kind === 'read')).toHaveLength(120)
    await log.close()
  })

  test('goes to the pool when reads are slow, sixteen at once', async () => {
    const { fs: inner, kept } = await prepare(60, 20_000)
    const { log, fs } = await open(inner, 0.3)
    const batch = batchOf(kept)
    const reading = log.readBatch(batch)
    expect(fs.entries.filter(({ kind }) => kind === 'read')).toHaveLength(4 + 16)
    await reading
    expectValues(batch, kept)
    await log.close()
  })

  test('asked for the same record twice, and for none', async () => {
    const { fs: inner, kept } = await prepare(3, 500)
    const { log } = await open(inner, 0)
    const twice = [...kept, ...kept]
    const batch = batchOf(twice)
    await log.readBatch(batch)
    expectValues(batch, twice)
    expect(log.readBatch(new ValueBatch())).toBe(undefined)
    await log.close()
  })
})

describe('values of more than 64 KiB', () => {
  test('are read on the calling thread up to 1 MiB, alone and in a batch', async () => {
    for (const length of [70_000, 1_000_000, 1_100_000]) {
      const { fs: inner, kept } = await prepare(3, length)
      const { log, fs } = await open(inner, 0.1)
      const isLong = length > 1 << 20
      for (const { pointer: { fid, offset, len }, entry: { key, version, value } } of kept) {
        expect(log.readsAtOnce(len)).toBe(!isLong)
        expect(crc32c(await log.readValue(fid, offset, len, Buffer.from(key), version!))).toBe(crc32c(value as Uint8Array))
      }
      const batch = batchOf(kept)
      await log.readBatch(batch)
      expectValues(batch, kept)
      expect(fs.reads).toBe(isLong ? 0 : 6)
      await log.close()
    }
  })

  test('hold the event loop for 4 ms of a turn, then go through the pool', async () => {
    const { fs: inner, kept } = await prepare(60, 100_000)
    const { log, fs } = await open(inner, 0.15)
    const read = ({ pointer: { fid, offset, len }, entry: { key, version } }: (typeof kept)[number]): Promise<Uint8Array> => log.readValue(fid, offset, len, Buffer.from(key), version!)
    const values = await Promise.all(kept.map(read))
    expect(values.map((value) => crc32c(value))).toEqual(kept.map(({ entry }) => crc32c(entry.value as Uint8Array)))
    expect(fs.reads).toBe(Math.ceil(4 / 0.15))
    await fs.clock.yield()
    await read(kept[0]!)
    expect(fs.reads).toBe(Math.ceil(4 / 0.15) + 1)
    await log.close()
  })

  test('are read through the pool for a while after one was slow', async () => {
    const { fs: inner, kept } = await prepare(1, 100_000)
    const { log, fs } = await open(inner, 5)
    const { pointer: { fid, offset, len }, entry: { key, version } } = kept[0]!
    const inCall: boolean[] = []
    for (let i = 0; i < 70; i++) {
      const before = fs.reads
      await log.readValue(fid, offset, len, Buffer.from(key), version!)
      inCall.push(fs.reads > before)
    }
    expect(inCall.flatMap((is, i) => (is ? [i] : []))).toEqual([0, 33, 66])
    await log.close()
  })
})
