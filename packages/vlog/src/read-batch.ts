/**
 * Many records at once: sorted by place, neighbours merged into one read.
 *
 * Short reads are made on the calling thread as long as they are quick: they are cached then, and a trip to the thread pool
 * would cost several times the read. After each {@link SLICE_MS} the event loop gets a turn. When reads turn out slow, and for
 * long ones, the pool takes over with a bounded number in flight, so that they overlap. Records of more than a MiB are begun first, so
 * that the pool reads them while this thread reads the others. Files stay in the directory until the whole batch is done.
 *
 * Many scattered short records are read by two threads, if there is one that has nothing else to do (`read-help.ts`). What it has read when all
 * are taken is copied from shared memory, a slab at a time; what it has only begun is read here, after one turn.
 */
import { NO_BYTES, SLAB_LENGTH, allocateBytes, allocateSlab, invariant } from '@wk/codec'
import { readFully, readFullySync, type Runtime } from '@wk/fs'
import { locate, type LogicalFile } from './file-map.js'
import type { PhysicalFile } from './physical-file.js'
import { isShareable, type ReadHelp, type SharedBatch } from './read-help.js'
import type { RecordBatch } from './record-batch.js'
import type { FetchedRecord } from './stored-record.js'
import { LONG_SYNC_READ_LIMIT, wasSlow, type VlogReader } from './vlog-reader.js'
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
/** Records of more than a MiB that are read at once, each in pieces. */
const LONG_IN_FLIGHT = 2
/** Milliseconds of reads on the calling thread between two turns of the event loop. */
const SLICE_MS = 2
/** The pool takes over after so many slow reads, if they are a quarter of all. (Other threads interrupt now and then.) */
const MOST_SLOW = 4
/** Fewer records are not worth a trip to another thread ... */
const FEWEST_SHARED = 512
/** ... nor are those of which more than this part is read along with the one before. */
const DENSE = 0.75
/** Records of a batch, at most. */
const MAX_COUNT = 2 ** 24

/**
 * A batch whose reading has begun. One that `isShared`, or whose long records were begun, must be finished or cancelled, in any turn; another one
 * can be finished in this turn.
 */
export type BatchReading = Pick<BatchRead, 'isShared' | 'beginLong' | 'finish' | 'cancel'>

/** Receives the record asked for as `index`. */
export type VisitRecord = (index: number, logical: LogicalFile, record: FetchedRecord) => void

/** What one read fetches: the records `[from, to)` in the order of their places, bytes `[start, end)` of their file. */
interface Span {
  from: number
  to: number
  start: number
  end: number
}

/**
 * Fetches the records of a batch and hands each to `visit`, in any order. Verifying is the visitor's, but for records that another
 * thread has verified.
 */
export class BatchRead {
  readonly #set: VlogSet
  readonly #reader: VlogReader
  readonly #runtime: Runtime
  readonly #batch: RecordBatch
  readonly #visit: VisitRecord
  readonly #lens: readonly number[]
  readonly #logicals: LogicalFile[] = []
  /** Where the records lie now; a relocation meanwhile changes nothing here. */
  readonly #physicals: PhysicalFile[] = []
  readonly #positions: number[] = []
  /** The records to read, by place. */
  #order: Uint32Array
  /** The first one of which no span was made. */
  #next = 0
  /** The first one that is not this thread's, as far as is decided. */
  #end: number
  readonly #help: ReadHelp | undefined
  #shared: SharedBatch | undefined
  /** The first piece of the shared ones that was not taken. */
  #piece = 0
  /** Spans that are too long for the calling thread. */
  readonly #long: Span[] = []
  /** The reading of the longest ones, which begins before all others, and which they are. */
  #longest: Promise<void> | undefined
  readonly #begun = new Set<number>()
  #isCancelled = false
  #reads = 0
  #slowReads = 0

  constructor(set: VlogSet, reader: VlogReader, runtime: Runtime, batch: RecordBatch, visit: VisitRecord, help?: ReadHelp) {
    const { count, fids, offsets, lens } = batch
    invariant(count <= MAX_COUNT, 'a batch of bounded length')
    this.#set = set
    this.#reader = reader
    this.#runtime = runtime
    this.#batch = batch
    this.#visit = visit
    this.#lens = lens
    this.#help = help
    const record: FetchedRecord = { bytes: NO_BYTES, start: 0, hold: 'lent' }
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
    this.#end = this.#order.length
    this.#share()
  }

