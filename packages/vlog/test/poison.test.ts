import { IoError, ReadOnlyError, errnoOf } from '@wk/codec'
import { FaultFileSystem, type FaultRule, type OperationKind } from '@wk/fs'
import { describe, expect, test } from 'vitest'
import type { ValueLog } from '../src/index.js'
import { DIRECT_FROM } from '../src/vlog-writer.js'
import { mulberry, SEED } from './support/bytes.js'
import { DIR, appendAll, entryOf, failureOf, lineOf, newMemory, openLog, type Kept } from './support/memory-log.js'

async function prepare(rules: FaultRule[] = []): Promise<{ fs: FaultFileSystem; log: ValueLog; kept: Kept[] }> {
  const fs = new FaultFileSystem(await newMemory())
  const log = await openLog(fs)
  const random = mulberry(SEED)
  const kept = await appendAll(log, Array.from({ length: 5 }, () => entryOf(random, 300)))
  for (const rule of rules) fs.add(rule)
  return { fs, log, kept }
}

async function expectPoisoned(log: ValueLog, kept: Kept[], cause: unknown): Promise<void> {
  const again = await failureOf(log.append([{ key: 'k', value: 'v' }]))
  expect(again).toBeInstanceOf(ReadOnlyError)
  expect((again as ReadOnlyError).cause).toBe(cause)
  for (const call of [log.sync(), log.seal(), log.writeStaged(), log.retire(1), log.dropLogical([1]), log.createRelocation()]) {
    expect(await failureOf(call)).toBeInstanceOf(ReadOnlyError)
  }
  expect(() => log.stage(new Uint8Array(1), 0, 0, 0, 0, new Uint8Array(1), { fid: 0, offset: 0, len: 0 })).toThrow(ReadOnlyError)
  for (const { entry, pointer } of kept) expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
}

