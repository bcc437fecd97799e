/** Where jobs run: the same jobs in-line and in workers, and what happens when workers cannot be had or die. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { CorruptionError, MAX_SEQUENCE, formatFileName } from '@wk/codec'
import { MemoryFileSystem, NodeFileSystem, defaultRuntime } from '@wk/fs'
import { Memtable } from '@wk/memtable'
import { TableReader } from '@wk/sstable'
import type { TableSummary } from '@wk/sstable'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { InlineExecutor, PlainEngine, WorkerExecutor } from '../src/index.js'
import type { CompactionJob, Executor, FlushJob, JobOptions, LsmWarning, Task } from '../src/index.js'
import { History, dump, sameState, smallOptions, text as bytes } from './engine-support.js'
import { entryAt, historyArbitrary, propertyOptions, show, valueEntry, visible } from './iterator-support.js'
import type { Entry } from './iterator-support.js'

const OPTIONS: JobOptions = {
  tableSize: 1024,
  blockSize: 256,
  restartInterval: 4,
  bloomBitsPerKey: 10,
  compression: 'lz4',
  verifyChecksums: true,
  numVersionsToKeep: 1,
  maxGrandparentOverlap: 1 << 30,
}

const fs = new NodeFileSystem()
let dir: string
let nextNumber: number
let warnings: LsmWarning[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'wk-lsm-jobs-'))
  nextNumber = 1
  warnings = []
})
afterEach(() => rm(dir, { recursive: true }))

const takeNumbers = (count = 40): number[] => Array.from({ length: count }, () => nextNumber++)

function flushOf(entries: readonly Entry[], more: Partial<FlushJob> = {}): FlushJob {
  const memtable = new Memtable({ capacity: Memtable.capacityFor(entries.length, entries.reduce((sum, { key, payload }) => sum + key.length + payload.length, 0)) })
  for (const { key, sequence, kind, payload } of entries) memtable.add(key, sequence, kind, payload, 0, payload.length)
  memtable.seal()
  return { type: 'flush', dir, memtable: memtable.describe(), fileNumbers: takeNumbers(), options: OPTIONS, snapshots: [], now: 0, ...more }
}

function compactionOf(tables: TableSummary[], more: Partial<CompactionJob> = {}): CompactionJob {
  return { type: 'compact', dir, inputs: [{ level: 0, tables }], outputLevel: 1, fileNumbers: takeNumbers(), options: OPTIONS, snapshots: [], now: 0, deeper: [], grandparents: [], ...more }
}

function contents(tables: readonly TableSummary[]): Entry[] {
  return tables.flatMap((table) => {
    const file = fs.openSync(join(dir, formatFileName('table', table.number)), 'read')
    try {
      const cursor = TableReader.openSync(file, table.number, table.size).cursor()
      const entries: Entry[] = []
      for (cursor.first(); cursor.valid; cursor.next()) entries.push(entryAt(cursor))
      return entries
    } finally {
      file.closeSync()
    }
  })
}

const many = (count: number): Entry[] => Array.from({ length: count }, (_, i) => valueEntry(`k${String((i * 7919) % count).padStart(7, '0')}`, i + 1, 'x'.repeat(20)))

let made: Entry[] | undefined
/** Enough for a job of some hundred milliseconds. */
const large = (): Entry[] => (made ??= many(100_000))

function workers(more: { workerUrl?: URL | string; workers?: number } = {}): WorkerExecutor {
  return new WorkerExecutor({ fs, runtime: defaultRuntime, onWarning: (warning) => warnings.push(warning), inlineBelow: 0, ...more })
}

/** The file of a worker that dies as `query` says; threads take their environment from this process. */
function dying(query: string): URL {
  process.env['WK_DYING'] = `marker=${encodeURIComponent(join(dir, 'deaths'))}&${query}`
  return new URL('workers/dying.mjs', import.meta.url)
}

