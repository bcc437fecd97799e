/** Jobs whose input tables are damaged, or were prepared by somebody: a result or a typed error, in bounded time, and nothing left behind. */
import { KIND_ATTRIBUTES, KIND_POINTER, KIND_TOMBSTONE, KIND_VALUE, MAX_KEY_LENGTH, WkError, encodePointer, formatFileName } from '@wk/codec'
import { defaultRuntime } from '@wk/fs'
import type { FileSystem, Runtime } from '@wk/fs'
import { Memtable } from '@wk/memtable'
import { TableReader } from '@wk/sstable'
import type { TableSummary } from '@wk/sstable'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { CompactionJob, JobOptions, JobResult } from '../src/compaction/job.js'
import { runJob } from '../src/compaction/job-runner.js'
import { bytes, entryAt, propertyOptions, sorted, tombstone, valueEntry } from './iterator-support.js'
import type { Entry } from './iterator-support.js'
import { runModel } from './job-model.js'
import { DIR, directory, fileOf, flipped, forged, handleOf, rawTable, varint } from './table-forge.js'
import type { ForgedBlock, RawTable } from './table-forge.js'

/** Of the flips of whole tables every so many-th is made. */
const STRIDE = Number(process.env['WK_DAMAGE_STRIDE'] ?? 11)

const OPTIONS: JobOptions = {
  tableSize: 1500,
  blockSize: 300,
  restartInterval: 4,
  bloomBitsPerKey: 10,
  compression: 'none',
  verifyChecksums: true,
  numVersionsToKeep: 1,
  maxGrandparentOverlap: 1 << 30,
}
const MOVES = [{ fid: 1, target: 9, starts: Uint32Array.of(0), lengths: Uint32Array.of(1 << 20), positions: Uint32Array.of(500) }]
const COUNT = 60

const keyOf = (i: number): string => `key${String(i).padStart(5, '0')}`

/** Values, but for every fifth entry, which is a pointer, and every eleventh, a tombstone. */
function ownEntries(): Entry[] {
  return Array.from({ length: COUNT }, (_, i): Entry => {
    const key = bytes(keyOf(i * 2))
    if (i % 5 === 4) return { key, sequence: 1000 + i, kind: KIND_POINTER, payload: encodePointer({ fid: 1 + (i % 2), offset: i * 100, len: 100 }) }
    if (i % 11 === 10) return { key, sequence: 1000 + i, kind: KIND_TOMBSTONE, payload: new Uint8Array(0) }
    return valueEntry(keyOf(i * 2), 1000 + i, 'to be or no')
  })
}

/** What else a job reads, beside the table in question: newer and older tables, and a memtable. */
interface Company {
  readonly newer: readonly RawTable[]
  readonly older: readonly RawTable[]
  readonly memory?: readonly Entry[]
  readonly moves?: CompactionJob['moves']
}

function jobOf(table: RawTable, { newer, older, memory, moves }: Company, options: Partial<JobOptions>): CompactionJob {
  const summaries = [...newer, table].map(({ summary }) => summary)
  const job: CompactionJob = {
    type: 'compact',
    dir: DIR,
    inputs: [{ level: 0, tables: summaries }, { level: 1, tables: older.map(({ summary }) => summary) }],
    outputLevel: 1,
    fileNumbers: Array.from({ length: 50 }, (_, i) => 1000 + i),
    options: { ...OPTIONS, ...options },
    snapshots: [],
    now: 100,
    deeper: [],
    grandparents: [],
  }
  if (moves !== undefined) job.moves = moves
  if (memory === undefined) return job
  const memtable = new Memtable({ capacity: 1 << 16 })
  for (const { key, sequence, kind, payload } of memory) memtable.add(key, sequence, kind, payload)
  memtable.seal()
  job.memtable = memtable.describe()
  return job
}

