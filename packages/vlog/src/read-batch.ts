/**
 * Many records at once: sorted by place, neighbours merged into one read.
 *
 * Short reads are made on the calling thread as long as they are quick: they are cached then, and a trip to the thread pool
 * would cost several times the read. After each {@link SLICE_MS} the event loop gets a turn. When reads turn out slow, and for
 * long ones, the pool takes over with a bounded number in flight, so that they overlap. Files stay in the directory until the
 * whole batch is done.
 */
import { allocateBytes, invariant } from '@wk/codec'
import { readFully, readFullySync, type Runtime } from '@wk/fs'
import { locate, type LogicalFile } from './file-map.js'
import type { PhysicalFile } from './physical-file.js'
import type { RecordBatch } from './record-batch.js'
import type { FetchedRecord } from './stored-record.js'
import { wasSlow, type VlogReader } from './vlog-reader.js'
import { shortFile, type VlogSet } from './vlog-set.js'

/**
 * Bytes between two records that are read along: it costs less than a second system call. A longer record is read alone:
 * copying it would cost more.
 */
const MAX_GAP = 16 << 10
/** Longest merged read. */
const MAX_SPAN = 1 << 17
/** Reads in the pool at once. */
const MAX_IN_FLIGHT = 16
/** Milliseconds of reads on the calling thread between two turns of the event loop. */
const SLICE_MS = 2
/** The pool takes over after so many slow reads, if they are a quarter of all. (Other threads interrupt now and then.) */
const MOST_SLOW = 4
/** Records of a batch, at most. */
const MAX_COUNT = 2 ** 24

/** Receives the record asked for as `index`. */
export type VisitRecord = (index: number, logical: LogicalFile, record: FetchedRecord) => void

/**
 * Fetches the records of `batch` and hands each to `visit`, in any order. Verifying is the visitor's. `undefined` if all is done
 * already. Throws, or rejects, with the first failure.
 */
export function fetchRecords(set: VlogSet, reader: VlogReader, runtime: Runtime, batch: RecordBatch, visit: VisitRecord): Promise<void> | undefined {
  const read = new BatchRead(set, reader, runtime, batch, visit)
  return read.slice() ? undefined : read.goOn()
}

/** What one read fetches: the records `[from, to)` in the order of their places, bytes `[start, end)` of their file. */
interface Span {
  from: number
  to: number
  start: number
  end: number
}

class BatchRead {
  readonly #set: VlogSet
  readonly #reader: VlogReader
  readonly #runtime: Runtime
  readonly #visit: VisitRecord
  readonly #lens: readonly number[]
  readonly #logicals: LogicalFile[] = []
  /** Where the records lie now; a relocation meanwhile changes nothing here. */
  readonly #physicals: PhysicalFile[] = []
  readonly #positions: number[] = []
  /** The records to read, by place. */
  readonly #order: Uint32Array
  /** The first one of which no span was made. */
  #next = 0
  /** Spans that are too long for the calling thread. */
  readonly #long: Span[] = []
  #reads = 0
  #slowReads = 0

  constructor(set: VlogSet, reader: VlogReader, runtime: Runtime, { count, fids, offsets, lens }: RecordBatch, visit: VisitRecord) {
    invariant(count <= MAX_COUNT, 'a batch of bounded length')
    this.#set = set
    this.#reader = reader
    this.#runtime = runtime
    this.#visit = visit
    this.#lens = lens
    const record: FetchedRecord = { bytes: NOTHING, start: 0, hold: 'lent' }
    const wanted: number[] = []
    for (let index = 0; index < count; index++) {
      const logical = set.map.require(fids[index]!)
      this.#logicals.push(logical)
      this.#physicals.push(logical.physical)
      this.#positions.push(locate(logical, offsets[index]!, lens[index]!))
      if (reader.findStaged(logical, offsets[index]!, lens[index]!, record)) visit(index, logical, record)
      else wanted.push(index)
    }
    this.#order = byPlace(wanted, this.#physicals, this.#positions)
  }

  /** Reads on the calling thread for a while. Returns whether all is done. */
  slice(): boolean {
    const runtime = this.#runtime
    const span: Span = { from: 0, to: 0, start: 0, end: 0 }
    let before = runtime.monotonic()
    const until = before + SLICE_MS
    while (before < until && !this.#isSlow && this.#takeSpan(span)) {
      const length = span.end - span.start
      if (span.to === span.from + 1 && !this.#reader.readsAtOnce(length)) {
        this.#long.push({ ...span })
        continue
      }
      this.#readSync(span, length)
      const now = runtime.monotonic()
      this.#reads++
      if (wasSlow(now - before, length)) this.#slowReads++
      before = now
    }
    return this.#next === this.#order.length && this.#long.length === 0
  }

