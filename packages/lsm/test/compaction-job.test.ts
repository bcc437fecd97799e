import { KIND_ATTRIBUTES, KIND_POINTER, KIND_TOMBSTONE, KIND_VALUE, MAX_SEQUENCE, TRAILER_LENGTH, baseKind, compareBytes, crc32cRange, decodePointer, formatFileName, placeSeed, readTrailerKind, readTrailerSequence, writeTrailer } from '@wk/codec'
import { FaultFileSystem, MemoryFileSystem, TraceFileSystem, defaultRuntime } from '@wk/fs'
import type { FileSystem, Runtime } from '@wk/fs'
import { Memtable } from '@wk/memtable'
import { TableReader } from '@wk/sstable'
import type { TableSummary } from '@wk/sstable'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InlineExecutor } from '../src/compaction/executor.js'
import { flushCountBound, outputCountBound } from '../src/compaction/job.js'
import type { CompactionJob, FlushJob, JobOptions, JobResult } from '../src/compaction/job.js'
import { runJob } from '../src/compaction/job-runner.js'
import { makePick } from '../src/compaction/pick.js'
import { historyArbitrary, pointerEntry, propertyOptions, show, sorted, text, tombstone, valueEntry, visible, entryAt } from './iterator-support.js'
import type { Entry } from './iterator-support.js'

const OPTIONS: JobOptions = {
  tableSize: 1024,
  blockSize: 256,
  restartInterval: 4,
  bloomBitsPerKey: 10,
  compression: 'none',
  verifyChecksums: true,
  numVersionsToKeep: 1,
  maxGrandparentOverlap: 1 << 30,
}

const numbers = (from: number, count = 100): number[] => Array.from({ length: count }, (_, i) => from + i)

function memtableOf(entries: readonly Entry[]): Memtable {
  const memtable = new Memtable({ capacity: 1 << 20 })
  for (const { key, sequence, kind, payload } of entries) memtable.add(key, sequence, kind, payload, 0, payload.length)
  memtable.seal()
  return memtable
}

function flushJob(entries: readonly Entry[], more: Partial<FlushJob> = {}): FlushJob {
  return { type: 'flush', dir: 'db', memtable: memtableOf(entries).describe(), fileNumbers: numbers(1), options: OPTIONS, snapshots: [], now: 0, ...more }
}

async function directory(): Promise<MemoryFileSystem> {
  const fs = new MemoryFileSystem()
  await fs.mkdir('db')
  return fs
}

const context = (fs: FileSystem, signal?: AbortSignal): Parameters<typeof runJob>[1] => ({ fs, runtime: defaultRuntime, signal })

function contentOf(fs: FileSystem, table: TableSummary): Entry[] {
  const file = fs.openSync(`db/${formatFileName('table', table.number)}`, 'read')
  const reader = TableReader.openSync(file, table.number, table.size)
  for (const _ of reader.verify());
  expect(reader.summary()).toEqual(table)
  const cursor = reader.cursor()
  const entries: Entry[] = []
  for (cursor.first(); cursor.valid; cursor.next()) entries.push(entryAt(cursor))
  file.closeSync()
  return entries
}

const contents = (fs: FileSystem, { tables }: JobResult): Entry[] => tables.flatMap((table) => contentOf(fs, table))

/** Several flushes of level 0, newest first, and a compaction of all of them to `outputLevel`. */
async function compaction(fs: FileSystem, groups: readonly (readonly Entry[])[], more: Partial<CompactionJob> = {}): Promise<CompactionJob> {
  const flushed: TableSummary[] = []
  let number = 1
  for (const entries of groups) {
    if (entries.length === 0) continue
    const { tables } = await runJob(flushJob(entries, { fileNumbers: numbers(number), snapshots: numbers(0, 2000) }), context(fs))
    number += tables.length
    flushed.unshift(...tables)
  }
  await fs.syncDir('db')
  return {
    type: 'compact',
    dir: 'db',
    inputs: [{ level: 0, tables: flushed }],
    outputLevel: 1,
    fileNumbers: numbers(1000),
    options: OPTIONS,
    snapshots: [],
    now: 0,
    deeper: [],
    grandparents: [],
    ...more,
  }
}