/** The job's result, or the error that it rejects with, a typed one. Nothing but the inputs is there then. */
async function outcomeOf(job: CompactionJob, fs: FileSystem & { readonly openFiles: number }): Promise<JobResult | WkError> {
  const before = await fs.list(DIR)
  try {
    return await runJob(job, { fs, runtime: defaultRuntime })
  } catch (error) {
    if (!(error instanceof WkError)) throw error
    expect(await fs.list(DIR)).toEqual(before)
    expect(fs.openFiles).toBe(0)
    return error
  }
}

const others = (first: number, step: number, sequence: number): Entry[] => Array.from({ length: COUNT }, (_, i) => valueEntry(keyOf(first + i * step), sequence + i, 'of others'))

/** Every way in which a table may be read: by itself, in stretches, entry by entry, and hidden. */
const companies = (): Promise<[string, Company][]> => (made ??= makeCompanies())
let made: Promise<[string, Company][]> | undefined

async function makeCompanies(): Promise<[string, Company][]> {
  const table = (fileNumber: number, entries: readonly Entry[]): Promise<RawTable> => rawTable(entries, { fileNumber, blockSize: 300 })
  const [between, same, sparse, tombstones] = await Promise.all([
    table(2, others(1, 2, 500)),
    table(3, others(0, 2, 2000)),
    table(4, others(7, 40, 100)),
    table(5, Array.from({ length: COUNT }, (_, i) => tombstone(keyOf(i * 2), 3000 + i))),
  ])
  return [
    ['alone', { newer: [], older: [] }],
    ['with moves', { newer: [], older: [], moves: MOVES }],
    ['beside a few keys', { newer: [], older: [sparse] }],
    ['key by key between others', { newer: [], older: [between] }],
    ['beneath newer versions', { newer: [same], older: [] }],
    ['beneath tombstones', { newer: [tombstones], older: [sparse] }],
    ['beneath a memtable', { newer: [], older: [sparse], memory: others(0, 6, 4000) }],
    ['among many', { newer: [tombstones, same], older: [between], memory: others(1, 6, 4000), moves: MOVES }],
  ]
}

/** What a table says now, whatever its checksums are. */
function entriesOf(fs: FileSystem, { number, size }: TableSummary): Entry[] {
  const file = fs.openSync(`${DIR}/${formatFileName('table', number)}`, 'read')
  const cursor = TableReader.openSync(file, number, size, { verifyChecksums: false }).cursor()
  const entries: Entry[] = []
  for (cursor.first(); cursor.valid; cursor.next()) entries.push(entryAt(cursor))
  file.closeSync()
  return entries
}

/** Runs a job that verifies no checksums: what it gives is damage of the table, or what a model makes of its entries. Returns whether it was damage. */
async function expectSameAsModel(table: RawTable, company: Company): Promise<boolean> {
  const fs = await directory([...company.newer, table, ...company.older])
  const job = jobOf(table, company, { verifyChecksums: false })
  const outcome = await outcomeOf(job, fs)
  if (outcome instanceof WkError) {
    expect(outcome).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.sst' })
    return true
  }
  const sources = [...company.newer, table, ...company.older].map(({ summary }) => ({ tables: [entriesOf(fs, summary)] }))
  if (company.memory !== undefined) sources.unshift({ tables: [[...company.memory]] })
  const model = await runModel(job, sources)
  expect(outcome).toEqual(model.result)
  for (const { number } of outcome.tables) {
    const name = formatFileName('table', number)
    expect(fileOf(fs, name)).toEqual(fileOf(model.fs, name))
  }
  return false
}

