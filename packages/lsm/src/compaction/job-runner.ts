/**
 * Runs a job: merges its inputs, applies the drop rules, writes the output tables, makes them durable.
 *
 * The same function runs on the main thread, in slices, and in a worker. It owns the files it creates until it returns:
 * on failure or abort they are closed and removed (what cannot be removed is an orphan that open removes). It never
 * touches the inputs and knows no manifest: publishing is the tree's.
 */
import {
  CorruptionError,
  KIND_POINTER,
  KIND_TOMBSTONE,
  POINTER_LENGTH,
  baseKind,
  isKind,
  readPointerFid,
  readPointerLen,
  throwIfAborted,
} from '@wk/codec'
import type { EntryScan, EntryView } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { FileSystem, Runtime } from '@wk/fs'
import { Memtable } from '@wk/memtable'
import { TableScan } from '@wk/sstable'
import { BURY, DropRules, KEEP, VANISH } from './drop-rules.js'
import type { Verdict } from './drop-rules.js'
import type { DroppedEntries, Job, JobResult } from './job.js'
import { MergingScan } from './merging-scan.js'
import { PointerMover } from './pointer-moves.js'
import { TableInputs } from './table-inputs.js'
import { TableOutputs } from './table-outputs.js'

/** What a job is run with. */
export interface JobContext {
  fs: FileSystem
  runtime: Runtime
  /** Checked between slices. */
  signal?: AbortSignal | undefined
}

/** Entries between two looks at the clock: a few hundred microseconds. */
const ENTRIES_PER_LOOK = 128

/**
 * Runs `job` to its end. Resolves when all outputs are durable, names included, and closed.
 * Throws `AbortedError`, `IoError`, `CorruptionError` (a damaged input), with no output left behind.
 */
export async function runJob(job: Job, context: JobContext): Promise<JobResult> {
  throwIfAborted(context.signal)
  const inputs = new TableInputs(context.fs, job.dir, job.options.verifyChecksums)
  const slice = new TimeSlice(context.runtime)
  const outputs = new TableOutputs(context.fs, job, slice, context.signal)
  const scan = scanOf(job, inputs)
  try {
    const copied = await copyEntries(job, scan, outputs, slice, context.signal)
    await inputs.close()
    const tables = await outputs.finish()
    let bytesWritten = 0
    for (const { size } of tables) bytesWritten += size
    return { tables, ...copied, bytesRead: inputBytes(job), bytesWritten }
  } catch (error) {
    // The first error counts; what goes wrong while clearing up adds nothing.
    await inputs.close().catch(() => undefined)
    await outputs.discard()
    throw placed(error, scan.current)
  }
}

interface Copied {
  entries: number
  dropped: DroppedEntries
}

async function copyEntries(job: Job, scan: MergingScan, outputs: TableOutputs, slice: TimeSlice, signal: AbortSignal | undefined): Promise<Copied> {
  const rules = new DropRules({
    snapshots: job.snapshots,
    now: job.now,
    versionsToKeep: job.options.numVersionsToKeep,
    deeper: job.type === 'compact' ? job.deeper : undefined,
  })
  const losses = new Losses()
  const mover = job.type === 'compact' && job.moves !== undefined && job.moves.length > 0 ? new PointerMover(job.moves) : undefined
  let entries = 0
  let nextLook = ENTRIES_PER_LOOK
  for (let entry = scan.first(); entry !== undefined; entry = scan.next()) {
    entries++
    if (entries >= nextLook) {
      nextLook = entries + ENTRIES_PER_LOOK
      if (slice.due()) await slice.pause()
      throwIfAborted(signal)
    }
    checkEntry(entry)
    const verdict = rules.judge(entry)
    if (verdict === KEEP || verdict === BURY) {
      // Only between user keys: versions of one key never part.
      if (rules.isNewKey && outputs.isDue(entry)) await outputs.startTable()
      if (verdict === KEEP) outputs.add(entry, mover?.moved(entry))
      else outputs.addTombstone(entry)
    }
    if (verdict !== KEEP) losses.count(verdict, entry)
    else if (mover === undefined && entry instanceof TableScan) {
      const run = outputs.addRun(entry, scan.limit)
      if (run > 0) rules.keep(entry)
      entries += run
    }
  }
  return { entries, dropped: losses.result() }
}

/** @throws CorruptionError for what no writer of ours has written: a checksum vouches for the writer only if nobody prepared the table */
function checkEntry({ kind, valueStart, valueEnd }: EntryView): void {
  if (!isKind(kind)) throw new CorruptionError('a table entry of unknown kind')
  const length = valueEnd - valueStart
  if (kind === KIND_TOMBSTONE && length > 0) throw new CorruptionError('a table entry that deletes and has a value')
  if (baseKind(kind) === KIND_POINTER && length < POINTER_LENGTH) throw new CorruptionError('a table entry with a cut value pointer')
}

/** Who finds damage inside an entry does not know where it lies. The scan stands there still. */
function placed(error: unknown, entry: EntryScan | undefined): unknown {
  if (!(error instanceof CorruptionError) || error.file !== undefined || entry?.valid !== true) return error
  const { place } = entry
  return place === undefined ? error : new CorruptionError(`damage in ${place.file} at offset ${place.offset}: ${error.message}`, { ...place, cause: error })
}

function scanOf(job: Job, inputs: TableInputs): MergingScan {
  const sources: EntryScan[] = job.memtable === undefined ? [] : [Memtable.attach(job.memtable).cursor()]
  if (job.type === 'compact') {
    for (const { level, tables } of job.inputs) {
      if (level === 0) for (const table of tables) sources.push(inputs.scan([table]))
      else sources.push(inputs.scan(tables))
    }
  }
  return new MergingScan(sources)
}

function inputBytes(job: Job): number {
  let bytes = 0
  if (job.type === 'compact') for (const { tables } of job.inputs) for (const { size } of tables) bytes += size
  return bytes
}

/** Adds up what the outputs lack. */
class Losses {
  readonly #dropped: DroppedEntries = { entries: 0, tombstones: 0, shadowed: 0, expired: 0, highestTombstone: 0, references: [] }
  readonly #references = new Map<number, { fid: number; count: number; bytes: number }>()

  count(verdict: Verdict, entry: EntryView): void {
    const dropped = this.#dropped
    if (verdict === BURY) dropped.expired++
    else {
      dropped.entries++
      if (verdict === VANISH) {
        dropped.tombstones++
        if (entry.sequence > dropped.highestTombstone) dropped.highestTombstone = entry.sequence
      } else {
        dropped.shadowed++
        if (baseKind(entry.kind) === KIND_TOMBSTONE) dropped.tombstones++
      }
    }
    if (baseKind(entry.kind) === KIND_POINTER) this.#loseReference(entry)
  }

  result(): DroppedEntries {
    return { ...this.#dropped, references: [...this.#references.values()].sort((a, b) => a.fid - b.fid) }
  }

  /** Requires a whole pointer. */
  #loseReference({ valueBytes, valueStart }: EntryView): void {
    const fid = readPointerFid(valueBytes, valueStart)
    let sum = this.#references.get(fid)
    if (sum === undefined) {
      sum = { fid, count: 0, bytes: 0 }
      this.#references.set(fid, sum)
    }
    sum.count++
    sum.bytes += readPointerLen(valueBytes, valueStart)
  }
}
