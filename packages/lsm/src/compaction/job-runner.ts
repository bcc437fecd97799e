/**
 * Runs a job: merges its inputs, applies the drop rules, writes the output tables, makes them durable.
 *
 * The same function runs on the main thread, in slices, and in a worker. It owns the files it creates until it returns:
 * on failure or abort they are closed and removed (what cannot be removed is an orphan that open removes). It never
 * touches the inputs and knows no manifest: publishing is the tree's.
 */
import { CorruptionError, KIND_POINTER, KIND_TOMBSTONE, baseKind, readPointerFid, readPointerLen, throwIfAborted } from '@wk/codec'
import type { EntryPlace, EntryView } from '@wk/codec'
import { TimeSlice } from '@wk/fs'
import type { FileSystem, Runtime } from '@wk/fs'
import { Memtable } from '@wk/memtable'
import { MERGE, TableMerge, VERDICT } from '@wk/sstable'
import type { MergeSource, UnseenEntries } from '@wk/sstable'
import { BURY, DropRules, KEEP, VANISH } from './drop-rules.js'
import type { Verdict } from './drop-rules.js'
import type { DroppedEntries, Job, JobResult } from './job.js'
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

/**
 * Runs `job` to its end. Resolves when all outputs are durable, names included, and closed.
 * Throws `AbortedError`, `IoError`, `CorruptionError` (a damaged input), with no output left behind.
 */
export async function runJob(job: Job, context: JobContext): Promise<JobResult> {
  throwIfAborted(context.signal)
  const inputs = new TableInputs(context.fs, job.dir, job.options.verifyChecksums)
  const slice = new TimeSlice(context.runtime)
  const losses = new Losses()
  const mover = moverOf(job)
  const merge = mergeOf(job, inputs, mover !== undefined, losses)
  const outputs = new TableOutputs(context.fs, job, merge, slice, context.signal)
  try {
    await mergeEntries(job, merge, outputs, mover, losses, slice, context.signal)
    await inputs.close()
    const tables = await outputs.finish()
    let bytesWritten = 0
    for (const { size } of tables) bytesWritten += size
    return { tables, entries: merge.entries, dropped: losses.result(merge.unseen), bytesRead: inputBytes(job), bytesWritten }
  } catch (error) {
    const named = placed(error, merge.place)
    // The first error counts; what goes wrong while clearing up adds nothing.
    await inputs.close().catch(() => undefined)
    await outputs.discard()
    throw named
  } finally {
    merge.close()
  }
}

function mergeOf(job: Job, inputs: TableInputs, showsPointers: boolean, losses: Losses): TableMerge {
  const sources: MergeSource[] = job.memtable === undefined ? [] : [Memtable.attach(job.memtable).cursor()]
  if (job.type === 'compact') {
    for (const { level, tables } of job.inputs) {
      if (level === 0) for (const table of tables) sources.push(inputs.source([table]))
      else sources.push(inputs.source(tables))
    }
  }
  const { blockSize, restartInterval, bloomBitsPerKey, compression, numVersionsToKeep } = job.options
  return new TableMerge(sources, {
    blockSize,
    restartInterval,
    bloomBitsPerKey,
    compression,
    dropsOlder: job.snapshots.length === 0 && numVersionsToKeep === 1,
    showsPointers,
    onLost: (fid, length) => losses.loseReference(fid, length),
  })
}

function moverOf(job: Job): PointerMover | undefined {
  return job.type === 'compact' && job.moves !== undefined && job.moves.length > 0 ? new PointerMover(job.moves) : undefined
}

async function mergeEntries(
  job: Job,
  merge: TableMerge,
  outputs: TableOutputs,
  mover: PointerMover | undefined,
  losses: Losses,
  slice: TimeSlice,
  signal: AbortSignal | undefined,
): Promise<void> {
  const rules = new DropRules({
    snapshots: job.snapshots,
    now: job.now,
    versionsToKeep: job.options.numVersionsToKeep,
    deeper: job.type === 'compact' ? job.deeper : undefined,
  })
  for (let step = merge.step(); step !== MERGE.DONE; ) {
    let verdict: Verdict = KEEP
    if (step === MERGE.JUDGE) {
      verdict = rules.judge(merge, merge.isNewKey ? undefined : merge.newerSequence)
      if (verdict !== KEEP) losses.count(verdict, merge)
    } else if (step === MERGE.PAUSE) {
      if (slice.due()) await slice.pause()
      throwIfAborted(signal)
    } else if (step === MERGE.TABLE) await outputs.startTable()
    else if (step === MERGE.BOUND) outputs.pass()
    else mover?.move(merge)
    step = merge.step(verdict === KEEP ? VERDICT.KEEP : verdict === BURY ? VERDICT.BURY : VERDICT.DROP)
  }
}

/** Who finds damage inside an entry does not know where it lies. The merge stands there still. */
function placed(error: unknown, place: EntryPlace | undefined): unknown {
  if (!(error instanceof CorruptionError) || error.file !== undefined) return error
  return place === undefined ? error : new CorruptionError(`damage in ${place.file} at offset ${place.offset}: ${error.message}`, { ...place, cause: error })
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
    if (baseKind(entry.kind) === KIND_POINTER) this.loseReference(readPointerFid(entry.valueBytes, entry.valueStart), readPointerLen(entry.valueBytes, entry.valueStart))
  }

  /** With what the merge left out without asking. */
  result({ shadowed, tombstones }: UnseenEntries): DroppedEntries {
    const dropped = this.#dropped
    return { ...dropped, entries: dropped.entries + shadowed, shadowed: dropped.shadowed + shadowed, tombstones: dropped.tombstones + tombstones, references: [...this.#references.values()].sort((a, b) => a.fid - b.fid) }
  }

  loseReference(fid: number, length: number): void {
    let sum = this.#references.get(fid)
    if (sum === undefined) {
      sum = { fid, count: 0, bytes: 0 }
      this.#references.set(fid, sum)
    }
    sum.count++
    sum.bytes += length
  }
}
