/**
 * What a job has to write, worked out the plain way: all entries in one array, sorted, judged and added to tables one by one.
 *
 * The model knows the rules that jobs follow and nothing of how they are run. Tables are written with `TableWriter.add` into a file
 * system of their own, so that outputs can be compared byte for byte.
 */
import {
  KIND_POINTER,
  KIND_TOMBSTONE,
  baseKind,
  compareBytes,
  decodePointer,
  formatFileName,
  invariant,
  writePointer,
} from '@wk/codec'
import type { EntryView } from '@wk/codec'
import { MemoryFileSystem } from '@wk/fs'
import type { File } from '@wk/fs'
import { TableWriter } from '@wk/sstable'
import type { TableSummary, TableWriterOptions } from '@wk/sstable'
import { BURY, DropRules, KEEP, VANISH } from '../src/compaction/drop-rules.js'
import type { Verdict } from '../src/compaction/drop-rules.js'
import { FLUSH_TABLES } from '../src/compaction/job.js'
import type { DroppedEntries, Job, JobResult } from '../src/compaction/job.js'
import type { PointerMove } from '../src/compaction/pointer-moves.js'
import { compareEntries } from './iterator-support.js'
import type { Entry } from './iterator-support.js'

/** Where entries of a job come from: a memtable, a table of level 0, or the tables of a deeper level. Each sorted; a level's are disjoint. */
export interface JobSource {
  readonly tables: readonly (readonly Entry[])[]
}

export interface ModelResult {
  readonly result: JobResult
  /** Holds the outputs. */
  readonly fs: MemoryFileSystem
}

/** An entry, and whence. */
interface Offered extends Entry {
  /** Lower is newer. */
  readonly rank: number
}

const NOTHING = new Uint8Array(0)

/** Everything that a job does with `sources`, newest first. */
export async function runModel(job: Job, sources: readonly JobSource[]): Promise<ModelResult> {
  const fs = new MemoryFileSystem({ crashable: false })
  await fs.mkdir(job.dir)
  const rules = new DropRules({
    snapshots: job.snapshots,
    now: job.now,
    versionsToKeep: job.options.numVersionsToKeep,
    deeper: job.type === 'compact' ? job.deeper : undefined,
  })
  const tables = new TableModel(fs, job)
  const dropped: DroppedEntries = { entries: 0, tombstones: 0, shadowed: 0, expired: 0, highestTombstone: 0, references: [] }
  const all = offered(sources)
  let entries = 0
  /** Of those with the same key and sequence number. */
  let newest = all[0]
  for (const entry of all) {
    if (newest === undefined || compareEntries(newest, entry) !== 0) newest = entry
    // Twice in one source, which is damaged then, is for the rules to judge.
    if (newest.rank !== entry.rank) continue
    entries++
    const verdict = rules.judge(viewOf(entry))
    if (verdict === KEEP) await tables.add(moved(entry, job))
    else {
      if (verdict === BURY) await tables.add({ ...entry, kind: KIND_TOMBSTONE, payload: NOTHING })
      count(dropped, verdict, entry)
    }
  }
  const summaries = tables.finish()
  dropped.references.sort((a, b) => a.fid - b.fid)
  const inputs = job.type === 'compact' ? job.inputs.flatMap((input) => input.tables) : []
  return { result: { tables: summaries, entries, dropped, bytesRead: sizeOf(inputs), bytesWritten: sizeOf(summaries) }, fs }
}

const sizeOf = (tables: readonly TableSummary[]): number => tables.reduce((sum, { size }) => sum + size, 0)

/** In internal order, of equals the newest source first. */
function offered(sources: readonly JobSource[]): Offered[] {
  const all = sources.flatMap(({ tables }, rank) => tables.flat().map((entry) => ({ ...entry, rank })))
  return all.sort((a, b) => compareEntries(a, b) || a.rank - b.rank)
}

function viewOf({ key, sequence, kind, payload }: Entry): EntryView {
  return { keyBytes: key, keyStart: 0, keyEnd: key.length, sequence, kind, valueBytes: payload, valueStart: 0, valueEnd: payload.length }
}