/** Splits a history in order of time. */
function inGroups(history: readonly Entry[], count: number): Entry[][] {
  const groups: Entry[][] = []
  const each = Math.ceil(history.length / count)
  for (let i = 0; i < history.length; i += each) groups.push(history.slice(i, i + each))
  return groups
}

function sumOfReferences(entries: readonly Entry[]): Map<number, { count: number; bytes: number }> {
  const sums = new Map<number, { count: number; bytes: number }>()
  for (const { kind, payload } of entries) {
    if (baseKind(kind) !== 2) continue
    const { fid, len } = decodePointer(payload)
    const sum = sums.get(fid) ?? { count: 0, bytes: 0 }
    sums.set(fid, { count: sum.count + 1, bytes: sum.bytes + len })
  }
  return sums
}

describe('flush', () => {
  test('writes what every snapshot sees, tombstones included', async () => {
    await fc.assert(
      fc.asyncProperty(historyArbitrary.filter((history) => history.length > 0), fc.uniqueArray(fc.nat(80), { maxLength: 3 }), async (history, snapshots) => {
        const fs = await directory()
        snapshots.sort((a, b) => a - b)
        const result = await runJob(flushJob(history, { snapshots }), context(fs))
        const written = contents(fs, result)
        expect(written.map(show)).toEqual(sorted(written).map(show))
        for (const sequence of [...snapshots, MAX_SEQUENCE]) expect(visible(written, sequence, 0).map(show)).toEqual(visible(history, sequence, 0).map(show))
        const newest = new Map(sorted(history).reverse().map((entry) => [text(entry.key), entry]))
        for (const entry of newest.values()) if (entry.kind === KIND_TOMBSTONE) expect(written.map(show)).toContain(show(entry))
        expect(result.entries).toBe(history.length)
        expect(result.dropped.entries).toBe(history.length - written.length)
        expect(result.bytesRead).toBe(0)
        expect(result.bytesWritten).toBe(result.tables.reduce((sum, { size }) => sum + size, 0))
      }),
      propertyOptions(60),
    )
  })

  test('a memtable of many tables is cut only where the key changes', async () => {
    const fs = await directory()
    const entries = Array.from({ length: 3000 }, (_, i) => valueEntry(`key${String(i % 1000).padStart(5, '0')}`, i + 1, 'x'.repeat(30)))
    const memtable = memtableOf(entries)
    const bound = flushCountBound(memtable.usedBytes, OPTIONS)
    const { tables } = await runJob(flushJob(entries, { snapshots: [1500, 2500], fileNumbers: numbers(1, bound) }), context(fs))
    expect(tables.length).toBeGreaterThan(3)
    for (let i = 1; i < tables.length; i++) expect(compareBytes(tables[i - 1]!.largestKey, tables[i]!.smallestKey)).toBeLessThan(0)
  })
})

