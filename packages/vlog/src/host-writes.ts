/**
 * The write half for hosts that append: two sequences of files, one for what is fresh and, in a log that stands alone, one for
 * what survived a collection.
 *
 * Fresh records die young and survivors do not: in files of their own the garbage of one is not held up by the other. Of
 * both sequences the last file takes records, so that two files may end in bytes that never became durable: the marks
 * say which ones hold survivors before they exist (`log-marks.ts`). A host with durable marks of its own has one sequence, for its
 * marks are places in it. A failure of one ends writing in both (law 9).
 */
import { checkFlag, checkOptions, type ValuePointer } from '@wk/codec'
import type { LoopGuard, Runtime } from '@wk/fs'
import { Appender, type AppendEntry, type AppendOptions } from './appender.js'
import type { FileNumbers } from './file-numbers.js'
import type { LogMarks } from './log-marks.js'
import type { ResolvedOptions } from './options.js'
import { isBefore, type LogPosition } from './sync-tracker.js'
import type { VlogSet } from './vlog-set.js'
import { VlogWriter, type WriterOptions } from './vlog-writer.js'

export interface HostWritesOptions {
  readonly options: ResolvedOptions
  /** Of the writer of fresh records. */
  readonly writerOptions: WriterOptions
  readonly runtime: Runtime
  readonly guard: LoopGuard
}

/** A sequence of files. */
interface Sequence {
  readonly writer: VlogWriter
  readonly appender: Appender
}

export class HostWrites {
  /** Where file numbers come from. */
  readonly numbers: FileNumbers
  readonly #set: VlogSet
  readonly #fresh: Sequence
  readonly #survivors: Sequence | undefined
  readonly #marks: LogMarks
  readonly #isReadOnly: boolean

  constructor(set: VlogSet, writer: VlogWriter, marks: LogMarks, { options, writerOptions, runtime, guard }: HostWritesOptions) {
    this.numbers = writerOptions.numbers
    this.#set = set
    this.#marks = marks
    this.#isReadOnly = options.readOnly
    const sequenceOf = (one: VlogWriter): Sequence => ({ writer: one, appender: new Appender(one, runtime, guard, options, () => marks.noteSync()) })
    this.#fresh = sequenceOf(writer)
    if (!options.standalone) return
    const survivors = new VlogWriter(set, {
      ...writerOptions,
      end: { fid: 0, offset: 0 },
      announce: (fids) => marks.announceSurvivors(fids),
      failedBeside: () => writer.failure,
      onFailure: (error) => writer.poison(error),
    })
    this.#survivors = sequenceOf(survivors)
  }

  /** See `ValueLog.append`. @throws InvalidArgumentError before anything is staged, ReadOnlyError, IoError */
  append(entries: readonly AppendEntry[], options: AppendOptions): Promise<ValuePointer[]> {
    const isApart = checkFlag('survivors', checkOptions(options).survivors, false)
    if (!isApart || this.#survivors === undefined) return this.#fresh.appender.append(entries, options)
    return this.#appendApart(this.#survivors, entries, options)
  }

  async #appendApart({ writer, appender }: Sequence, entries: readonly AppendEntry[], options: AppendOptions): Promise<ValuePointer[]> {
    try {
      return await appender.append(entries, options)
    } finally {
      // One that was met synchronously was told to nobody else.
      if (writer.failure !== undefined) this.#fresh.writer.poison(writer.failure)
    }
  }

  /** Resolves when every append called before has settled, however it did. */
  async settled(): Promise<void> {
    await Promise.all(this.#sequences().map(({ appender }) => appender.settled()))
  }

  /** Makes every earlier append durable: none, where the log was opened read-only. @throws IoError, ReadOnlyError after a failure */
  async sync(): Promise<void> {
    if (this.#isReadOnly) return
    await this.settled()
    await this.#each((writer) => writer.sync())
    this.#marks.noteSync()
  }

  /** Ends the files that take records, durably. @throws IoError, ReadOnlyError */
  async seal(): Promise<void> {
    await this.settled()
    await this.#each((writer) => writer.seal())
  }

  /** Everything below is durable, lower files included. */
  syncedPosition(): LogPosition {
    const synced = this.#fresh.writer.syncedPosition()
    const apart = this.#survivors?.writer
    // While the last file of survivors takes records, they may come below what fresh ones have reached.
    if (apart === undefined || this.#set.map.get(apart.position().fid)?.sealed !== false) return synced
    return isBefore(apart.syncedPosition(), synced) ? apart.syncedPosition() : synced
  }

  /** End of the newest file. */
  end(): LogPosition {
    const end = this.#fresh.writer.position()
    const apart = this.#survivors?.writer.position()
    return apart !== undefined && isBefore(end, apart) ? apart : end
  }

  /** Makes a file with a higher number exist than any that waits for its unlink because of that (law 11). */
  async createSuccessor(): Promise<void> {
    for (const { writer } of this.#sequences()) if (this.#set.isHeldBack) await writer.createSuccessor()
  }

  /** The log's owner failed: nothing is written any more. */
  abandon(cause: unknown): void {
    for (const { writer } of this.#sequences()) writer.abandon(cause)
  }

  /** Waits for appends, seals and lets go of the files, unless writing has failed. Always ends with every handle closed. */
  async close(): Promise<void> {
    await this.settled()
    // What the other one meets then is not written any more.
    const { failure } = this.#fresh.writer
    if (failure !== undefined) this.#survivors?.writer.abandon(failure)
    const ends = await Promise.allSettled(this.#sequences().map(({ writer }) => writer.close()))
    await this.#marks.settled()
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  /** In both; a failure of one is the failure of the log. */
  async #each(work: (writer: VlogWriter) => Promise<void>): Promise<void> {
    await Promise.all(this.#sequences().map(({ writer }) => work(writer)))
    this.#fresh.writer.checkWritable()
  }

  #sequences(): Sequence[] {
    return this.#survivors === undefined ? [this.#fresh] : [this.#fresh, this.#survivors]
  }
}
