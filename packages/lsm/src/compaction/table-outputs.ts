/**
 * The tables a job creates, one after the other: where one ends and the next begins, and their way to the disk.
 *
 * Every finished table is synced and closed before the next is begun; beside the last one their directory is. Until
 * `finish` resolves all of them belong to this object, and `discard` removes them.
 */
import { compareRanges, errnoOf, invariant, throwIfAborted } from '@wk/codec'
import type { File, FileSystem, TimeSlice } from '@wk/fs'
import type { TableMerge, TableSummary } from '@wk/sstable'
import { allDone } from '../all-done.js'
import { tablePath } from '../table-cache.js'
import { FLUSH_TABLES } from './job.js'
import type { Job, KeyInterval } from './job.js'

export class TableOutputs {
  readonly #fs: FileSystem
  readonly #job: Job
  readonly #merge: TableMerge
  readonly #slice: TimeSlice
  readonly #signal: AbortSignal | undefined
  /** Bytes after which a table ends. */
  readonly #size: number
  readonly #grandparents: readonly (KeyInterval & { size: number })[]
  readonly #summaries: TableSummary[] = []
  readonly #created: string[] = []
  #file: File | undefined
  /** First grandparent that does not end before the keys written so far. */
  #grandparent = 0
  /** Bytes of the grandparents that the current table has passed. */
  #passed = 0

  /** `slice`: of the job's thread; long steps are taken in it. */
  constructor(fs: FileSystem, job: Job, merge: TableMerge, slice: TimeSlice, signal: AbortSignal | undefined) {
    this.#merge = merge
    this.#slice = slice
    this.#signal = signal
    this.#fs = fs
    this.#job = job
    // Flushed tables overlap all of level 0 anyway: many small ones would only be more to look into.
    this.#size = job.type === 'flush' ? job.options.tableSize * FLUSH_TABLES : job.options.tableSize
    this.#grandparents = job.type === 'compact' ? job.grandparents : []
    merge.setBound(this.#grandparents[0]?.largest)
  }

  /** The merge has come to keys behind a grandparent: the table ends there if it has passed too many. */
  pass(): void {
    const { keyBytes, keyStart, keyEnd } = this.#merge
    let bound: KeyInterval['largest'] | undefined
    for (; this.#grandparent < this.#grandparents.length; this.#grandparent++) {
      const { largest, size } = this.#grandparents[this.#grandparent]!
      bound = largest
      if (compareRanges(keyBytes, keyStart, keyEnd, largest, 0, largest.length) <= 0) break
      bound = undefined
      // What ends before the table's first key does not overlap it.
      if (this.#merge.hasTable) this.#passed += size
    }
    this.#merge.setBound(bound)
    if (this.#passed > this.#job.options.maxGrandparentOverlap) this.#merge.cut()
  }

  /** Ends the current table and begins the next, with the entry that the merge is at. */
  async startTable(): Promise<void> {
    await this.#endTable(false)
    const { dir, fileNumbers } = this.#job
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
    this.#merge.beginTable(this.#file, number, this.#created.length === fileNumbers.length ? Infinity : this.#size)
    this.#passed = 0
  }

  /** Ends the last table. The tables are durable, names included, and the caller's from now on (CR2). */
  async finish(): Promise<TableSummary[]> {
    await this.#endTable(true)
    return this.#summaries
  }

  /** Closes and removes everything that was created. Does not throw: what stays is an orphan, known to nobody. */
  async discard(): Promise<void> {
    await this.#file?.close().catch(() => undefined)
    this.#file = undefined
    for (const path of this.#created) await this.#fs.remove(path).catch(() => undefined)
  }

  async #endTable(isLast: boolean): Promise<void> {
    const file = this.#file
    if (file === undefined) return
    const steps = this.#merge.finishSteps()
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) {
      if (this.#slice.due()) await this.#slice.pause()
      throwIfAborted(this.#signal)
    }
    const summary = step.value
    // CR2: bytes and names before the manifest names them.
    await allDone(isLast ? [file.sync(), this.#fs.syncDir(this.#job.dir)] : [file.sync()])
    file.closeSync()
    this.#file = undefined
    this.#summaries.push(summary)
  }
}