describe('compaction', () => {
  test('of any inputs changes no view, and accounts for every entry and reference', async () => {
    await fc.assert(
      fc.asyncProperty(historyArbitrary, fc.integer({ min: 1, max: 4 }), fc.uniqueArray(fc.nat(80), { maxLength: 3 }), fc.nat(21), fc.integer({ min: 1, max: 3 }), async (history, count, snapshots, now, numVersionsToKeep) => {
        const fs = await directory()
        snapshots.sort((a, b) => a - b)
        const job = await compaction(fs, inGroups(history, count), { snapshots, now, options: { ...OPTIONS, numVersionsToKeep } })
        if (job.inputs[0]!.tables.length === 0) return
        const before = contents(fs, { tables: job.inputs[0]!.tables } as JobResult)
        const result = await runJob(job, context(fs))
        const after = contents(fs, result)
        for (const sequence of [...snapshots, MAX_SEQUENCE]) expect(visible(after, sequence, now).map(show)).toEqual(visible(before, sequence, now).map(show))
        expect(result.entries).toBe(before.length)
        expect(result.dropped.entries).toBe(before.length - after.length)
        const sums = sumOfReferences(after)
        for (const { fid, count, bytes } of result.dropped.references) {
          const kept = sums.get(fid) ?? { count: 0, bytes: 0 }
          sums.set(fid, { count: kept.count + count, bytes: kept.bytes + bytes })
        }
        expect(sums).toEqual(sumOfReferences(before))
      }),
      propertyOptions(60),
    )
  })

  test('merges sorted levels with level 0 and cuts the output by size', async () => {
    const fs = await directory()
    const old = Array.from({ length: 500 }, (_, i) => valueEntry(`k${String(i).padStart(4, '0')}`, i + 1, 'old'.repeat(5)))
    const first = await runJob(await compaction(fs, [old]), context(fs))
    expect(first.tables.length).toBeGreaterThan(5)
    const news = Array.from({ length: 250 }, (_, i) => pointerEntry(`k${String(i * 2).padStart(4, '0')}`, 1000 + i, 7, i * 100, 100))
    const job = await compaction(fs, [], { fileNumbers: numbers(3000) })
    const flushed = await runJob(flushJob(news, { fileNumbers: numbers(2000) }), context(fs))
    job.inputs = [{ level: 0, tables: flushed.tables }, { level: 1, tables: first.tables }]
    const bound = outputCountBound([...flushed.tables, ...first.tables], [], OPTIONS)
    const result = await runJob({ ...job, fileNumbers: numbers(3000, bound) }, context(fs))
    expect(contents(fs, result).map(show)).toEqual(visible([...old, ...news], MAX_SEQUENCE, 0).map(show))
    expect(result.dropped).toMatchObject({ entries: 250, shadowed: 250, tombstones: 0, references: [] })
    for (const { size } of result.tables.slice(0, -1)) expect(size).toBeGreaterThan(700)
    for (const { size } of result.tables) expect(size).toBeLessThan(2048)
  })

  test('versions of one key are never parted', async () => {
    const fs = await directory()
    const entries = Array.from({ length: 600 }, (_, i) => valueEntry(`k${Math.floor(i / 200)}`, i + 1, 'x'.repeat(20)))
    const job = await compaction(fs, inGroups(entries, 3), { snapshots: numbers(1, 600) })
    const { tables } = await runJob(job, context(fs))
    expect(tables.map(({ smallestKey, largestKey }) => text(smallestKey) + text(largestKey))).toEqual(['k0k0', 'k1k1', 'k2k2'])
  })

  test('no output overlaps too many grandparents', async () => {
    const fs = await directory()
    const entries = Array.from({ length: 40 }, (_, i) => valueEntry(`k${String(i).padStart(2, '0')}`, i + 1, 'x'))
    const grandparents = Array.from({ length: 10 }, (_, i) => ({ smallest: entries[i * 4]!.key, largest: entries[i * 4 + 3]!.key, size: 1000 }))
    const options = { ...OPTIONS, tableSize: 1 << 20, maxGrandparentOverlap: 2000 }
    const { tables } = await runJob(await compaction(fs, [entries], { options, grandparents, deeper: [] }), context(fs))
    expect(tables.length).toBeGreaterThanOrEqual(3)
    for (const { smallestKey, largestKey } of tables) {
      const overlap = grandparents.filter(({ smallest, largest }) => compareBytes(smallest, largestKey) <= 0 && compareBytes(smallestKey, largest) <= 0).length
      expect(overlap).toBeLessThanOrEqual(4)
    }
  })

  test('with too few file numbers the last table takes the rest', async () => {
    const fs = await directory()
    const entries = Array.from({ length: 500 }, (_, i) => valueEntry(`k${String(i).padStart(4, '0')}`, i + 1, 'x'.repeat(20)))
    const result = await runJob(await compaction(fs, [entries], { fileNumbers: [77, 78] }), context(fs))
    expect(result.tables.map(({ number }) => number)).toEqual([77, 78])
    expect(contents(fs, result)).toHaveLength(500)
  })

  test('an older version behind a run of entries is dropped, wherever in the run its key is', async () => {
    const fs = await directory()
    const keys = Array.from({ length: 40 }, (_, i) => `key${String(i).padStart(2, '0')}`)
    for (const key of keys) {
      // As snapshots left them that have ended since.
      const entries = [...keys.map((one, i) => valueEntry(one, 100 + i, 'new')), valueEntry(key, 50, 'old'), valueEntry(key, 40, 'older')]
      for (const numVersionsToKeep of [1, 2]) {
        const job = await compaction(fs, [entries], { options: { ...OPTIONS, numVersionsToKeep } })
        const { tables, dropped } = await runJob(job, context(fs))
        expect(dropped.shadowed, key).toBe(3 - numVersionsToKeep)
        expect(contents(fs, { tables } as JobResult)).toHaveLength(39 + numVersionsToKeep)
        for (const { number } of [...tables, ...job.inputs[0]!.tables]) await fs.remove(`db/${formatFileName('table', number)}`)
      }
    }
  })

  test('leaves no table when nothing is left', async () => {
    const fs = await directory()
    const job = await compaction(fs, [[valueEntry('a', 1, 'x')], [tombstone('a', 2), pointerEntry('b', 3, 5, 0, 50, 9)]], { now: 10 })
    const result = await runJob(job, context(fs))
    expect(result.tables).toEqual([])
    expect(result.dropped).toEqual({ entries: 3, tombstones: 2, shadowed: 1, expired: 0, highestTombstone: 3, references: [{ fid: 5, count: 1, bytes: 50 }] })
    expect((await fs.list('db')).filter((name) => name.startsWith('001'))).toEqual([])
  })

  test('an expired entry above something older becomes a tombstone, and its reference is gone', async () => {
    const fs = await directory()
    const job = await compaction(fs, [[pointerEntry('b', 3, 5, 0, 50, 9)]], { now: 9, deeper: [{ smallest: new Uint8Array(0), largest: Uint8Array.of(255) }] })
    const result = await runJob(job, context(fs))
    expect(contents(fs, result).map(show)).toEqual([show(tombstone('b', 3))])
    expect(result.dropped).toMatchObject({ entries: 0, expired: 1, references: [{ fid: 5, count: 1, bytes: 50 }] })
    expect(result.tables[0]).toMatchObject({ tombstones: 1, expiring: 0, references: [] })
  })

  test('outputs are durable once the directory is synced (CR2)', async () => {
    const fs = await directory()
    const result = await runJob(await compaction(fs, [[valueEntry('a', 1, 'x')]]), context(fs))
    await fs.syncDir('db')
    expect(contents(fs.crashClone('P0'), result).map(show)).toEqual([show(valueEntry('a', 1, 'x'))])
  })

  test('the job a pick makes runs', async () => {
    const fs = await directory()
    const job = await compaction(fs, [[valueEntry('a', 1, 'x')], [tombstone('a', 2)]])
    const pick = makePick([job.inputs[0]!.tables, []], 'l0', job.inputs, 1, 1e9)
    expect(pick).toMatchObject({ trivialMove: false, deeper: [] })
    expect((await runJob({ ...job, ...structuredClone(pick) }, context(fs))).tables).toEqual([])
  })
})