describe('a flipped byte', () => {
  test.each(['none', 'lz4'] as const)('is a result or a typed error with the file: %s', async (compression) => {
    const table = await rawTable(ownEntries(), { fileNumber: 1, blockSize: 300, restartInterval: 4, compression })
    const all = await companies()
    const seen = { results: 0, errors: 0 }
    let turn = 0
    for (let at = 0; at < table.bytes.length; at += STRIDE) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const damaged = flipped(table, [[at, mask]])
        const [name, company] = all[turn++ % all.length]!
        const fs = await directory([...company.newer, damaged, ...company.older])
        for (const verifyChecksums of [true, false]) {
          const outcome = await outcomeOf(jobOf(damaged, company, { verifyChecksums, tableSize: 400 }), fs)
          if (outcome instanceof WkError) {
            seen.errors++
            expect(outcome, `${name}, ${mask} at ${at}`).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.sst' })
          } else {
            seen.results++
            for (const { number } of outcome.tables) await fs.remove(`${DIR}/${formatFileName('table', number)}`)
          }
        }
      }
    }
    expect(seen.results).toBeGreaterThan(0)
    expect(seen.errors).toBeGreaterThan(seen.results / 4)
  })

  test('in a data block is always noticed where checksums are verified', async () => {
    const table = await rawTable(ownEntries(), { fileNumber: 1, blockSize: 300, restartInterval: 4 })
    const { offset, length } = await handleOf(table)
    for (let at = 0; at < offset + length; at += STRIDE) {
      const damaged = flipped(table, [[at, 0x40]])
      expect(await outcomeOf(jobOf(damaged, { newer: [], older: [] }, {}), await directory([damaged]))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.sst' })
    }
  })

  test('beside others, with no checksums asked, is damage, or what the table says now', async () => {
    const all = await companies()
    const tables = await Promise.all((['none', 'lz4'] as const).map((compression) => rawTable(ownEntries(), { fileNumber: 1, blockSize: 700, restartInterval: 4, compression })))
    // Only data blocks: everything behind them is verified in any case.
    const ends = await Promise.all(tables.map((table) => handleOf(table)))
    await fc.assert(
      fc.asyncProperty(fc.nat(1), fc.nat(all.length - 1), fc.array(fc.tuple(fc.nat(0xffff), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 6 }), async (which, at, flips) => {
        const damaged = flipped(tables[which]!, flips.map(([place, mask]) => [place % (ends[which]!.offset + ends[which]!.length), mask] as const))
        await expectSameAsModel(damaged, all[at]![1])
      }),
      propertyOptions(600),
    )
  })

  test.each([0, 1, 43, 44, 500])('is no worse than a table of %d bytes', async (length) => {
    const table = await rawTable(ownEntries(), { fileNumber: 1, blockSize: 300 })
    for (const bytes of [table.bytes.subarray(0, length), Uint8Array.from([...table.bytes, ...new Uint8Array(length + 1)])]) {
      const cut = { summary: table.summary, bytes }
      expect(await outcomeOf(jobOf(cut, { newer: [], older: [] }, {}), await directory([cut]))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.sst' })
    }
  })
})

type Change = (block: ForgedBlock) => void

/** A change at a value that is no restart point: it may be one of many that are copied as they lie. */
const atValue =
  (change: (block: ForgedBlock, index: number) => void): Change =>
  (block) => change(block, block.indexOf(KIND_VALUE))

/** A change at a value that is a restart point. */
const atRestart =
  (change: (block: ForgedBlock, index: number) => void): Change =>
  (block) => change(block, block.indexOf(KIND_VALUE, true))

/** Writes one byte of an entry's header. */
const setByte = (block: ForgedBlock, index: number, at: number, value: number): void => void (block.bytes[block.entries[index]!.start + at] = value)

const SHARED = 0
const UNSHARED = 1
const PAYLOAD = 2

/** What is so many above the number that belongs there, and may be taken for it. */
const beyond = (value: number, more: number): number[] => varint(Math.min(Number.MAX_SAFE_INTEGER, value + more))

