/**
 * Many records read together, as each kind of host wants them: whole entries in the caller's order, or values in the slots of a batch.
 *
 * How records are fetched is in `read-batch.ts`; here each one is verified and opened as it comes in.
 */
import type { Runtime } from '@wk/fs'
import { BatchRead, type BatchReading, type VisitRecord } from './read-batch.js'
import { ReadHelp, type ReadHelper } from './read-help.js'
import type { RecordBatch, ValueBatch } from './record-batch.js'
import type { VlogEntry } from './vlog-entry.js'
import type { VlogReader } from './vlog-reader.js'
import type { VlogSet } from './vlog-set.js'

export class ManyReads {
  readonly #set: VlogSet
  readonly #reader: VlogReader
  readonly #runtime: Runtime
  readonly #help: ReadHelp | undefined

  /** `helper`: another thread, which may read values. */
  constructor(set: VlogSet, reader: VlogReader, runtime: Runtime, helper: ReadHelper | undefined) {
    this.#set = set
    this.#reader = reader
    this.#runtime = runtime
    this.#help = helper === undefined ? undefined : new ReadHelp(set, helper)
  }

  /** The entries of a batch, in its order. @throws CorruptionError, IoError */
  async entries(batch: RecordBatch): Promise<VlogEntry[]> {
    const reader = this.#reader
    const entries = new Array<VlogEntry>(batch.count)
    const read = new BatchRead(this.#set, reader, this.#runtime, batch, (index, logical, record) => {
      entries[index] = reader.openEntry(logical, batch.offsets[index]!, batch.lens[index]!, record)
    })
    await read.finish()
    await reader.guard.due()
    return entries
  }

  /** Begins to read values into the slots of a batch. @throws CorruptionError for a file that is not there */
  beginValues(batch: ValueBatch): BatchReading {
    const reader = this.#reader
    const { offsets, lens, keys, versions, slots, values } = batch
    const visit: VisitRecord = (index, logical, record) => {
      values[slots[index]!] = reader.openValue(logical, offsets[index]!, lens[index]!, record, keys[index]!, versions[index]!)
    }
    return new BatchRead(this.#set, reader, this.#runtime, batch, visit, this.#help)
  }
}
