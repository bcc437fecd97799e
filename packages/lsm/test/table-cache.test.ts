import { CorruptionError, newLookupResult } from '@wk/codec'
import { MemoryFileSystem, defaultRuntime } from '@wk/fs'
import { Memtable } from '@wk/memtable'
import { BlockCache } from '@wk/sstable'
import type { TableSummary } from '@wk/sstable'
import { beforeEach, describe, expect, test } from 'vitest'
import { runJob } from '../src/compaction/job-runner.js'
import { TableCache } from '../src/table-cache.js'
import { bytes, tombstone, valueEntry } from './iterator-support.js'
import type { Entry } from './iterator-support.js'

let fs: MemoryFileSystem
const tables: TableSummary[] = []

async function write(number: number, entries: readonly Entry[]): Promise<TableSummary> {
  const memtable = new Memtable({ capacity: 1 << 20 })
  for (const { key, sequence, kind, payload } of entries) memtable.add(key, sequence, kind, payload, 0, payload.length)
  memtable.seal()
  const options = { tableSize: 1 << 20, blockSize: 256, restartInterval: 4, bloomBitsPerKey: 10, compression: 'none' as const, verifyChecksums: true, numVersionsToKeep: 9, maxGrandparentOverlap: 1 << 30 }
  const job = { type: 'flush' as const, dir: 'db', memtable: memtable.describe(), fileNumbers: [number], options, snapshots: [], now: 0 }
  return (await runJob(job, { fs, runtime: defaultRuntime })).tables[0]!
}

beforeEach(async () => {
  fs = new MemoryFileSystem()
  await fs.mkdir('db')
  tables.length = 0
  for (let number = 1; number <= 10; number++) {
    tables.push(await write(number, Array.from({ length: 50 }, (_, i) => valueEntry(`t${number}k${i}`, i + 1, `v${i}`))))
  }
})

describe('table cache', () => {
  test('never holds more tables or files than it may, and every table reads right', () => {
    const cache = new TableCache({ fs, dir: 'db', maxOpenFiles: 3, blockCache: new BlockCache(10_000) })
    const out = newLookupResult()
    for (let i = 0; i < 200; i++) {
      const table = tables[(i * 7) % 10]!
      expect(cache.get(table).get(bytes(`t${table.number}k${i % 50}`), 99, out)).toBe(true)
      expect(new TextDecoder().decode(out.valueBytes.subarray(out.valueStart, out.valueEnd))).toBe(`v${i % 50}`)
      expect(cache.openTables).toBeLessThanOrEqual(3)
      expect(cache.openFiles).toBeLessThanOrEqual(3)
    }
    expect(cache.memory).toBeGreaterThan(0)
  })

  test('drops the table that was not used for longest', () => {
    const cache = new TableCache({ fs, dir: 'db', maxOpenFiles: 2 })
    const first = cache.get(tables[0]!)
    cache.get(tables[1]!)
    expect(cache.get(tables[0]!)).toBe(first)
    cache.get(tables[2]!)
    expect(cache.get(tables[0]!)).toBe(first)
  })

  test('a cursor over a table that was dropped goes on', () => {
    const cache = new TableCache({ fs, dir: 'db', maxOpenFiles: 1 })
    const cursor = cache.openCursor(tables[0]!)
    cursor.first()
    let count = 0
    for (; cursor.valid; cursor.next()) {
      count++
      cache.get(tables[1 + (count % 9)]!).get(bytes('t2k1'), 99, newLookupResult())
      expect(cache.openFiles).toBe(1)
    }
    expect(count).toBe(50)
  })

  test('evict closes the file and forgets its blocks', async () => {
    const blockCache = new BlockCache(100_000)
    const cache = new TableCache({ fs, dir: 'db', maxOpenFiles: 5, blockCache })
    cache.get(tables[0]!).get(bytes('t1k1'), 99, newLookupResult())
    expect(blockCache.stats().blocks).toBe(1)
    cache.evict(1)
    cache.evict(1)
    expect(cache.openTables).toBe(0)
    expect(cache.openFiles).toBe(0)
    expect(blockCache.stats().blocks).toBe(0)
  })

  test('a missing file is damage with the name of the file', async () => {
    await fs.remove('db/000003.sst')
    const cache = new TableCache({ fs, dir: 'db', maxOpenFiles: 5 })
    const error = ((): unknown => {
      try {
        return cache.get(tables[2]!)
      } catch (error) {
        return error
      }
    })()
    expect(error).toBeInstanceOf(CorruptionError)
    expect(error).toMatchObject({ file: '000003.sst', offset: undefined })
    expect(cache.openFiles).toBe(0)
  })

  test('tells tables that may hold garbage', async () => {
    const cache = new TableCache({ fs, dir: 'db', maxOpenFiles: 5 })
    expect(cache.mayHoldGarbage(tables[0]!)).toBe(false)
    expect(cache.mayHoldGarbage(await write(20, [tombstone('a', 1)]))).toBe(true)
    expect(cache.mayHoldGarbage(await write(21, [valueEntry('a', 1, 'x', 99)]))).toBe(true)
    expect(cache.mayHoldGarbage(await write(22, [valueEntry('a', 1, 'x'), valueEntry('a', 2, 'y')]))).toBe(true)
  })

  test('after close everything is WK_CLOSED', async () => {
    const cache = new TableCache({ fs, dir: 'db', maxOpenFiles: 5 })
    const reader = cache.get(tables[0]!)
    await cache.close()
    await cache.close()
    expect(cache.openFiles).toBe(0)
    expect(() => cache.get(tables[1]!)).toThrow(expect.objectContaining({ code: 'WK_CLOSED' }))
    expect(() => reader.get(bytes('t1k1'), 99, newLookupResult())).toThrow(expect.objectContaining({ code: 'WK_CLOSED' }))
  })
})