/** What no writer writes, in one block. */
const PREPARED: [string, Change][] = [
  ...[3, 4, 7, 8, 0x10, 0x3f, 0x81, 0xff].map((kind): [string, Change] => [`an entry of kind ${kind}`, atValue((block, index) => block.setKind(index, kind))]),
  ['a restart point of unknown kind', atRestart((block, index) => block.setKind(index, 3))],
  ['a tombstone with a payload', atValue((block, index) => block.setKind(index, KIND_TOMBSTONE))],
  ['a pointer of eleven bytes', atValue((block, index) => block.setKind(index, KIND_POINTER))],
  ['a pointer of no bytes', (block) => block.setKind(block.indexOf(KIND_TOMBSTONE), KIND_POINTER)],
  ['a key before the one before', atValue((block, index) => void (block.bytes[block.entries[index]!.key] = 0))],
  ['a restart point with a key before the one before', atRestart((block, index) => void (block.bytes[block.entries[index]!.key] = 0))],
  ['a key that is a prefix of the one before', atValue((block, index) => block.recode(index, (shared, unshared, payload) => [shared - 1, 0, payload + unshared]))],
  ['a key as the one before, with a later sequence', atValue((block, index) => {
    block.recode(index, (shared, unshared, payload) => [shared + unshared, 0, payload + unshared])
    block.bytes.fill(0, block.entries[index]!.trailer, block.entries[index]!.trailer + 6)
  })],
  ['a restart point in an entry', atRestart((block, index) => block.setRestart(index / 4, block.entries[index]!.start + 3))],
  ['a restart point before the header of an entry', atRestart((block, index) => block.setRestart(index / 4, block.entries[index]!.start - 1))],
  ['restart points that go back', (block) => block.setRestart(2, block.entries[1]!.start)],
  ['a restart point at the end of the entries', (block) => block.setRestart(2, block.restartAt(0))],
  ['a restart point far behind the entries', (block) => block.setRestart(2, 0xffff_ffff)],
  ['a first entry that is no restart point', (block) => block.setRestart(0, block.entries[1]!.start)],
  ['a restart point that shares', atRestart((block, index) => {
    // Its key stays what it was: only the place tells.
    const { key, end } = block.entries[index]!
    block.recode(index, (shared, unshared, payload) => [shared + 1, unshared - 1, payload + 1])
    block.bytes.copyWithin(key, key + 1, end)
  })],
  ['a restart point that shares what it has', atRestart((block, index) => setByte(block, index, SHARED, 1))],
  ['a first entry that shares', (block) => setByte(block, 0, SHARED, 1)],
  ['an entry that shares one byte more than there is', atValue((block, index) => setByte(block, index, SHARED, keyOf(0).length + 1))],
  ['an entry that shares as much as a byte tells', atValue((block, index) => setByte(block, index, SHARED, 0x7f))],
  ['no restart points', (block) => block.setRestartCount(0)],
  ['nothing but restart points', (block) => block.setRestartCount(Math.floor((block.bytes.length - 4) / 4))],
  ['more restart points than there is room for', (block) => block.setRestartCount(Math.floor(block.bytes.length / 4))],
  ['as many restart points as a number tells', (block) => block.setRestartCount(0xffff_ffff)],
  ['restart points whose length wraps', (block) => block.setRestartCount(0x4000_0000 + block.restartCount)],
  ['a last entry longer than its block', (block) => void block.bytes[block.entries.at(-1)!.start + PAYLOAD]!++],
  ['a byte behind the last entry', (block) => void block.bytes[block.entries.at(-1)!.start + PAYLOAD]!--],
  ['two bytes behind the last entry', (block) => void (block.bytes[block.entries.at(-1)!.start + PAYLOAD]! -= 2)],
  ['a value that ends behind a restart point', atValue((block, index) => setByte(block, index, PAYLOAD, 0x7f))],
  ['a key longer than its block', (block) => setByte(block, block.entries.length - 2, UNSHARED, 0x7f)],
  ['an overlong varint of what is shared', atRestart((block, index) => block.recode(index, (shared, unshared, payload) => [0x80 | shared, 0, unshared, payload]))],
  ['an overlong varint of a key', atValue((block, index) => block.recode(index, (shared, unshared, payload) => [shared, 0x80 | unshared, 0, payload]))],
  ['an overlong varint of a payload', atValue((block, index) => block.recode(index, (shared, unshared, payload) => [shared, unshared, 0x80 | payload, 0]))],
  ['a varint that does not end', atValue((block, index) => void block.bytes.fill(0xff, block.entries[index]!.start, block.entries[index]!.end))],
  ...[2 ** 31 - 1, 2 ** 31, 2 ** 32 - 10, 2 ** 32, 2 ** 53 - 1].flatMap((more): [string, Change][] => [
    [`a payload that is ${more} longer`, atValue((block, index) => block.recode(index, (shared, unshared, payload) => [shared, unshared, ...beyond(payload, more)]))],
    [`a key that is ${more} longer`, atValue((block, index) => block.recode(index, (shared, unshared, payload) => [shared, ...beyond(unshared, more), payload]))],
    [`${more} more bytes shared`, atValue((block, index) => block.recode(index, (shared, unshared, payload) => [...beyond(shared, more), unshared, payload]))],
  ]),
]