describe('law 9: the first failure makes the log read-only in the same turn', () => {
  const rules: [string, FaultRule, number][] = [
    ['a synchronous write', { operation: 'write' }, 100],
    ['a pooled write', { operation: 'write' }, 2_000_000],
    ['a write that was half done', { operation: 'write', short: 10, errno: 'ENOSPC' }, 100],
  ]

  test.each(rules)('%s', async (_, rule, length) => {
    const { fs, log, kept } = await prepare([rule])
    const failing = log.append([{ key: 'a', value: 'x'.repeat(length) }])
    const waiting = log.append([{ key: 'b', value: 'y'.repeat(length) }])
    const failure = await failureOf(failing)
    expect(failure).toBeInstanceOf(IoError)
    expect(errnoOf(failure)).toBe(rule.errno ?? 'EIO')
    // Short ones of one turn share the write and its failure.
    expect(await failureOf(waiting)).toBeInstanceOf(length < DIRECT_FROM ? IoError : ReadOnlyError)
    await expectPoisoned(log, kept, failure)
    fs.clear()
    const started = performance.now()
    await log.close()
    expect(performance.now() - started).toBeLessThan(5000)
    const reopened = await openLog(fs)
    for (const { entry, pointer } of kept) expect(lineOf(reopened.readSync(pointer))).toBe(lineOf(entry))
    expect((await reopened.append([{ key: 'k', value: 'v' }]))[0]!.fid).toBe(2)
    await reopened.close()
  })

  test.each(['sync', 'syncDir', 'create'] as OperationKind[])('a failed %s while rotating', async (operation) => {
    const { fs, log, kept } = await prepare()
    await log.append([{ key: 'fill', value: 'x'.repeat(5000) }])
    await log.sync()
    await Promise.resolve()
    fs.add({ operation, path: operation === 'syncDir' ? DIR : '000002' })
    const failure = await failureOf(log.append([{ key: 'next', value: 'file' }]))
    expect(errnoOf(failure)).toBe('EIO')
    await expectPoisoned(log, kept, failure)
    await log.close()
  })

  test('a failed sync: nobody is acknowledged afterwards, also where the device lies', async () => {
    const { log, kept } = await prepare([{ operation: 'sync', thenLie: true }])
    const first = log.append([{ key: 'a', value: 'b' }], { sync: true })
    const second = log.append([{ key: 'c', value: 'd' }], { sync: true })
    const failure = await failureOf(first)
    expect(failure).toBeInstanceOf(IoError)
    expect(await failureOf(second)).toBeDefined()
    await expectPoisoned(log, kept, failure)
    await log.close()
  })

  test('a staged record that was never written cannot be read afterwards', async () => {
    const { log } = await prepare([{ operation: 'write' }])
    const out = { fid: 0, offset: 0, len: 0 }
    const key = new TextEncoder().encode('key')
    log.stage(key, 3, 0, 0, 0, new Uint8Array(50), out)
    expect(log.readValueSync(out.fid, out.offset, out.len, key, 3)).toEqual(new Uint8Array(50))
    log.endGroup()
    expect(() => log.writeStagedSync()).toThrow(IoError)
    expect(() => log.readValueSync(out.fid, out.offset, out.len, key, 3)).toThrow(ReadOnlyError)
    expect(log.stagedBytes).toBe(0)
    await log.close()
  })

  test('an I/O error at every operation of every kind: typed, with its errno, and the directory opens again', async () => {
    for (let index = 0; index < 200; index++) {
      const fs = new FaultFileSystem(await newMemory(), [{ index, errno: index % 2 === 0 ? 'EIO' : 'ENOSPC', times: index % 3 === 0 ? Infinity : 1 }])
      const kept: Kept[] = []
      const failure = await failureOf(work(fs, kept))
      if (fs.injected.length === 0) {
        expect(failure).toBeUndefined()
        expect(index).toBeGreaterThan(40)
        return
      }
      if (failure !== undefined) expect(['EIO', 'ENOSPC']).toContain(errnoOf(failure))
      fs.clear()
      const log = await openLog(fs)
      for (const { entry, pointer } of kept) expect(lineOf(log.readSync(pointer)), `index ${index}`).toBe(lineOf(entry))
      await log.append([{ key: 'still', value: 'writable' }], { sync: true })
      expect(await log.verify()).toMatchObject({ ok: true })
      await log.close()
    }
    throw new Error('the workload has more operations than expected')
  })

  async function work(fs: FaultFileSystem, kept: Kept[]): Promise<void> {
    const log = await openLog(fs)
    try {
      const random = mulberry(SEED)
      for (let i = 0; i < 6; i++) {
        const entries = Array.from({ length: 3 }, () => entryOf(random, 900))
        const pointers = await log.append(entries, { sync: i % 2 === 0 })
        entries.forEach((entry, at) => kept.push({ entry, pointer: pointers[at]! }))
      }
      await log.seal()
      const victim = log.files()[0]!.fid
      const relocation = await log.createRelocation()
      try {
        for (const { pointer } of kept) if (pointer.fid === victim) await relocation.copy(victim, pointer.offset, pointer.len)
        await relocation.finish()
      } finally {
        await relocation.abort()
      }
    } finally {
      await log.close()
    }
  }
})

describe('short reads and writes', () => {
  test('change nothing', async () => {
    const rules: FaultRule[] = [{ operation: ['read', 'write'], short: 7, times: Infinity }]
    const { log, kept } = await prepare(rules)
    kept.push(...(await appendAll(log, Array.from({ length: 9 }, () => entryOf(mulberry(5), 900)))))
    for (const { entry, pointer } of kept) expect(lineOf(log.readSync(pointer))).toBe(lineOf(entry))
    const entries = await log.readMany(kept.map(({ pointer }) => pointer))
    expect(entries.map(lineOf)).toEqual(kept.map(({ entry }) => lineOf(entry)))
    expect(await log.verify()).toMatchObject({ ok: true, records: kept.length })
    await log.close()
  })

  test('a failure beside the calls is told to the owner once, with what failed', async () => {
    const told: unknown[] = []
    const fs = new FaultFileSystem(await newMemory())
    const log = await openLog(fs, { fileSize: 4096, onFailure: (error) => told.push(error) })
    fs.add({ operation: 'sync' })
    // Fills the file, which is then sealed beside the calls.
    await log.append([{ key: 'b', value: 'y'.repeat(6000) }]).catch(() => undefined)
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    await failureOf(log.append([{ key: 'c', value: 'z' }]))
    expect(told).toHaveLength(1)
    expect(told[0]).toBeInstanceOf(IoError)
    await log.close().catch(() => undefined)
  })
})