  /** Does what is left. */
  async goOn(): Promise<void> {
    const pinned = new Set(this.#physicals)
    for (const physical of pinned) this.#set.pin(physical)
    try {
      while (this.#next < this.#order.length && !this.#isSlow) {
        await this.#runtime.yield()
        this.slice()
      }
      await this.#readInPool()
    } finally {
      for (const physical of pinned) this.#set.unpin(physical)
    }
  }

  get #isSlow(): boolean {
    return this.#slowReads >= MOST_SLOW && this.#slowReads * 4 >= this.#reads
  }

  /** The next record and the neighbours that one read fetches with it. False if none is left. */
  #takeSpan(out: Span): boolean {
    const order = this.#order
    if (this.#next === order.length) return false
    out.from = this.#next++
    const first = order[out.from]!
    const physical = this.#physicals[first]
    out.start = this.#positions[first]!
    out.end = out.start + this.#lens[first]!
    while (this.#next < order.length) {
      const index = order[this.#next]!
      const start = this.#positions[index]!
      const length = this.#lens[index]!
      if (this.#physicals[index] !== physical || length > MAX_GAP || start < out.start || start - out.end > MAX_GAP || start + length - out.start > MAX_SPAN) break
      if (start + length > out.end) out.end = start + length
      this.#next++
    }
    out.to = this.#next
    return true
  }

  #readSync(span: Span, length: number): void {
    const { memory } = this.#reader
    const isOne = span.to === span.from + 1
    if (isOne) memory.reserve(length)
    const bytes = isOne ? memory.bytes : this.#reader.scratch(MAX_SPAN)
    const start = isOne ? memory.start : 0
    const physical = this.#physicals[this.#order[span.from]!]!
    const count = readFullySync(this.#set.handles.use(physical), bytes, start, length, span.start)
    if (count < length) throw shortFile(physical, span.end)
    this.#visitAll(span, { bytes, start, hold: isOne ? 'reserved' : 'lent' })
  }

  async #readInPool(): Promise<void> {
    let failed = false
    const lane = async (): Promise<void> => {
      const own: Span = { from: 0, to: 0, start: 0, end: 0 }
      for (;;) {
        const span = this.#long.pop() ?? (this.#takeSpan(own) ? own : undefined)
        if (span === undefined || failed) return
        try {
          await this.#read(span)
        } catch (error) {
          failed = true
          throw error
        }
      }
    }
    const left = this.#long.length + this.#order.length - this.#next
    const lanes = await Promise.allSettled(Array.from({ length: Math.min(MAX_IN_FLIGHT, left) }, lane))
    for (const outcome of lanes) if (outcome.status === 'rejected') throw outcome.reason
  }

  async #read(span: Span): Promise<void> {
    const { handles } = this.#set
    const length = span.end - span.start
    const bytes = allocateBytes(length)
    const physical = this.#physicals[this.#order[span.from]!]!
    const file = handles.acquire(physical)
    try {
      const count = await readFully(file, bytes, 0, length, span.start)
      if (count < length) throw shortFile(physical, span.end)
    } finally {
      handles.release(physical)
    }
    this.#visitAll(span, { bytes, start: 0, hold: span.to === span.from + 1 ? 'own' : 'lent' })
  }

  /** `record` is the first one. */
  #visitAll({ from, to, start }: Span, record: FetchedRecord): void {
    const origin = record.start - start
    for (let i = from; i < to; i++) {
      const index = this.#order[i]!
      record.start = origin + this.#positions[index]!
      this.#visit(index, this.#logicals[index]!, record)
    }
  }
}

const NOTHING = new Uint8Array(0)

/** The indices of `wanted` by file and position. */
function byPlace(wanted: readonly number[], physicals: readonly PhysicalFile[], positions: readonly number[]): Uint32Array {
  const files = new Map<PhysicalFile, number[]>()
  for (const index of wanted) {
    const physical = physicals[index]!
    let keys = files.get(physical)
    if (keys === undefined) files.set(physical, (keys = []))
    // One number, so that sorting needs no comparator. Records are longer than 16 bytes: no two begin in the same unit.
    keys.push(Math.floor(positions[index]! / 16) * MAX_COUNT + index)
  }
  const order = new Uint32Array(wanted.length)
  let at = 0
  for (const keys of files.values()) for (const key of Float64Array.from(keys).sort()) order[at++] = key % MAX_COUNT
  return order
}