/** What only shows when attributes are read, which nobody has to do of an entry that newer ones hide. */
const CUT_ATTRIBUTES: [string, Change][] = [
  ['a pointer without the attributes that it should have', (block) => block.setKind(block.indexOf(KIND_POINTER), KIND_POINTER | KIND_ATTRIBUTES)],
  ['an expiry that does not end', atValue((block, index) => {
    block.setKind(index, KIND_VALUE | KIND_ATTRIBUTES)
    block.bytes.fill(0xff, block.entries[index]!.payload, block.entries[index]!.end)
  })],
]

/** What no writer writes, but every reader understands. */
const ODD: [string, Change][] = [
  ['an entry that shares less than it could', atValue((block, index) => {
    // The last byte of those shared comes to stand before its own.
    const { start, key, end } = block.entries[index]!
    const last = block.keyAt(index)[block.bytes[start]! - 1]!
    block.recode(index, (shared, unshared, payload) => [shared - 1, unshared + 1, payload - 1])
    block.bytes.copyWithin(key + 1, key, end - 1)
    block.bytes[key] = last
  })],
  ['a key twice, with the same sequence', atValue((block, index) => {
    const [before, own] = [block.entries[index - 1]!, block.entries[index]!]
    block.recode(index, (shared, unshared, payload) => [shared + unshared, 0, payload + unshared])
    block.bytes.copyWithin(own.trailer, before.trailer, before.trailer + 6)
  })],
]

