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
import { ByteReader, ByteWriter, formatFileName } from '@wk/codec'
import { PairList } from './pair-list.js'
import { runSteps } from './steps.js'

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

const U32 = 0xffff_ffff
/** Records between two steps. */
const STEP = 1 << 14
/** Records of one file that there is room for at first. */
const FIRST_RECORDS = 64
/** Bytes a record takes in a reference block, reckoned. */
const ENCODED = 5

class FileReferences {
  /** Offset and length of each record. */
  readonly #records = new PairList(FIRST_RECORDS)
  #last = 0
  #bytes = 0
  #ascending = true

  add(offset: number, length: number): void {
    if (this.#last > offset) this.#ascending = false
    this.#records.add(offset, length)
    this.#last = offset
    this.#bytes += length
  }

  *list(fid: number): Generator<undefined, ReferenceList, void> {
    const { count } = this.#records
    const records = recordsOf(count)
    const { offsets, lengths } = records
    let next = 0
    for (const piece of this.#records.pieces()) {
      for (let i = 0; i < piece.length; i += 2, next++) {
        offsets[next] = piece[i]!
        lengths[next] = piece[i + 1]!
      }
    }
    return { fid, count, bytes: this.#bytes, ...(this.#ascending ? records : yield* sorted(records)) }
  }
}

/** Collects references in any order. */
export class ReferenceCollector {
  readonly #files = new Map<number, FileReferences>()
  #count = 0

  /** References added. */
  get count(): number {
    return this.#count
  }

  add(fid: number, offset: number, length: number): void {
    let file = this.#files.get(fid)
    if (file === undefined) {
      file = new FileReferences()
      this.#files.set(fid, file)
    }
    file.add(offset, length)
    this.#count++
  }

  /** All lists, by ascending file. */
  lists(): ReferenceList[] {
    return runSteps(this.listSteps())
  }

  /** {@link ReferenceCollector.lists} in steps of a millisecond or two. */
  *listSteps(): Generator<undefined, ReferenceList[], void> {
    const lists: ReferenceList[] = []
    for (const [fid, file] of [...this.#files].sort(([a], [b]) => a - b)) lists.push(yield* file.list(fid))
    return lists
  }
}

/** The reference block of these lists. */
export function encodeReferences(lists: readonly ReferenceList[]): Uint8Array {
  return runSteps(encodeReferenceSteps(lists))
}

/** {@link encodeReferences} in steps of a millisecond or two. */
export function* encodeReferenceSteps(lists: readonly ReferenceList[]): Generator<undefined, Uint8Array, void> {
  const records = lists.reduce((sum, { count }) => sum + count, 0)
  const writer = new ByteWriter(ENCODED * (records + 2 * lists.length))
  let previousFid = 0
  for (const { fid, count, offsets, lengths } of lists) {
    writer.uvarint(fid - previousFid).uvarint(count)
    previousFid = fid
    let previous = 0
    for (let i = 0; i < count; i++) {
      if (i % STEP === 0) yield
      writer.uvarint(offsets[i]! - previous).uvarint(lengths[i]!)
      previous = offsets[i]!
    }
  }
  return writer.bytes.subarray(0, writer.length)
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

/** Records of one file: `lengths[i]` belongs to `offsets[i]`. */
type Records = Pick<ReferenceList, 'offsets' | 'lengths'>

function recordsOf(count: number): Records {
  return { offsets: new Uint32Array(count), lengths: new Uint32Array(count) }
}

/** The records by ascending offset, in their own arrays or others: a byte of the offsets after the other, the lowest first. Comparing them would take five times as long. */
function* sorted(records: Records): Generator<undefined, Records, void> {
  const { length } = records.offsets
  const ends = new Uint32Array(256)
  let from = records
  let to = recordsOf(length)
  for (let shift = 0; shift < 32; shift += 8) {
    ends.fill(0)
    for (let start = 0; start < length; start += STEP) {
      countBytes(from.offsets.subarray(start, start + STEP), shift, ends)
      yield
    }
    // Bytes that are the same everywhere order nothing.
    if (ends.includes(length)) continue
    let sum = 0
    for (let byte = 0; byte < ends.length; byte++) {
      const count = ends[byte]!
      ends[byte] = sum
      sum += count
    }
    for (let start = 0; start < length; start += STEP) {
      placeByBytes(from, start, Math.min(length, start + STEP), shift, ends, to)
      yield
    }
    ;[from, to] = [to, from]
  }
  return from
}

function countBytes(offsets: Uint32Array, shift: number, counts: Uint32Array): void {
  for (let i = 0; i < offsets.length; i++) {
    const byte = (offsets[i]! >>> shift) & 0xff
    counts[byte] = counts[byte]! + 1
  }
}

/** Copies the records `[start, end)` behind those of the same byte that came before; `ends` says where each byte's records end so far. */
function placeByBytes({ offsets, lengths }: Records, start: number, end: number, shift: number, ends: Uint32Array, to: Records): void {
  for (let i = start; i < end; i++) {
    const offset = offsets[i]!
    const byte = (offset >>> shift) & 0xff
    const at = ends[byte]!
    ends[byte] = at + 1
    to.offsets[at] = offset
    to.lengths[at] = lengths[i]!
  }
}
