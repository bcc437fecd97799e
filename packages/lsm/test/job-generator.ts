/** Random jobs, with their inputs in a file system and as plain arrays for the model. */
import { MAX_SEQUENCE, compareBytes, formatFileName } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import { Memtable } from '@wk/memtable'
import { TableWriter } from '@wk/sstable'
import type { TableSummary, TableWriterOptions } from '@wk/sstable'
import { Rng } from '@wk/testkit'
import fc from 'fast-check'
import { unionOf } from '../src/compaction/job.js'
import type { CompactionJob, Job, JobInput, JobOptions, KeyInterval } from '../src/compaction/job.js'
import type { PointerMove } from '../src/compaction/pointer-moves.js'
import { sorted } from './iterator-support.js'
import type { Entry } from './iterator-support.js'
import { CELL, CELLS, FIDS, Payloads, longKeys, someKeys, someSequences } from './job-entries.js'
import type { JobSource } from './job-model.js'

/** The size of a job: what shrinks. All else follows from the seed. */
export interface JobPlan {
  readonly seed: number
  readonly isFlush: boolean
  readonly hasMemtable: boolean
  readonly level0: number
  /** Most tables of each deeper level. */
  readonly levels: readonly number[]
  readonly entries: number
  readonly keys: number
}

export const planArbitrary: fc.Arbitrary<JobPlan> = fc.record({
  seed: fc.nat(0x7fff_ffff),
  isFlush: fc.nat(6).map((dice) => dice === 6),
  hasMemtable: fc.boolean(),
  level0: fc.oneof(fc.nat(2), fc.nat(18)),
  levels: fc.array(fc.nat(5), { maxLength: 2 }),
  entries: fc.oneof({ weight: 3, arbitrary: fc.nat(40) }, { weight: 4, arbitrary: fc.nat(400) }, { weight: 1, arbitrary: fc.nat(3000) }),
  keys: fc.oneof({ weight: 1, arbitrary: fc.nat(20) }, { weight: 3, arbitrary: fc.nat(1500) }),
})

export interface MadeJob {
  readonly job: Job
  readonly sources: readonly JobSource[]
  /** Holds the input tables. */
  readonly fs: MemoryFileSystem
}

const DIR = 'db'

export async function makeJob(plan: JobPlan): Promise<MadeJob> {
  const rng = new Rng(plan.seed)
  const fs = new MemoryFileSystem({ crashable: false })
  await fs.mkdir(DIR)
  const options = someOptions(rng)
  const now = rng.pick([0, 1000, 2 ** 31, 2 ** 32 + 9])
  const keys = someKeys(rng, plan.keys + 1)
  const payloads = new Payloads(rng, now, options.blockSize)
  const history = someSequences(rng, plan.entries)
  const entries = shuffled(rng, history).map((sequence) => payloads.entry(rng.pick(keys), sequence))
  if (rng.chance(0.1)) for (const key of longKeys(rng)) for (const entry of entries.slice(0, 4)) if (rng.chance(0.5)) entry.key = key
  const levels = plan.isFlush ? [] : [...Array.from({ length: plan.level0 }, () => 0), ...plan.levels.map((_, i) => i + 1)]
  const hasMemtable = plan.isFlush || plan.hasMemtable || levels.length === 0
  const groups = dealt(rng, entries, levels.length + (hasMemtable ? 1 : 0), payloads)
  const base = { dir: DIR, fileNumbers: someNumbers(rng), options, snapshots: someSnapshots(rng, history), now }
  const sources: JobSource[] = []
  const memory = hasMemtable ? groups.shift()! : []
  const memtable = hasMemtable ? memtableOf(rng, memory).describe() : undefined
  if (hasMemtable) sources.push({ tables: [memory] })
  if (plan.isFlush && memtable !== undefined) return { job: { ...base, type: 'flush', memtable }, sources, fs }

  const inputs: JobInput[] = []
  let number = 0
  for (const [i, level] of levels.entries()) {
    const tables = level === 0 ? [groups[i]!] : parted(rng, groups[i]!, plan.levels[level - 1]!)
    const summaries: TableSummary[] = []
    for (const table of tables) if (table.length > 0) summaries.push(await writeTable(fs, table, { ...someWriterOptions(rng), fileNumber: ++number }))
    sources.push({ tables })
    const last = inputs.at(-1)
    if (last?.level === level) last.tables.push(...summaries)
    else inputs.push({ level, tables: summaries })
  }
  const job: CompactionJob = { ...base, type: 'compact', inputs, outputLevel: plan.levels.length + 1, deeper: someIntervals(rng, keys), grandparents: someIntervals(rng, keys).map((interval) => ({ ...interval, size: rng.pick([1, 100, 5000]) })) }
  if (memtable !== undefined) job.memtable = memtable
  if (rng.chance(0.3)) job.moves = someMoves(rng)
  return { job, sources, fs }
}

/** Writes a table of `entries`, in order, and syncs nothing. */
export async function writeTable(fs: MemoryFileSystem, entries: readonly Entry[], options: TableWriterOptions): Promise<TableSummary> {
  const file = await fs.open(`${DIR}/${formatFileName('table', options.fileNumber)}`, 'create')
  const writer = new TableWriter(file, options)
  for (const { key, sequence, kind, payload } of entries) writer.add(key, 0, key.length, sequence, kind, payload, 0, payload.length)
  const summary = writer.finish()
  await file.close()
  return summary
}