/** Lets `change` at the first entry of a block, given the offset of its trailer, makes the checksum right again, and returns the offset of the block. */
async function forge(fs: MemoryFileSystem, table: TableSummary, block: number, change: (bytes: Uint8Array, trailer: number) => void): Promise<number> {
  const file = await fs.open(`db/${formatFileName('table', table.number)}`, 'update')
  const { offset, length } = TableReader.openSync(file, table.number, table.size).blockHandle(block)
  const bytes = new Uint8Array(length + 1 + 4)
  file.readSync(bytes, 0, bytes.length, offset)
  expect(readTrailerKind(bytes, 3)).toBe(KIND_VALUE)
  change(bytes, 3)
  new DataView(bytes.buffer).setUint32(length + 1, crc32cRange(bytes, 0, length + 1, placeSeed(table.number, offset)), true)
  file.writeSync(bytes, 0, bytes.length, offset)
  await file.sync()
  await file.close()
  return offset
}

const setKind =
  (kind: number) =>
  (bytes: Uint8Array, trailer: number): void => {
    writeTrailer(bytes, trailer, readTrailerSequence(bytes, trailer), kind)
  }

describe('prepared tables', () => {
  test.each<[string, string, number]>([
    ['a cut value pointer', 'elevenbytes', KIND_POINTER],
    ['an unknown kind', 'value', 0x3f],
    ['a tombstone with a payload', 'value', KIND_TOMBSTONE],
  ])('%s is damage to a compaction that keeps, moves or drops the entry, no internal error', async (_name, payload, kind) => {
    const newer = [valueEntry('k', 9, 'x')]
    for (const [groups, more] of [
      [[], {}],
      [[], { moves: [{ fid: 1, target: 2, starts: new Uint32Array(0), lengths: new Uint32Array(0), positions: new Uint32Array(0) }] }],
      [[newer], {}],
    ] as [Entry[][], Partial<CompactionJob>][]) {
      const fs = await directory()
      const job = await compaction(fs, [[valueEntry('k', 1, payload)], ...groups], more)
      const before = await fs.list('db')
      await forge(fs, job.inputs[0]!.tables.at(-1)!, 0, setKind(kind))
      await expect(runJob(job, context(fs))).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000001.sst', offset: 0 })
      expect(await fs.list('db')).toEqual(before)
      expect(fs.openFiles).toBe(0)
    }
  })
  test.each<[string, string, (bytes: Uint8Array, trailer: number) => void]>([
    ['of unknown kind', 'a table entry of unknown kind', setKind(0x3f)],
    ['whose attributes are cut', '1 bytes wanted', setKind(KIND_VALUE | KIND_ATTRIBUTES)],
    ['out of order', 'the entries of a table are out of order', (bytes, trailer) => void bytes.fill(0, trailer + TRAILER_LENGTH, trailer + TRAILER_LENGTH + 1)],
  ])('an entry %s is told with its table and the offset of its block, in whichever input it is', async (_name, message, change) => {
    const fs = await directory()
    const tables: TableSummary[] = []
    for (const first of [0, 1, 2]) {
      const entries = Array.from({ length: 40 }, (_, i) => valueEntry(`k${String(first + i * 3).padStart(3, '0')}`, 1 + first + i * 3, '\u00ff'.repeat(4)))
      tables.push(...(await runJob(flushJob(entries, { fileNumbers: [first + 1], options: { ...OPTIONS, tableSize: 1 << 20 } }), context(fs))).tables)
    }
    const job = await compaction(fs, [])
    job.inputs = [{ level: 0, tables: tables.slice(1) }, { level: 1, tables: tables.slice(0, 1) }]
    for (const table of tables) {
      const forged = fs.crashClone('P1')
      const offset = await forge(forged, table, 1, change)
      expect(offset).toBeGreaterThan(0)
      const file = formatFileName('table', table.number)
      await expect(runJob(job, context(forged))).rejects.toMatchObject({ code: 'WK_CORRUPTION', file, offset, message: expect.stringContaining(message) })
    }
  })
})