describe.each<[string, () => Executor]>([
  ['in-line', () => new InlineExecutor(fs, defaultRuntime)],
  ['one worker', () => workers()],
  ['two workers', () => workers({ workers: 2 })],
])('%s', (_name, make) => {
  let executor: Executor
  beforeEach(() => {
    executor = make()
  })
  afterEach(() => executor.close())

  test('flushes and compactions leave what every snapshot sees', async () => {
    await fc.assert(
      fc.asyncProperty(historyArbitrary.filter((history) => history.length > 1), fc.uniqueArray(fc.nat(80), { maxLength: 3 }), async (history, snapshots) => {
        snapshots.sort((a, b) => a - b)
        const half = history.length >> 1
        const flushed = await Promise.all([history.slice(0, half), history.slice(half)].map((part) => executor.run(flushOf(part, { snapshots }))))
        const tables = flushed.reverse().flatMap((result) => result.tables)
        const { tables: compacted } = await executor.run(compactionOf(tables, { snapshots }))
        for (const sequence of [...snapshots, MAX_SEQUENCE]) {
          expect(visible(contents(tables), sequence, 0).map(show)).toEqual(visible(history, sequence, 0).map(show))
          expect(visible(contents(compacted), sequence, 0).map(show)).toEqual(visible(history, sequence, 0).map(show))
        }
      }),
      propertyOptions(15),
    )
    expect(warnings).toEqual([])
  })

  test('damage is told with its place, and leaves no file', async () => {
    const { tables } = await executor.run(flushOf(many(300)))
    const path = join(dir, formatFileName('table', tables[0]!.number))
    const file = fs.openSync(path, 'update')
    file.writeSync(Uint8Array.of(0xff, 0xff, 0xff), 0, 3, 1000)
    file.closeSync()
    const before = await readdir(dir)
    const failure = await executor.run(compactionOf(tables)).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'WK_CORRUPTION', name: 'CorruptionError', file: formatFileName('table', tables[0]!.number) })
    expect((failure as { offset: number }).offset).toBeGreaterThan(0)
    expect(await readdir(dir)).toEqual(before)
  })

  test('an error of the system is told with its code, and foreign files are not touched', async () => {
    const job = flushOf(many(300))
    await writeFile(join(dir, formatFileName('table', job.fileNumbers[0]!)), 'mine')
    await expect(executor.run(job)).rejects.toMatchObject({ code: 'WK_IO', operation: 'open', cause: { code: 'EEXIST' } })
    expect(await readdir(dir)).toEqual([formatFileName('table', job.fileNumbers[0]!)])
  })

  test('abort ends a job soon and leaves no file; others go on', async () => {
    const controller = new AbortController()
    const options = { ...OPTIONS, tableSize: 1 << 20, blockSize: 4096 }
    const aborted = executor.run(flushOf(large(), { options }), controller.signal)
    const other = executor.run(flushOf(many(2000), { options }))
    await defaultRuntime.sleep(30)
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toMatchObject({ code: 'WK_ABORTED', name: 'AbortError', cause: { message: 'enough' } })
    const { tables } = await other
    expect(await readdir(dir)).toEqual(tables.map(({ number }) => formatFileName('table', number)))
    await expect(executor.run(flushOf(many(10)), AbortSignal.abort())).rejects.toMatchObject({ code: 'WK_ABORTED' })
  })

  test('closing aborts what runs, and ends for ever', async () => {
    const running = executor.run(flushOf(large(), { options: { ...OPTIONS, tableSize: 1 << 20, blockSize: 4096 } }))
    const ended = expect(running).rejects.toMatchObject({ code: 'WK_ABORTED' })
    await executor.close()
    await ended
    expect(await readdir(dir)).toEqual([])
    await expect(executor.run(flushOf(many(10)))).rejects.toMatchObject({ code: 'WK_CLOSED' })
    expect(warnings).toEqual([])
  })
})