function count(dropped: DroppedEntries, verdict: Verdict, { sequence, kind, payload }: Entry): void {
  if (verdict === BURY) dropped.expired++
  else dropped.entries++
  if (verdict === VANISH) {
    dropped.tombstones++
    dropped.highestTombstone = Math.max(dropped.highestTombstone, sequence)
  } else if (verdict !== BURY) {
    dropped.shadowed++
    if (baseKind(kind) === KIND_TOMBSTONE) dropped.tombstones++
  }
  if (baseKind(kind) !== KIND_POINTER) return
  const { fid, len } = decodePointer(payload)
  let sum = dropped.references.find((reference) => reference.fid === fid)
  if (sum === undefined) dropped.references.push((sum = { fid, count: 0, bytes: 0 }))
  sum.count++
  sum.bytes += len
}

/** The entry with its pointer moved, if one of the job's ranges holds all of its record. */
function moved(entry: Entry, job: Job): Entry {
  if (job.type !== 'compact' || baseKind(entry.kind) !== KIND_POINTER) return entry
  const { fid, offset, len } = decodePointer(entry.payload)
  const move = job.moves?.find((candidate) => candidate.fid === fid)
  const place = move === undefined ? undefined : placeOf(move, offset, len)
  if (move === undefined || place === undefined) return entry
  const payload = entry.payload.slice()
  writePointer(payload, 0, move.target, place, len)
  return { ...entry, payload }
}

function placeOf({ starts, lengths, positions }: PointerMove, offset: number, length: number): number | undefined {
  const range = starts.findLastIndex((start) => start <= offset)
  if (range < 0) return undefined
  const into = offset - starts[range]!
  return into + length <= lengths[range]! ? positions[range]! + into : undefined
}

/**
 * The tables of a job, cut between user keys only: before the first key that finds the table of `tableSize` or more, or having passed
 * too many grandparents, as long as there are file numbers.
 */
class TableModel {
  readonly #fs: MemoryFileSystem
  readonly #job: Job
  readonly #summaries: TableSummary[] = []
  #open: { file: File; writer: TableWriter } | undefined
  #last: Entry | undefined
  #grandparent = 0
  #passed = 0

  constructor(fs: MemoryFileSystem, job: Job) {
    this.#fs = fs
    this.#job = job
  }

  async add(entry: Entry): Promise<void> {
    if ((this.#last === undefined || compareBytes(this.#last.key, entry.key) !== 0) && this.#isDue(entry)) {
      this.#endTable()
      await this.#startTable()
    }
    const { key, sequence, kind, payload } = entry
    this.#open!.writer.add(key, 0, key.length, sequence, kind, payload, 0, payload.length)
    this.#last = entry
  }

  finish(): TableSummary[] {
    this.#endTable()
    return this.#summaries
  }

  #isDue({ key }: Entry): boolean {
    const { fileNumbers } = this.#job
    this.#pass(key)
    if (this.#open === undefined) return true
    if (this.#summaries.length + 1 === fileNumbers.length) return false
    const { type, options } = this.#job
    const size = options.tableSize * (type === 'flush' ? FLUSH_TABLES : 1)
    return this.#open.writer.estimatedSize >= size || this.#passed > options.maxGrandparentOverlap
  }

  #pass(key: Uint8Array): void {
    const grandparents = this.#job.type === 'compact' ? this.#job.grandparents : []
    for (; this.#grandparent < grandparents.length; this.#grandparent++) {
      const { largest, size } = grandparents[this.#grandparent]!
      if (compareBytes(key, largest) <= 0) return
      if (this.#open !== undefined) this.#passed += size
    }
  }

  async #startTable(): Promise<void> {
    const { dir, fileNumbers, options } = this.#job
    const fileNumber = fileNumbers[this.#summaries.length]
    invariant(fileNumber !== undefined, 'a number for each table')
    const file = await this.#fs.open(`${dir}/${formatFileName('table', fileNumber)}`, 'create')
    this.#open = { file, writer: new TableWriter(file, { ...writerOptionsOf(options), fileNumber }) }
    this.#passed = 0
  }

  #endTable(): void {
    if (this.#open === undefined) return
    const { file, writer } = this.#open
    this.#summaries.push(writer.finish())
    this.#open = undefined
    file.closeSync()
  }
}

/** What of a job's options is its writers'. */
export function writerOptionsOf({ blockSize, restartInterval, bloomBitsPerKey, compression }: Job['options']): Omit<TableWriterOptions, 'fileNumber'> {
  return { blockSize, restartInterval, bloomBitsPerKey, compression }
}