describe('failure and abort', () => {
  const OPERATIONS = ['open', 'create', 'write', 'sync', 'read', 'size', 'close'] as const

  const entries = Array.from({ length: 300 }, (_, i) => valueEntry(`k${String(i).padStart(4, '0')}`, i + 1, 'x'.repeat(20)))

  test('an I/O error at any operation is a typed error and leaves no debris and no open file', async () => {
    for (const errno of ['EIO', 'ENOSPC']) {
      for (const after of [false, true]) {
        let failures = 0
        for (let index = 0; ; index++) {
          const memory = await directory()
          const job = await compaction(memory, inGroups(entries, 2))
          const before = await memory.list('db')
          const trace = new TraceFileSystem(memory)
          const fs = new FaultFileSystem(trace, [{ operation: OPERATIONS, index, errno, after }])
          let failed = false
          try {
            await runJob(job, context(fs))
          } catch (error) {
            failed = true
            expect(error).toMatchObject({ code: 'WK_IO', cause: { code: errno } })
          }
          if (fs.injected.length === 0) break
          expect(failed, `operation ${index}`).toBe(true)
          expect(await memory.list('db'), `operation ${index}`).toEqual(before)
          const count = (...kinds: string[]): number => trace.entries.filter(({ kind }) => kinds.includes(kind)).length
          expect(new Set(trace.entries.filter(({ kind }) => kind === 'close').map(({ path }) => path)).size, `operation ${index}`).toBe(count('open', 'create'))
          failures++
        }
        expect(failures).toBeGreaterThan(10)
      }
    }
  })

  test('a file that is there already is not touched', async () => {
    const fs = await directory()
    const job = await compaction(fs, [entries], { fileNumbers: [500, 501, 502, 503, 504] })
    const path = 'db/000501.sst'
    const file = await fs.open(path, 'create')
    await file.write(Uint8Array.of(1, 2, 3), 0, 3, 0)
    await expect(runJob(job, context(fs))).rejects.toMatchObject({ code: 'WK_IO', cause: { code: 'EEXIST' } })
    expect(await fs.list('db')).toContain('000501.sst')
    expect(await fs.list('db')).not.toContain('000500.sst')
    expect(await file.size()).toBe(3)
  })

  test('a missing input is damage, not an I/O error', async () => {
    const fs = await directory()
    const job = await compaction(fs, [entries])
    await fs.remove('db/000001.sst')
    await expect(runJob(job, context(fs))).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000001.sst' })
  })

  test('a damaged input ends the job with the place of the damage', async () => {
    const fs = await directory()
    const job = await compaction(fs, [entries])
    const before = await fs.list('db')
    const file = await fs.open('db/000001.sst', 'update')
    const byte = new Uint8Array(1)
    await file.read(byte, 0, 1, 2000)
    byte[0]! ^= 0x80
    await file.write(byte, 0, 1, 2000)
    await expect(runJob(job, context(fs))).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: '000001.sst' })
    expect(await fs.list('db')).toEqual(before)
  })

  test('abort at any pause leaves nothing', async () => {
    let wasAborted = true
    let pauses = 0
    for (; wasAborted; pauses++) {
      const fs = await directory()
      const job = await compaction(fs, [entries])
      const before = await fs.list('db')
      const controller = new AbortController()
      let left = pauses
      let clock = 0
      const runtime: Runtime = {
        ...defaultRuntime,
        monotonic: () => (clock += 100),
        yield: async () => {
          if (left-- === 0) controller.abort(new Error('enough'))
        },
      }
      const run = runJob(job, { fs, runtime, signal: controller.signal })
      wasAborted = await run.then(
        () => controller.signal.aborted,
        () => true,
      )
      if (wasAborted) {
        await expect(run).rejects.toMatchObject({ code: 'WK_ABORTED', name: 'AbortError', cause: { message: 'enough' } })
        expect(await fs.list('db')).toEqual(before)
      } else {
        expect(await run).toMatchObject({ entries: 300 })
      }
    }
    expect(pauses).toBeGreaterThan(5)
  })

  test('an aborted signal starts nothing', async () => {
    const fs = await directory()
    const ops = fs.opCount
    await expect(runJob(flushJob(entries), context(fs, AbortSignal.abort()))).rejects.toMatchObject({ code: 'WK_ABORTED' })
    expect(fs.opCount).toBe(ops)
  })
})

