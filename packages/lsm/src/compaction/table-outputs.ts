/**
 * The tables a job creates, one after the other: where one ends and the next begins, and their way to the disk.
 *
 * Every finished table is synced and closed before the next is begun; beside the last one their directory is. Until
 * `finish` resolves all of them belong to this object, and `discard` removes them.
 */
import { KIND_TOMBSTONE, compareRanges, errnoOf, invariant, throwIfAborted } from '@wk/codec'
import type { EntryView, KeyView } from '@wk/codec'
import type { File, FileSystem, TimeSlice } from '@wk/fs'
import { TableWriter } from '@wk/sstable'
import type { TableScan, TableSummary } from '@wk/sstable'
import { allDone } from '../all-done.js'
import { tablePath } from '../table-cache.js'
import { FLUSH_TABLES } from './job.js'
import type { Job, KeyInterval } from './job.js'

const NOTHING = new Uint8Array(0)

export class TableOutputs {
  readonly #fs: FileSystem
  readonly #job: Job
  readonly #slice: TimeSlice
  readonly #signal: AbortSignal | undefined
  /** Bytes after which a table ends. */
  readonly #size: number
  readonly #grandparents: readonly (KeyInterval & { size: number })[]
  readonly #summaries: TableSummary[] = []
  readonly #created: string[] = []
  #file: File | undefined
  #writer: TableWriter | undefined
  /** First grandparent that does not end before the keys written so far. */
  #grandparent = 0
  /** Bytes of the grandparents that the current table has passed. */
  #passed = 0

  /** `slice`: of the job's thread; long steps are taken in it. */
  constructor(fs: FileSystem, job: Job, slice: TimeSlice, signal: AbortSignal | undefined) {
    this.#slice = slice
    this.#signal = signal
    this.#fs = fs
    this.#job = job
    // Flushed tables overlap all of level 0 anyway: many small ones would only be more to look into.
    this.#size = job.type === 'flush' ? job.options.tableSize * FLUSH_TABLES : job.options.tableSize
    this.#grandparents = job.type === 'compact' ? job.grandparents : []
  }

  /** Whether the entry, the first of its key, should begin a new table. */
  isDue(entry: EntryView): boolean {
    const writer = this.#writer
    this.#pass(entry)
    if (writer === undefined) return true
    if (this.#created.length === this.#job.fileNumbers.length) return false
    return writer.estimatedSize >= this.#size || this.#passed > this.#job.options.maxGrandparentOverlap
  }

  /** Ends the current table and begins the next. */
  async startTable(): Promise<void> {
    await this.#endTable(false)
    const { dir, fileNumbers, options } = this.#job
    const number = fileNumbers[this.#created.length]
    invariant(number !== undefined, 'a job has a file number for its first table')
    const path = tablePath(dir, number)
    // Before the attempt: it may fail after the file came into being. A file that was there already is not ours.
    this.#created.push(path)
    try {
      this.#file = await this.#fs.open(path, 'create')
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') this.#created.pop()
      throw error
    }
    this.#writer = new TableWriter(this.#file, {
      fileNumber: number,
      blockSize: options.blockSize,
      restartInterval: options.restartInterval,
      bloomBitsPerKey: options.bloomBitsPerKey,
      compression: options.compression,
    })
    this.#passed = 0
  }

  /** Requires a table that was started. `payload`: instead of the entry's own. */
  add(entry: EntryView, payload?: Uint8Array): void {
    this.#writer!.add(
      entry.keyBytes,
      entry.keyStart,
      entry.keyEnd,
      entry.sequence,
      entry.kind,
      payload ?? entry.valueBytes,
      payload === undefined ? entry.valueStart : 0,
      payload === undefined ? entry.valueEnd : payload.length,
    )
  }

  /** Adds what follows the entry that was added last, as long as the table has nothing to say about it (`TableWriter.addRun`). Returns how many there were. */
  addRun(scan: TableScan, limit: KeyView | undefined): number {
    const bound = this.#grandparents[this.#grandparent]?.largest
    // At the end of a grandparent the table may have to end.
    const isBoundFirst = bound !== undefined && (limit === undefined || compareRanges(bound, 0, bound.length, limit.keyBytes, limit.keyStart, limit.keyEnd) < 0)
    return this.#writer!.addRun(scan, isBoundFirst ? { keyBytes: bound, keyStart: 0, keyEnd: bound.length } : limit)
  }

  /** {@link add} of a tombstone in the entry's place. */
  addTombstone({ keyBytes, keyStart, keyEnd, sequence }: EntryView): void {
    this.#writer!.add(keyBytes, keyStart, keyEnd, sequence, KIND_TOMBSTONE, NOTHING, 0, 0)
  }

  /** Ends the last table. The tables are durable, names included, and the caller's from now on (CR2). */
  async finish(): Promise<TableSummary[]> {
    await this.#endTable(true)
    return this.#summaries
  }

  /** Closes and removes everything that was created. Does not throw: what stays is an orphan, known to nobody. */
  async discard(): Promise<void> {
    try {
      this.#writer?.abandon()
    } catch {
      // The file is removed below whatever state its writer is in.
    }
    this.#writer = undefined
    await this.#file?.close().catch(() => undefined)
    this.#file = undefined
    for (const path of this.#created) await this.#fs.remove(path).catch(() => undefined)
  }

  async #endTable(isLast: boolean): Promise<void> {
    const writer = this.#writer
    const file = this.#file
    if (writer === undefined || file === undefined) return
    const steps = writer.finishSteps()
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) {
      if (this.#slice.due()) await this.#slice.pause()
      throwIfAborted(this.#signal)
    }
    const summary = step.value
    this.#writer = undefined
    // CR2: bytes and names before the manifest names them.
    await allDone(isLast ? [file.sync(), this.#fs.syncDir(this.#job.dir)] : [file.sync()])
    file.closeSync()
    this.#file = undefined
    this.#summaries.push(summary)
  }

  #pass(entry: EntryView): void {
    for (; this.#grandparent < this.#grandparents.length; this.#grandparent++) {
      const { largest, size } = this.#grandparents[this.#grandparent]!
      if (compareRanges(entry.keyBytes, entry.keyStart, entry.keyEnd, largest, 0, largest.length) <= 0) return
      // What ends before the table's first key does not overlap it.
      if (this.#writer !== undefined) this.#passed += size
    }
  }
}