  /** Whether another thread is reading, too. */
  get isShared(): boolean {
    return this.#shared !== undefined
  }

  /** Reads and visits everything. `undefined` if that is done. Throws, or rejects, with the first failure. */
  finish(): Promise<void> | undefined {
    const hasLong = this.beginLong()
    if (this.#shared === undefined) return this.#slice() && !hasLong ? undefined : this.#goOn()
    if (!this.#hasMoved) return this.#finishShared(this.#shared)
    void this.cancel()
    return new BatchRead(this.#set, this.#reader, this.#runtime, this.#batch, this.#visit).finish()
  }

  /** Begins to read the records of more than a MiB through the pool, which costs the calling thread nothing. Whether there are any. */
  beginLong(): boolean {
    if (this.#longest !== undefined) return true
    const spans: Span[] = []
    for (let at = this.#next; at < this.#end; at++) {
      const index = this.#order[at]!
      if (this.#lens[index]! <= LONG_SYNC_READ_LIMIT) continue
      const start = this.#positions[index]!
      spans.push({ from: at, to: at + 1, start, end: start + this.#lens[index]! })
      this.#begun.add(index)
    }
    if (spans.length === 0) return false
    const unpin = this.#pin()
    this.#longest = this.#readEach(LONG_IN_FLIGHT, () => spans.shift()).finally(unpin)
    // Whoever finishes the batch meets it.
    this.#longest.catch(() => undefined)
    return true
  }

  /** Gives up a batch that was begun and is not finished. Resolves when nothing of it is on its way any more; `undefined` if nothing is. */
  cancel(): Promise<void> | undefined {
    this.#isCancelled = true
    if (this.#shared !== undefined) this.#help?.end(this.#shared)
    this.#shared = undefined
    return this.#longest?.catch(() => undefined)
  }

  #share(): void {
    const help = this.#help
    if (help === undefined || help.isTaken || !this.#isWorthSharing()) return
    const places = { logicals: this.#logicals, physicals: this.#physicals, positions: this.#positions, lens: this.#lens }
    this.#shared = help.share(this.#order, places)
    if (this.#shared === undefined) return
    this.#order = this.#shared.order
    this.#end = this.#shared.own
  }

  /** Whether a relocation came between the two steps: the files that were found first may be gone. */
  get #hasMoved(): boolean {
    return this.#logicals.some(({ physical }, index) => physical !== this.#physicals[index])
  }

  #isWorthSharing(): boolean {
    const order = this.#order
    if (order.length < FEWEST_SHARED) return false
    let shareable = 0
    let near = 0
    let end = 0
    for (const index of order) {
      const position = this.#positions[index]!
      const length = this.#lens[index]!
      if (position >= end && position - end <= MAX_GAP) near++
      if (isShareable(this.#logicals[index]!, length)) shareable++
      end = position + length
    }
    return shareable >= FEWEST_SHARED && near <= DENSE * order.length
  }

  async #finishShared(shared: SharedBatch): Promise<void> {
    const help = this.#help!
    const unpin = this.#pin()
    try {
      if (!help.resume(shared)) {
        this.#shared = undefined
        this.#end = this.#order.length
      }
      if (!this.#slice()) await this.#goOn()
      await this.#longest
      if (this.#shared === undefined) return
      // The last piece needs a moment.
      await this.#runtime.yield()
      const { pieces, own } = shared
      const late: number[] = []
      let until = this.#runtime.monotonic() + SLICE_MS
      for (let piece = pieces.count - 1; piece >= this.#piece; piece--) {
        if (pieces.isRead(piece)) this.#visitPiece(shared, piece)
        else late.push(piece)
        if (this.#runtime.monotonic() < until) continue
        await this.#runtime.yield()
        until = this.#runtime.monotonic() + SLICE_MS
      }
      // With the answer of the other thread it can be asked again.
      if (help.isHeld) await this.#runtime.yield()
      for (const piece of late) {
        if (pieces.isRead(piece)) {
          this.#visitPiece(shared, piece)
          continue
        }
        this.#next = own + pieces.start(piece)
        this.#end = own + pieces.end(piece)
        await this.#goOn()
      }
    } finally {
      help.end(shared)
      unpin()
    }
  }

  /** Takes the next piece for this thread. False if there is none. */
  #takePiece(): boolean {
    if (this.#shared === undefined) return false
    const { pieces, own } = this.#shared
    if (this.#piece === pieces.count || !pieces.take(this.#piece)) return false
    this.#end = own + pieces.end(this.#piece++)
    return true
  }

  /** Hands on what the other thread has read. */
  #visitPiece({ pieces, own }: SharedBatch, piece: number): void {
    const slab = allocateSlab()
    slab.set(pieces.bytes.subarray(piece * SLAB_LENGTH, (piece + 1) * SLAB_LENGTH))
    const record: FetchedRecord = { bytes: slab, start: 0, hold: 'verified' }
    const end = own + pieces.end(piece)
    for (let i = own + pieces.start(piece); i < end; i++) {
      const index = this.#order[i]!
      this.#visit(index, this.#logicals[index]!, record)
      record.start += this.#lens[index]!
    }
  }

  /** Reads on the calling thread for a while. Returns whether all is done. */
  #slice(): boolean {
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
    return !this.#isLeft && this.#long.length === 0
  }

  /** Does what is left. */
  async #goOn(): Promise<void> {
    const unpin = this.#pin()
    try {
      while (this.#isLeft && !this.#isSlow) {
        await this.#runtime.yield()
        this.#slice()
      }
      await this.#readInPool()
      await this.#longest
    } finally {
      unpin()
    }
  }

  /** Keeps the files in the directory. Returns a function that ends it. */
  #pin(): () => void {
    const pinned = new Set(this.#physicals)
    for (const physical of pinned) this.#set.pin(physical)
    return () => {
      for (const physical of pinned) this.#set.unpin(physical)
    }
  }

  /** Whether there is a record of which no span was made. */
  get #isLeft(): boolean {
    return this.#next < this.#end || this.#takePiece()
  }

  get #isSlow(): boolean {
    return this.#slowReads >= MOST_SLOW && this.#slowReads * 4 >= this.#reads
  }

  /** The next record and the neighbours that one read fetches with it. False if none is left. */
  #takeSpan(out: Span): boolean {
    const order = this.#order
    while (this.#isLeft && this.#begun.has(order[this.#next]!)) this.#next++
    if (!this.#isLeft) return false
    out.from = this.#next++
    const first = order[out.from]!
    const physical = this.#physicals[first]
    out.start = this.#positions[first]!
    out.end = out.start + this.#lens[first]!
    while (this.#next < this.#end) {
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
    const left = this.#long.length + this.#order.length - this.#next
    const span: Span = { from: 0, to: 0, start: 0, end: 0 }
    await this.#readEach(Math.min(MAX_IN_FLIGHT, left), () => this.#long.pop() ?? (this.#takeSpan(span) ? { ...span } : undefined))
  }

  /** Reads what `take` gives through the pool, so many spans at once. */
  async #readEach(atOnce: number, take: () => Span | undefined): Promise<void> {
    let failed = false
    const lane = async (): Promise<void> => {
      for (let span = take(); span !== undefined && !failed && !this.#isCancelled; span = take()) {
        try {
          await this.#read(span)
        } catch (error) {
          failed = true
          throw error
        }
      }
    }
    const lanes = await Promise.allSettled(Array.from({ length: atOnce }, lane))
    for (const outcome of lanes) if (outcome.status === 'rejected') throw outcome.reason
  }

  async #read(span: Span): Promise<void> {
    const { handles } = this.#set
    const length = span.end - span.start
    const bytes = allocateBytes(length)
    const physical = this.#physicals[this.#order[span.from]!]!
    const isOne = span.to === span.from + 1
    const record: FetchedRecord = { bytes, start: 0, hold: isOne ? 'own' : 'lent' }
    const file = handles.acquire(physical)
    try {
      if (isOne) {
        const index = this.#order[span.from]!
        await this.#reader.readLong(this.#logicals[index]!, this.#batch.offsets[index]!, physical, file, span.start, record)
      } else {
        const count = await readFully(file, bytes, 0, length, span.start)
        if (count < length) throw shortFile(physical, span.end)
      }
    } finally {
      handles.release(physical)
    }
    // Several reads may have ended in this turn.
    await this.#reader.guard.pass()
    this.#visitAll(span, record)
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