describe('a prepared table', () => {
  test.each(ODD)('with %s is merged as it reads', async (_name, change) => {
    const table = await rawTable(ownEntries(), { fileNumber: 1, blockSize: 500, restartInterval: 4 })
    const odd = await forged(table, 1, true, change)
    expect(odd.bytes).not.toEqual(table.bytes)
    for (const [name, company] of await companies()) expect(await expectSameAsModel(odd, company), name).toBe(false)
  })

  const isHidden = (name: string): boolean => name === 'beneath newer versions' || name === 'beneath tombstones' || name === 'among many'

  test.each([...PREPARED.map(([name, change]) => [name, change, true] as const), ...CUT_ATTRIBUTES.map(([name, change]) => [name, change, false] as const)])('with %s is damage of its block, however it is read', async (_name, change, isAlwaysSeen) => {
    const table = await rawTable(ownEntries(), { fileNumber: 1, blockSize: 500, restartInterval: 4 })
    for (const isSigned of [true, false]) {
      const damaged = await forged(table, 1, isSigned, change)
      expect(damaged.offset).toBeGreaterThan(0)
      for (const [name, company] of await companies()) {
        const fs = await directory([...company.newer, damaged, ...company.older])
        const outcome = await outcomeOf(jobOf(damaged, company, isSigned ? {} : { tableSize: 600, blockSize: 1, verifyChecksums: false }), fs)
        if (isAlwaysSeen || !isHidden(name)) expect(outcome, name).toBeInstanceOf(WkError)
        if (outcome instanceof WkError) expect(outcome, name).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.sst', offset: damaged.offset })
      }
    }
  })

  test('with a key over the limit is damage of its block', async () => {
    const long = new Uint8Array(40_000).fill(0x61)
    const next = new Uint8Array(MAX_KEY_LENGTH).fill(0x61, 0, 39_000).fill(0x62, 39_000)
    const entries = sorted([valueEntry('a', 7, 'x'), valueEntry('b', 8, 'y')].map((entry, i) => ({ ...entry, key: [long, next][i]! })))
    const table = await rawTable(entries, { fileNumber: 1, blockSize: 1 << 20 })
    for (const [shared, unshared] of [[39_001, 26_000], [40_000, 26_000], [39_000, 65_001], [65_001, 26_000]] as const) {
      const damaged = await forged(table, 0, true, (block) => block.recode(1, (_shared, _unshared, payload) => [...varint(shared), ...varint(unshared), payload]))
      for (const [, company] of await companies()) {
        const fs = await directory([...company.newer, damaged, ...company.older])
        expect(await outcomeOf(jobOf(damaged, company, {}), fs)).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.sst', offset: 0 })
      }
    }
    const whole = await outcomeOf(jobOf(table, { newer: [], older: [] }, {}), await directory([table]))
    expect(whole).toMatchObject({ entries: 2 })
  })

  test('of a level whose tables are not in order is damage', async () => {
    const a = await rawTable(others(0, 1, 10), { fileNumber: 1 })
    const b = await rawTable(others(COUNT, 1, 10), { fileNumber: 2 })
    const job = { ...jobOf(a, { newer: [], older: [] }, {}), inputs: [{ level: 1, tables: [b.summary, a.summary] }] }
    expect(await outcomeOf(job, await directory([a, b]))).toMatchObject({ code: 'WK_CORRUPTION', file: '000001.sst', offset: 0 })
  })

  test('under the name of another, or not there, is damage', async () => {
    const table = await rawTable(ownEntries(), { fileNumber: 1 })
    const other = { ...table, summary: { ...table.summary, number: 8 } }
    expect(await outcomeOf(jobOf(other, { newer: [], older: [] }, {}), await directory([other]))).toMatchObject({ code: 'WK_CORRUPTION', file: '000008.sst' })
    expect(await outcomeOf(jobOf(other, { newer: [], older: [] }, {}), await directory([table]))).toMatchObject({ code: 'WK_CORRUPTION', file: '000008.sst' })
  })
})

/** Runs a job of these tables again and again, each time aborted at a later pause, until it ends before. Returns how often it was aborted. */
async function abortEverywhere(tables: readonly RawTable[], job: () => CompactionJob): Promise<number> {
  for (let aborted = 0; ; aborted++) {
    const fs = await directory(tables)
    const before = await fs.list(DIR)
    const controller = new AbortController()
    let left = aborted
    let clock = 0
    const runtime: Runtime = {
      ...defaultRuntime,
      monotonic: () => (clock += 100),
      yield: async () => {
        if (left-- === 0) controller.abort(new Error('enough'))
      },
    }
    const run = runJob(job(), { fs, runtime, signal: controller.signal })
    await run.catch(() => undefined)
    expect(fs.openFiles).toBe(0)
    if (!controller.signal.aborted) return aborted
    await expect(run).rejects.toMatchObject({ code: 'WK_ABORTED', name: 'AbortError', cause: { message: 'enough' } })
    expect(await fs.list(DIR)).toEqual(before)
  }
}

describe('an abort', () => {
  test('at any pause leaves nothing behind', async () => {
    const table = await rawTable(ownEntries(), { fileNumber: 1 })
    const newer = await rawTable(others(1, 2, 5000), { fileNumber: 2 })
    const memory = Array.from({ length: 500 }, (_, i) => valueEntry(keyOf(i), 6000 + i, 'of memory'))
    expect(await abortEverywhere([newer, table], () => jobOf(table, { newer: [newer], older: [], memory }, {}))).toBeGreaterThan(0)
  })

  test('is not waited for until there is something to write', async () => {
    const table = await rawTable(Array.from({ length: 3000 }, (_, i) => tombstone(keyOf(i), 1 + i)), { fileNumber: 1 })
    expect(await abortEverywhere([table], () => jobOf(table, { newer: [], older: [] }, {}))).toBeGreaterThan(0)
  })
})
