/**
 * What a table references in the value log: per file, the place of every record an entry points to.
 *
 * Live bytes of a value-log file are sums over these lists, and garbage collection moves what they name; nothing else
 * is stored as truth (law 8).
 *
 * The reference block: for each file, ascending,
 *
 * | field     | type    |                                                             |
 * |-----------|---------|-------------------------------------------------------------|
 * | fid       | uvarint | minus that of the file before; at least 1 after the first    |
 * | count     | uvarint | records, at least 1                                          |
 * | records   | count × (uvarint offset minus that of the record before, uvarint length) | ascending offsets |
 */
import { ByteReader, formatFileName } from '@wk/codec'
import { runSteps } from './steps.js'
import { TableKernel } from './table-kernel.js'
import { WordList } from './word-list.js'

/** References into one value-log file, summed. */
export interface ReferenceSummary {
  fid: number
  /** Entries that point into the file. */
  count: number
  /** Bytes of the records they point to. */
  bytes: number
}

/** References into one value-log file. `offsets` ascend; `lengths[i]` belongs to `offsets[i]`. */
export interface ReferenceList extends ReferenceSummary {
  offsets: Uint32Array
  lengths: Uint32Array
}

/** Bytes that a reference takes in a table, reckoned. */
export const REFERENCE_ESTIMATE = 5
/** Words of 32 bits of an encoded pointer. */
export const REFERENCE_WORDS = 3

const U32 = 0xffff_ffff
/** Records that `kernel/references.ts` writes at a call. */
const ENCODED_AT_ONCE = 1 << 15
/** Records that there is room for at first. */
const FIRST_RECORDS = 64
/** Numbers of a file's summary. */
const SUMMARY_NUMBERS = 3

/** The references of a table, written. */
export interface EncodedReferences {
  /** The reference block. */
  block: Uint8Array
  /** Of each file, ascending. */
  summaries: ReferenceSummary[]
}

/** Collects references in any order. */
export class ReferenceCollector {
  /** As pointers are encoded: fid, length, offset. */
  readonly #records = new WordList(REFERENCE_WORDS, FIRST_RECORDS)

  /** References added. */
  get count(): number {
    return this.#records.count
  }

  add(fid: number, offset: number, length: number): void {
    this.#records.add(fid, length, offset)
  }

  /** Adds encoded pointers, one behind the other. */
  addPointers(words: Uint32Array): void {
    this.#records.addAll(words)
  }

  /** All of them, by ascending file and offset, those of one offset as they came. */
  finish(): EncodedReferences {
    return runSteps(this.finishSteps())
  }

  /** {@link ReferenceCollector.finish} in steps of a millisecond or two. */
  *finishSteps(): Generator<undefined, EncodedReferences, void> {
    const kernel = TableKernel.acquire()
    const { calls } = kernel
    const { count } = this
    try {
      let at = kernel.place(calls.beginReferences(count))
      for (const piece of this.#records.pieces()) {
        yield
        kernel.putWords(at, piece)
        at += piece.byteLength
      }
      while (calls.sortReferences() !== 0) yield
      let block = kernel.place(calls.encodeReferences(1))
      for (let done = ENCODED_AT_ONCE; done < count; done += ENCODED_AT_ONCE) {
        yield
        block = kernel.place(calls.encodeReferences(0))
      }
      const numbers = kernel.doubles(kernel.place(calls.groupsAt()), SUMMARY_NUMBERS * calls.groupCount())
      const summaries: ReferenceSummary[] = []
      for (let i = 0; i < numbers.length; i += SUMMARY_NUMBERS) summaries.push({ fid: numbers[i]!, count: numbers[i + 1]!, bytes: numbers[i + 2]! })
      return { block: kernel.view(block, calls.encodedLength()).slice(), summaries }
    } finally {
      kernel.release()
    }
  }
}

/** Takes a reference block apart. Throws `CorruptionError`; counts are checked before anything is allocated. */
export function decodeReferences(bytes: Uint8Array, length: number, table: number, offset: number): ReferenceList[] {
  const reader = new ByteReader(bytes, { end: length, file: formatFileName('table', table), baseOffset: offset })
  const lists: ReferenceList[] = []
  let fid = 0
  while (reader.remaining > 0) {
    const step = reader.uvarint(U32)
    if (step === 0 && lists.length > 0) throw reader.corrupt('value-log file listed twice')
    fid += step
    const count = reader.uvarint(U32)
    if (fid > U32 || count < 1 || count > reader.remaining / 2) throw reader.corrupt('impossible reference list')
    const offsets = new Uint32Array(count)
    const lengths = new Uint32Array(count)
    let at = 0
    let sum = 0
    for (let i = 0; i < count; i++) {
      at += reader.uvarint(U32)
      if (at > U32) throw reader.corrupt('reference behind the end of any file')
      offsets[i] = at
      const recordLength = reader.uvarint(U32)
      lengths[i] = recordLength
      sum += recordLength
    }
    lists.push({ fid, count, bytes: sum, offsets, lengths })
  }
  return lists
}