describe('in-line executor', () => {
  const entries = Array.from({ length: 2000 }, (_, i) => valueEntry(`k${String(i).padStart(4, '0')}`, i + 1, 'x'.repeat(20)))
  const slow: Runtime = { ...defaultRuntime, monotonic: (() => { let clock = 0; return () => (clock += 100) })() }

  test('runs jobs, several at a time', async () => {
    const fs = await directory()
    const executor = new InlineExecutor(fs, slow)
    const results = await Promise.all([executor.run(flushJob(entries)), executor.run(flushJob(entries, { fileNumbers: numbers(500) }))])
    for (const result of results) expect(contents(fs, result)).toHaveLength(2000)
    await executor.close()
    await expect(executor.run(flushJob(entries))).rejects.toMatchObject({ code: 'WK_CLOSED' })
  })

  test('close aborts what runs and waits for it', async () => {
    const fs = await directory()
    const executor = new InlineExecutor(fs, slow)
    const run = executor.run(flushJob(entries))
    const ended = expect(run).rejects.toMatchObject({ code: 'WK_ABORTED' })
    await executor.close()
    expect(await fs.list('db')).toEqual([])
    await ended
    await executor.close()
  })

  test('the caller\'s signal ends one job only', async () => {
    const fs = await directory()
    const executor = new InlineExecutor(fs, slow)
    const controller = new AbortController()
    const first = executor.run(flushJob(entries), controller.signal)
    const second = executor.run(flushJob(entries, { fileNumbers: numbers(500) }))
    controller.abort()
    await expect(first).rejects.toMatchObject({ code: 'WK_ABORTED' })
    expect((await second).tables.length).toBeGreaterThan(0)
    await expect(executor.run(flushJob(entries), controller.signal)).rejects.toMatchObject({ code: 'WK_ABORTED' })
  })
})