describe('workers', () => {
  test('are started at the first job, and not for a small one', async () => {
    const executor = new WorkerExecutor({ fs, runtime: defaultRuntime })
    expect(executor.threads).toBe(0)
    await executor.run(flushOf(many(100)))
    expect(executor.threads).toBe(0)
    const { tables } = await executor.run(flushOf(many(5000)))
    expect(executor.threads).toBe(1)
    expect(contents(tables)).toHaveLength(5000)
    await executor.close()
    expect(executor.threads).toBe(0)
  })

  test('are started ahead where a job is foreseen, once, and keep no process alive', async () => {
    const executor = new WorkerExecutor({ fs, runtime: defaultRuntime })
    executor.prepare()
    executor.prepare()
    expect(executor.threads).toBe(1)
    await executor.run(flushOf(many(5000)))
    expect(executor.threads).toBe(1)
    await executor.close()
    executor.prepare()
    expect(executor.threads).toBe(0)
  })

  test.each([
    ['a file that is not there', (): URL | string => pathToFileURL(join(dir, 'nothing.mjs'))],
    ['a path that is not there', (): URL | string => join(dir, 'nothing.mjs')],
    ['nonsense', (): URL | string => 'no url'],
    ['a worker of another release', (): URL | string => new URL('workers/foreign.mjs', import.meta.url)],
  ])('%s: everything runs in-line, with one warning', async (_name, url) => {
    const executor = workers({ workerUrl: url() })
    await expect(runAgain(executor)).resolves.toHaveLength(3000)
    await expect(runAgain(executor)).resolves.toHaveLength(3000)
    expect(warnings.map(({ code }) => code)).toEqual(['WK_WORKER_UNAVAILABLE'])
    expect(warnings[0]!.cause).toBeInstanceOf(Error)
    await executor.close()
  })

  /** As the tree does it: again under other numbers when the thread was lost. */
  async function runAgain(executor: Executor, entries = many(3000)): Promise<Entry[]> {
    for (;;) {
      try {
        return contents((await executor.run(flushOf(entries))).tables)
      } catch (error) {
        expect(error).toMatchObject({ code: 'WK_IO', operation: 'worker' })
      }
    }
  }

  test.each(['exit', 'throw'])('one that dies in its job (%s) leaves no file, and the job runs in another', async (how) => {
    const executor = workers({ workerUrl: dying(`deaths=1&after=40&how=${how}`) })
    const lost = executor.run(flushOf(large()))
    await expect(lost).rejects.toMatchObject({ code: 'WK_IO', operation: 'worker' })
    expect(await readdir(dir)).toEqual(['deaths'])
    await expect(runAgain(executor)).resolves.toHaveLength(3000)
    expect(executor.threads).toBe(1)
    expect(warnings).toEqual([])
    await executor.close()
  })

  test('one that ends before it can work, for want of memory perhaps, is started once more', async () => {
    process.env['WK_STILLBORN'] = join(dir, 'stillborn')
    const executor = workers({ workerUrl: new URL('workers/stillborn.mjs', import.meta.url) })
    await expect(executor.run(flushOf(many(3000)))).rejects.toMatchObject({ code: 'WK_IO', operation: 'worker' })
    await expect(runAgain(executor)).resolves.toHaveLength(3000)
    expect(executor.threads).toBe(1)
    expect(warnings).toEqual([])
    await executor.close()
  })

  test('one whose file never answers is given up, and closing waits no longer', async () => {
    const silent = join(dir, 'silent.mjs')
    await writeFile(silent, 'setInterval(() => {}, 1000)')
    const executor = workers({ workerUrl: silent })
    const lost = executor.run(flushOf(many(3000))).catch((error: unknown) => error)
    await executor.close()
    expect(await lost).toMatchObject({ code: expect.stringMatching(/^WK_(IO|ABORTED)$/) as string })
    expect(executor.threads).toBe(0)
  })

  test('when they go on dying the job runs in-line, with a warning', async () => {
    const executor = workers({ workerUrl: dying('deaths=9') })
    await expect(runAgain(executor, many(30_000))).resolves.toHaveLength(30_000)
    expect(warnings.map(({ code }) => code)).toEqual(['WK_WORKER_LOST'])
    await executor.close()
  })

  test('a process ends by itself when its workers are idle, and not before what it awaits', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [new URL('workers/idle.mjs', import.meta.url).pathname, join(dir, 'tree')], { timeout: 30_000 })
    expect(stdout).toBe('flushed 20000, threads 0 to 1\n')
  })
})

