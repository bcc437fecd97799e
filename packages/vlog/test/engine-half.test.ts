import { MemoryFileSystem, ScheduledFileSystem, defaultRuntime } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import { CHUNK_SIZE } from '../src/staging.js'
import { DIRECT_FROM, SYNC_WRITE_LIMIT } from '../src/vlog-writer.js'
import { ValueLog, recordLength, type ValuePointer } from '../src/index.js'
import { mulberry, randomBytes, SEED } from './support/bytes.js'
import { DIR, newMemory, openLog, readFile } from './support/memory-log.js'

interface Staged {
  pointer: ValuePointer
  key: Uint8Array
  version: number
  value: Uint8Array
}

function stage(log: ValueLog, random: () => number, valueLength: number): Staged {
  const key = randomBytes(random, 9)
  const version = Math.floor(random() * 2 ** 48)
  const value = randomBytes(random, valueLength)
  const pointer = { fid: 0, offset: 0, len: 0 }
  log.stage(key, version, 0, 0, 0, value, pointer)
  const one = { pointer, key: key.slice(), version, value: value.slice() }
  key.fill(0)
  value.fill(0)
  return one
}

function expectReadable(log: ValueLog, staged: readonly Staged[]): void {
  for (const { pointer: { fid, offset, len }, key, version, value } of staged) {
    expect(Buffer.compare(log.readValueSync(fid, offset, len, key, version), value)).toBe(0)
  }
}