function memtableOf(rng: Rng, entries: readonly Entry[]): Memtable {
  const length = entries.reduce((sum, { key, payload }) => sum + key.length + payload.length, 0)
  const memtable = new Memtable({ capacity: Memtable.capacityFor(entries.length, length) })
  for (const { key, sequence, kind, payload } of shuffled(rng, entries)) memtable.add(key, sequence, kind, payload)
  memtable.seal()
  return memtable
}

function shuffled<T>(rng: Rng, list: readonly T[]): T[] {
  const mixed = [...list]
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = rng.below(i + 1)
    ;[mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!]
  }
  return mixed
}

/** Deals `entries` to sources: one by one, in stretches of neighbours, or nearly all to one. Some go to others as well, as they are or with another payload. */
function dealt(rng: Rng, entries: readonly Entry[], count: number, payloads: Payloads): Entry[][] {
  const groups = Array.from({ length: count }, (): Entry[] => [])
  const stay = rng.pick([0, 0.9, 0.98])
  const favour = rng.chance(0.3) ? rng.below(count) : -1
  const again = rng.pick([0, 0.02, 0.3])
  let home = 0
  for (const entry of sorted(entries)) {
    if (!rng.chance(stay)) home = favour >= 0 && rng.chance(0.95) ? favour : rng.below(count)
    groups[home]!.push(entry)
    if (!rng.chance(again)) continue
    for (let other = (home + 1) % count; other !== home; other = (other + 1) % count) {
      if (rng.chance(0.5)) groups[other]!.push(rng.chance(0.5) ? entry : payloads.entry(entry.key, entry.sequence))
    }
  }
  return groups
}

/** Cuts sorted entries into tables without a common key, at most `count`, none empty. */
function parted(rng: Rng, entries: readonly Entry[], count: number): Entry[][] {
  const tables: Entry[][] = []
  for (const [i, entry] of entries.entries()) {
    const last = tables.at(-1)
    const isNewKey = i === 0 || compareBytes(entries[i - 1]!.key, entry.key) !== 0
    if (last === undefined || (isNewKey && tables.length < count && rng.chance((2 * count) / entries.length))) tables.push([entry])
    else last.push(entry)
  }
  return tables
}

function someWriterOptions(rng: Rng): Pick<JobOptions, 'blockSize' | 'restartInterval' | 'bloomBitsPerKey' | 'compression'> {
  return {
    blockSize: rng.pick([1, 64, 500, 4096, 4096, 65_536]),
    restartInterval: rng.pick([1, 2, 16, 16]),
    bloomBitsPerKey: rng.pick([0, 1, 10, 7.5]),
    compression: rng.pick(['none', 'none', 'lz4']),
  }
}

function someOptions(rng: Rng): JobOptions {
  return {
    ...someWriterOptions(rng),
    tableSize: rng.pick([1, 100, 600, 2000, 10_000, 100_000, 2 ** 40]),
    verifyChecksums: rng.chance(0.5),
    numVersionsToKeep: rng.pick([1, 1, 2, 3]),
    maxGrandparentOverlap: rng.pick([0, 150, 10_000, 2 ** 40]),
  }
}

/** Few or many, near the ends of what a number of 32 bits and a double hold. */
function someNumbers(rng: Rng): number[] {
  let next = rng.pick([1000, 999_990, 2 ** 31 - 3, 2 ** 32 - 3, Number.MAX_SAFE_INTEGER - 2000])
  return Array.from({ length: rng.pick([1, 2, 5, 500, 500]) }, () => (next += rng.between(1, 3)))
}

function someSnapshots(rng: Rng, history: readonly number[]): number[] {
  const snapshots = Array.from({ length: rng.between(0, 5) }, () => (history.length === 0 ? 0 : rng.pick(history)) + rng.between(-1, 1))
  return [...new Set(snapshots)].filter((sequence) => sequence >= 0 && sequence <= MAX_SEQUENCE).sort((a, b) => a - b)
}

/** Sorted and disjoint, between keys of the job. */
function someIntervals(rng: Rng, keys: readonly Uint8Array[]): KeyInterval[] {
  const last = keys.length - 1
  return unionOf(
    Array.from({ length: rng.pick([0, 1, 3, 20]) }, () => {
      const from = rng.between(0, last)
      return { smallest: keys[from]!, largest: keys[Math.min(last, from + rng.pick([0, 0, 1, 10]))]! }
    }),
  )
}

/** For some files: of most cells a part, so that there are pointers that a range holds, and such as only begin in one. */
function someMoves(rng: Rng): PointerMove[] {
  return shuffled(rng, FIDS)
    .slice(rng.below(FIDS.length))
    .map((fid) => {
      const target = rng.pick([7, 0xffff_fffe])
      if (rng.chance(0.2)) return { fid, target, starts: Uint32Array.of(0), lengths: Uint32Array.of(0xffff_ffff), positions: Uint32Array.of(0) }
      const cells = Array.from({ length: CELLS }, (_, i) => i * CELL).filter(() => rng.chance(0.8))
      if (rng.chance(0.5)) cells.push(0x7fff_ffff, 0xffff_fff0)
      return {
        fid,
        target,
        starts: Uint32Array.from(cells),
        lengths: Uint32Array.from(cells, () => rng.pick([1, 15, 500, CELL])),
        positions: Uint32Array.from(cells, () => rng.pick([0, 12_345, 0x7fff_ff00, 0xffff_0000])),
      }
    })
}