describe('a tree with workers', () => {
  test.each(['deaths=0', 'deaths=1&after=5', 'deaths=3&after=3&how=throw'])('loses nothing, whatever dies (%s)', async (query) => {
    const history = new History()
    const path = join(dir, 'engine')
    const options = { ...smallOptions(fs), workerUrl: dying(query), onWarning: (warning: LsmWarning) => warnings.push(warning) }
    let engine = await PlainEngine.open(path, options)
    for (let i = 0; i < 60; i++) {
      const writes = Array.from({ length: 40 }, (_, k) => ({ type: 'put' as const, key: bytes(`k${(i * 17 + k * 29) % 700}`), value: bytes(`${i}`.padEnd(120, 'v')) }))
      history.call(writes)
      await engine.batch(writes)
    }
    await engine.compact()
    expect(sameState(dump(engine), history.latest)).toBe(true)
    await engine.close()
    engine = await PlainEngine.open(path, { ...options, workers: 0 })
    expect(sameState(dump(engine), history.latest)).toBe(true)
    await engine.close()
    expect((await readdir(path)).filter((name) => name.endsWith('.tmp'))).toEqual([])
  })

  test('in memory runs in-line', async () => {
    const engine = await PlainEngine.open('/db', { ...smallOptions(new MemoryFileSystem()), workerUrl: 'nonsense', onWarning: (warning) => warnings.push(warning) })
    for (let i = 0; i < 300; i++) await engine.put(bytes(`k${i}`), bytes('v'.repeat(500)))
    await engine.compact()
    await engine.close()
    expect(warnings).toEqual([])
  })
})

describe('tasks of a host', () => {
  const double: Task<number, number> = { kind: 'double', run: async (data) => 2 * data }
  const fail: Task<null, never> = {
    kind: 'fail',
    run: async () => {
      throw new CorruptionError('damaged', { file: 'f', offset: 3 })
    },
  }

  test.each<[string, () => Executor]>([
    ['in-line', () => new InlineExecutor(fs, defaultRuntime)],
    ['by a worker that knows no tasks', () => workers()],
    ['by a worker that dies', () => workers({ workerUrl: dying('deaths=9') })],
  ])('run, and fail as they do, %s', async (_name, make) => {
    const executor = make()
    expect(await executor.runTask(double, 21)).toBe(42)
    await expect(executor.runTask(fail, null)).rejects.toMatchObject({ code: 'WK_CORRUPTION', file: 'f', offset: 3 })
    await expect(executor.runTask(double, 1, AbortSignal.abort())).rejects.toMatchObject({ code: 'WK_ABORTED' })
    await executor.close()
    await expect(executor.runTask(double, 1)).rejects.toMatchObject({ code: 'WK_CLOSED' })
  })

  test('are run by a thread that has nothing else to do, or not at all', async () => {
    const nothing: Task<null, void> = { kind: 'nothing', run: async () => undefined }
    expect((new InlineExecutor(fs, defaultRuntime) as Executor).findIdle?.(nothing)).toBe(undefined)
    const executor = workers({ workerUrl: dying('deaths=1&after=20') })
    expect(executor.findIdle(nothing)).toBe(undefined)
    expect(executor.threads).toBe(0)
    executor.prepare()
    expect(executor.findIdle(nothing)).toBe(undefined)
    const idle = async (): Promise<(data: null) => Promise<void>> => {
      await expect.poll(() => executor.findIdle(nothing) === undefined, { interval: 1 }).toBe(false)
      return executor.findIdle(nothing)!
    }
    const refused = (await idle())(null)
    expect(executor.findIdle(nothing)).toBe(undefined)
    await expect(refused).rejects.toMatchObject({ code: 'WK_NOT_SUPPORTED' })
    const references: Task<unknown, unknown> = { kind: 'references', run: async () => undefined }
    const job = executor.run(flushOf(many(3000))).catch(() => undefined)
    expect(executor.findIdle(references)).toBe(undefined)
    await job
    // The first thread has died by now, or does so soon.
    await expect.poll(() => executor.threads, { interval: 1 }).toBe(0)
    expect(executor.findIdle(nothing)).toBe(undefined)
    await executor.runTask({ kind: 'nothing', run: async () => undefined }, null)
    await idle()
    await executor.close()
    expect(executor.findIdle(nothing)).toBe(undefined)
    expect(warnings).toEqual([])
  })
})