describe('the staged half', () => {
  test('recordsFrom goes on from any written position, over files, without what was relocated', async () => {
    const memory = await newMemory()
    const log = await openLog(memory, { fileSize: 4096, durable: null, lock: false })
    const random = mulberry(SEED)
    const staged: Staged[] = []
    const positions: { fid: number; offset: number }[] = [{ fid: 0, offset: 0 }]
    for (let i = 0; i < 40; i++) {
      staged.push(stage(log, random, (i * 97) % 900))
      log.endGroup()
      await log.writeStaged()
      positions.push(log.writtenPosition())
    }
    const found = async (from: { fid: number; offset: number }): Promise<number[]> => {
      const versions: number[] = []
      for await (const { entry } of log.recordsFrom(from)) versions.push(entry.version)
      return versions
    }
    const versions = staged.map(({ version }) => version)
    for (const [i, position] of positions.entries()) expect(await found(position), `from ${JSON.stringify(position)}`).toEqual(versions.slice(i))
    const relocation = await log.createRelocation()
    for (const { pointer: { fid, offset, len } } of staged) if (fid === 1) await relocation.copy(fid, offset, len)
    await relocation.finish()
    expect(await found(positions[0]!)).toEqual(staged.filter(({ pointer }) => pointer.fid > 1).map(({ version }) => version))
    await log.close()
  })

  test('staged records are readable at once, through every stage of their way', async () => {
    const memory = await newMemory()
    const log = await openLog(memory, { fileSize: 1 << 21, durable: null, lock: false })
    const random = mulberry(SEED)
    const staged: Staged[] = []
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 5; i++) staged.push(stage(log, random, [10, 400, 70_000, CHUNK_SIZE, 900_000][(round + i * i) % 5]!))
      log.endGroup()
      expectReadable(log, staged.slice(-12))
      const writing = log.writeStagedSync() ? undefined : log.writeStaged()
      staged.push(stage(log, random, 300))
      expectReadable(log, staged.slice(-12))
      const requests = staged.slice(-30)
      const values = await log.readValues(requests)
      values.forEach((value, i) => expect(Buffer.compare(value, requests[i]!.value)).toBe(0))
      await writing
      const last = staged.at(-3)!
      const { pointer: { fid, offset, len }, key, version } = last
      expect(Buffer.compare(await log.readValue(fid, offset, len, key, version), last.value)).toBe(0)
    }
    await log.close()
    const again = await openLog(memory, { readOnly: true, durable: null })
    expectReadable(again, staged)
    expect(again.files().length).toBeGreaterThan(10)
    await again.close()
  })

  test('writeStagedSync says no when a file has to be created, or there is too much, or a job is under way', async () => {
    const log = await openLog(await newMemory(), { durable: null, fileSize: 2 ** 30 })
    const random = mulberry(SEED)
    expect(log.writeStagedSync(), 'nothing staged').toBe(true)
    stage(log, random, 10)
    expect(log.writeStagedSync(), 'no file').toBe(false)
    const job = log.writeStaged()
    stage(log, random, 10)
    expect(log.writeStagedSync(), 'a job').toBe(false)
    await job
    expect(log.writeStagedSync()).toBe(true)
    expect(log.stagedBytes).toBe(0)
    for (let bytes = 0; bytes <= SYNC_WRITE_LIMIT; bytes += 100_000) stage(log, random, 100_000)
    expect(log.writeStagedSync(), 'too much').toBe(false)
    await log.writeStaged()
    expect(log.stagedBytes).toBe(0)
    await log.close()
  })

  test('a long value is written at the call, what was staged before it first, unless a job is under way', async () => {
    const log = await openLog(await newMemory(), { durable: null, fileSize: 2 ** 30 })
    const random = mulberry(SEED)
    const staged = [stage(log, random, 300_000)]
    expect(log.stagedBytes, 'no file').toBeGreaterThan(300_000)
    const job = log.writeStaged()
    staged.push(stage(log, random, DIRECT_FROM))
    expect(log.stagedBytes, 'a job').toBeGreaterThan(300_000 + DIRECT_FROM)
    await job
    expect(log.writeStagedSync()).toBe(true)
    for (const length of [100, DIRECT_FROM, 3 << 20, 50, DIRECT_FROM - 1, 7 << 20, 9 << 20]) {
      staged.push(stage(log, random, length))
      expectReadable(log, staged)
      if (length < DIRECT_FROM) continue
      expect(log.stagedBytes).toBe(0)
      expect(log.writtenPosition()).toEqual(log.position())
    }
    await log.close()
  })

  test('a very long value is written at the call as long as that is quick', async () => {
    let ms = 0
    let step = 0
    const log = await openLog(await newMemory(), { durable: null, fileSize: 2 ** 30, runtime: { ...defaultRuntime, monotonic: () => (ms += step) } })
    const random = mulberry(SEED)
    const staged = [stage(log, random, 100)]
    await log.writeStaged()
    const isStaged = async (length: number): Promise<boolean> => {
      staged.push(stage(log, random, length))
      const found = log.stagedBytes > 0
      expect(log.writtenPosition().offset).toBe(found ? staged.at(-1)!.pointer.offset : log.position().offset)
      expectReadable(log, staged.slice(-1))
      await log.writeStaged()
      return found
    }
    expect(await isStaged(21 << 20), 'nothing is known').toBe(true)
    expect(await isStaged(18 << 20)).toBe(false)
    expect(await isStaged(24 << 20), 'the last one was quick').toBe(false)
    step = 20
    expect(await isStaged(9 << 20)).toBe(false)
    for (let i = 0; i < 3; i++) expect(await isStaged(2 << 20)).toBe(false)
    expect(await isStaged(9 << 20), 'the last ones were slow').toBe(true)
    expect(await isStaged(7 << 20)).toBe(false)
    step = 0
    for (let i = 0; i < 3; i++) expect(await isStaged(2 << 20)).toBe(false)
    expect(await isStaged(9 << 20), 'they are quick again').toBe(false)
    expectReadable(log, staged)
    await log.close()
  })

  test('long values that end files: each is written at the call once the next file is there', async () => {
    const memory = await newMemory()
    const log = await openLog(memory, { durable: null, lock: false, fileSize: 1 << 20, prepareAhead: 1 << 19 })
    const random = mulberry(SEED)
    const staged: Staged[] = []
    let waited = 0
    for (let i = 0; i < 30; i++) {
      staged.push(stage(log, random, i % 3 === 0 ? 1000 : 400_000))
      log.endGroup()
      expectReadable(log, staged.slice(-5))
      if (!log.writeStagedSync()) {
        waited++
        await log.writeStaged()
      }
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(waited, 'for the first file').toBeLessThan(5)
    await log.close()
    const again = await openLog(memory, { readOnly: true, durable: null })
    expectReadable(again, staged)
    await again.close()
  })

  test('positions: staged, synced, and that a sync covers only what was written before', async () => {
    const fs = await newMemory()
    const log = await openLog(fs, { durable: null })
    const random = mulberry(SEED)
    expect([log.position(), log.syncedPosition()]).toEqual([{ fid: 0, offset: 0 }, { fid: 0, offset: 0 }])
    const length = recordLength(9, 100, 0)
    stage(log, random, 100)
    expect(log.position()).toEqual({ fid: 1, offset: 20 + length })
    await log.writeStaged()
    expect(log.syncedPosition()).toEqual({ fid: 1, offset: 20 })
    stage(log, random, 100)
    await log.sync()
    expect(log.syncedPosition()).toEqual({ fid: 1, offset: 20 + length })
    expect(readFile(fs.crashClone('P0'), '000001.vlog').length).toBe(20 + length)
    log.writeStagedSync()
    await log.seal()
    expect(log.syncedPosition()).toEqual({ fid: 1, offset: 20 + 2 * length })
    expect(log.position()).toEqual(log.syncedPosition())
    await log.close()
    const again = await openLog(fs, { cleanEnd: { fid: 1, size: 20 + 2 * length } })
    expect(again.position()).toEqual({ fid: 1, offset: 20 + 2 * length })
    expect(again.syncedPosition()).toEqual(again.position())
    await again.close()
  })

  test('rotation inside a group only where 32 bits force it', async () => {
    const log = await openLog(await newMemory(), { durable: null, fileSize: 4096 })
    const random = mulberry(SEED)
    const group = Array.from({ length: 20 }, () => stage(log, random, 1000))
    expect(new Set(group.map(({ pointer }) => pointer.fid)).size).toBe(1)
    log.endGroup()
    expect(stage(log, random, 1).pointer).toMatchObject({ fid: 2, offset: 20 })
    await log.writeStaged()
    expectReadable(log, group)
    await log.close()
  })

  test('any completion order of concurrent operations gives the same log', async () => {
    for (let seed = SEED; seed < SEED + 10; seed++) {
      const memory = await newMemory()
      const fs = new ScheduledFileSystem(memory, seed)
      const log = await ValueLog.open(DIR, { fs, fileSize: 4096 })
      const random = mulberry(seed)
      const entries = Array.from({ length: 40 }, () => ({ key: randomBytes(random, 5), value: randomBytes(random, 300) }))
      const appends = entries.map(async (entry, i) => {
        const [pointer] = await log.append([entry], { sync: i % 7 === 0 })
        expect(Buffer.compare((await log.read(pointer!)).value, entry.value)).toBe(0)
        return pointer!
      })
      await log.sync()
      const pointers = await Promise.all(appends)
      const order = pointers.map(({ fid, offset }) => fid * 2 ** 32 + offset)
      expect(order, 'call order').toEqual([...order].sort((a, b) => a - b))
      await log.close()
      const again = await openLog(memory)
      expect((await again.readMany(pointers)).map(({ value }) => value.length)).toEqual(entries.map(() => 300))
      expect(again.cutBytes).toBe(0)
      await again.close()
    }
  })

  test('memory that is written asynchronously is not reused too early', async () => {
    const memory = new MemoryFileSystem({ lateCopy: true })
    await memory.mkdir(DIR)
    const log = await openLog(memory, { durable: null, fileSize: 2 ** 30 })
    const random = mulberry(SEED)
    const staged: Staged[] = []
    for (let i = 0; i < 20; i++) {
      for (let at = 0; at < 4; at++) staged.push(stage(log, random, 200_000))
      const writing = log.writeStaged()
      for (let at = 0; at < 3; at++) staged.push(stage(log, random, 200_000))
      await writing
    }
    await log.close()
    const again = await openLog(memory, { durable: null })
    expectReadable(again, staged)
    await again.close()
  })
})
