/**
 * Merges tables, and entries in memory, into new tables: what a flush or compaction does with entries. The loop over them runs in WebAssembly
 * (`table-kernel.ts`); this gives it blocks and takes blocks from it.
 *
 * `step` goes on until whoever merges has something to decide or to do, which it returns. Between two steps it is at an entry, whose fields are
 * good until the next one. What is written is byte for byte what a `TableWriter` makes of the same entries. Of entries with the same key and sequence
 * number only that of the newest source is seen. Memory: a block of each source, the one that is written, and what `TableFrame` holds.
 *
 * Damage found on the way is `CorruptionError`. After an error there is nothing left to do but `close`.
 */
import { CorruptionError, KIND_ATTRIBUTES, KIND_POINTER, baseKind, checkArgument, checkOptions, formatFileName, hasMethods, invariant, readExpiresAt } from '@wk/codec'
import type { EntryPlace, EntryScan, EntryView } from '@wk/codec'
import type { File } from '@wk/fs'
import type { Block } from './block-reader.js'
import { checkBlockSize, checkRestartInterval } from './block-builder.js'
import { DEFAULT_BITS_PER_KEY, checkBitsPerKey } from './bloom-filter.js'
import { EntryFeed } from './entry-feed.js'
import { REFERENCE_WORDS } from './reference-list.js'
import { TableFeed } from './table-feed.js'
import { TableFrame } from './table-frame.js'
import type { TableFrameOptions } from './table-frame.js'
import { EVENT, NUMBER, TableKernel } from './table-kernel.js'
import type { TableReader } from './table-reader.js'
import type { TableSummary } from './table-properties.js'

/** What a merge stops for. */
export const MERGE = {
  /** All entries are merged; the last table is to be finished, if one was begun. */
  DONE: 0,
  /** The current entry needs a verdict, to be given to the next step. */
  JUDGE: 1,
  /** The current entry is behind the bound: another is to be set, or none. */
  BOUND: 2,
  /** The current entry begins a table: finish the one before, if there is one, and begin one. */
  TABLE: 3,
  /** The current entry, which stays, is a pointer that may be written anew in its place. */
  POINTER: 4,
  /** Nothing; blocks went by. */
  PAUSE: 5,
} as const

/** One of {@link MERGE}. */
export type MergeStep = (typeof MERGE)[keyof typeof MERGE]

/** Verdicts on an entry. */
export const VERDICT = {
  /** It stays as it is. */
  KEEP: 0,
  /** A tombstone takes its place. */
  BURY: 1,
  /** It goes. */
  DROP: 2,
} as const

/** Entries in memory, or tables that are sorted by key and disjoint, each opened when the one before has been walked. */
export type MergeSource = EntryScan | (() => TableReader | undefined)

export interface TableMergeOptions extends Omit<TableFrameOptions, 'fileNumber'> {
  /** Bytes of entries after which a data block ends. */
  blockSize: number
  /** Entries between restart points. */
  restartInterval: number
  /** Whether all but the newest version of a key go unseen. If not, they are shown for a verdict. */
  dropsOlder: boolean
  /** Whether pointers that stay are shown. */
  showsPointers: boolean
  /** Told of each record that an entry pointed to which went unseen. */
  onLost(fid: number, length: number): void
}

/** Of the entries that went unseen. */
export interface UnseenEntries {
  shadowed: number
  /** Tombstones among them. */
  tombstones: number
}

export class TableMerge implements EntryView {
  readonly #kernel: TableKernel
  readonly #feeds: readonly (EntryFeed | TableFeed)[]
  readonly #options: TableMergeOptions
  #frame: TableFrame | undefined
  #smallestKey: Uint8Array = new Uint8Array(0)
  #isClosed = false

  /** @param sources newest first; moved by nobody else from now on. @throws InvalidArgumentError */
  constructor(sources: readonly MergeSource[], options: TableMergeOptions) {
    checkArgument(Array.isArray(sources) && sources.every((source) => typeof source === 'function' || hasMethods(source, 'first', 'next')), 'a list of sources')
    checkMerge(options)
    this.#options = options
    this.#kernel = TableKernel.acquire()
    this.#feeds = sources.map((source) => (typeof source === 'function' ? new TableFeed(source) : new EntryFeed(source)))
    const { blockSize, restartInterval, bloomBitsPerKey, dropsOlder, showsPointers } = options
    this.#kernel.begin(sources.length, blockSize, restartInterval, bloomBitsPerKey ?? DEFAULT_BITS_PER_KEY, dropsOlder, showsPointers)
  }

  get keyBytes(): Uint8Array {
    return this.#kernel.bytes
  }

  get keyStart(): number {
    return this.#kernel.number(NUMBER.KEY)
  }

  get keyEnd(): number {
    return this.#kernel.number(NUMBER.KEY) + this.#kernel.number(NUMBER.KEY_LENGTH)
  }

  get sequence(): number {
    return this.#kernel.number(NUMBER.SEQUENCE)
  }

  get kind(): number {
    return this.#kernel.number(NUMBER.KIND)
  }

  get valueBytes(): Uint8Array {
    return this.#kernel.bytes
  }

  get valueStart(): number {
    return this.#kernel.number(NUMBER.VALUE)
  }

  get valueEnd(): number {
    return this.#kernel.number(NUMBER.VALUE) + this.#kernel.number(NUMBER.VALUE_LENGTH)
  }

  /** Whether the current entry is the newest of its key. */
  get isNewKey(): boolean {
    return this.#kernel.number(NUMBER.IS_NEW_KEY) === 1
  }

  /** Sequence number of the version before the current entry. Requires that it is not the newest. */
  get newerSequence(): number {
    return this.#kernel.number(NUMBER.NEWER_SEQUENCE)
  }

  /** Entries read so far, each once. */
  get entries(): number {
    return this.#kernel.number(NUMBER.ENTRIES_READ)
  }

  get unseen(): UnseenEntries {
    return { shadowed: this.#kernel.number(NUMBER.SHADOWED), tombstones: this.#kernel.number(NUMBER.SHADOWED_TOMBSTONES) }
  }

  /** Where the current entry lies; `undefined` if in memory. */
  get place(): EntryPlace | undefined {
    const block = this.#block
    return block === undefined ? undefined : { file: formatFileName('table', block.table), offset: block.offset }
  }

  /** Whether there is a table that was begun and not finished. */
  get hasTable(): boolean {
    return this.#frame !== undefined
  }

  /** Goes on. `verdict`: on the entry that needed one. */
  step(verdict: number = VERDICT.KEEP): MergeStep {
    const kernel = this.#kernel
    for (;;) {
      const event = kernel.run(verdict)
      switch (event) {
        case EVENT.DONE:
          this.#fetch()
          return MERGE.DONE
        case EVENT.MORE:
          this.#feed(kernel.number(NUMBER.SOURCE))
          return MERGE.PAUSE
        case EVENT.JUDGE:
          return MERGE.JUDGE
        case EVENT.BOUND:
          return MERGE.BOUND
        case EVENT.TABLE:
          return MERGE.TABLE
        case EVENT.ENTRY:
          this.#addExpiry()
          if (this.#options.showsPointers && baseKind(this.kind) === KIND_POINTER) return MERGE.POINTER
          break
        case EVENT.INDEX:
          this.#separate()
          break
        case EVENT.BLOCK:
          this.#takeBlock()
          return MERGE.PAUSE
        case EVENT.FETCH:
          this.#fetch()
          return MERGE.PAUSE
        default:
          invariant(event === EVENT.DAMAGE, 'an event of the kernel')
          throw this.#damage(kernel.damage())
      }
    }
  }

  /** The key up to which no entry is asked about ({@link MERGE.BOUND}); `undefined`: there is none. */
  setBound(key: Uint8Array | undefined): void {
    if (key === undefined) this.#kernel.calls.unbound()
    else this.#kernel.put(this.#kernel.calls.boundFor(key.length), key, key.length)
  }

  /** Ends the table before the current entry. */
  cut(): void {
    this.#kernel.calls.cut()
  }

  /**
   * Begins a table with the current entry. It ends before the first key at which it would be of `size` bytes, about; never if that is not to be (`Infinity`).
   *
   * @param file empty, open for writing; stays the caller's
   */
  beginTable(file: File, fileNumber: number, size: number): void {
    checkArgument(this.#frame === undefined, 'the table before to be finished')
    checkArgument(typeof size === 'number' && size >= 0, 'the size of a table in bytes')
    this.#frame = new TableFrame(file, { ...this.#options, fileNumber })
    this.#smallestKey = this.#kernel.bytes.slice(this.keyStart, this.keyEnd)
    this.#kernel.calls.beginTable(size, Number.isFinite(size) ? 1 : 0)
    this.#kernel.calls.setBase(this.#frame.size)
  }

  /** Completes the table, in steps of a few milliseconds. The caller syncs and closes the file. */
  *finishSteps(): Generator<undefined, TableSummary, void> {
    const frame = this.#open()
    const kernel = this.#kernel
    const summary = yield* frame.finishSteps(
      {
        entries: kernel.number(NUMBER.ENTRIES),
        tombstones: kernel.number(NUMBER.TOMBSTONES),
        smallestKey: this.#smallestKey,
        largestKey: this.#lastKey().slice(),
        smallestSequence: kernel.number(NUMBER.SMALLEST_SEQUENCE),
        largestSequence: kernel.number(NUMBER.LARGEST_SEQUENCE),
        keyBytes: kernel.number(NUMBER.KEY_BYTES),
        valueBytes: kernel.number(NUMBER.VALUE_BYTES),
        distinctKeys: kernel.number(NUMBER.DISTINCT_KEYS),
      },
      kernel.number(NUMBER.LAST_SEQUENCE),
    )
    this.#frame = undefined
    return summary
  }

  /** Ends the merge, wherever it is. What was begun of a table is of no use to anybody. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#frame?.abandon()
    this.#kernel.release()
  }

  get #block(): Block | undefined {
    return this.#feeds[this.#kernel.number(NUMBER.SOURCE)]?.place
  }

  #feed(source: number): void {
    const kernel = this.#kernel
    const block = this.#feeds[source]!.next()
    if (block === undefined) {
      kernel.calls.end(source)
      return
    }
    const { bytes, entriesEnd, restartCount } = block
    const length = entriesEnd + 4 * restartCount
    kernel.put(kernel.calls.placeFor(source, length), bytes, length)
    kernel.calls.open(source, entriesEnd, restartCount)
  }

  #addExpiry(): void {
    const { kind } = this
    if ((kind & KIND_ATTRIBUTES) === 0) return
    let expiresAt: number
    try {
      expiresAt = readExpiresAt(kind, this.valueBytes, this.valueStart, this.valueEnd)
    } catch {
      throw this.#damage('an entry with cut attributes')
    }
    if (expiresAt !== 0) this.#open().expiries.add(expiresAt)
  }

  #separate(): void {
    const frame = this.#open()
    frame.separate(this.#lastKey(), this.#kernel.number(NUMBER.LAST_SEQUENCE), this.#kernel.view(this.keyStart, this.#kernel.number(NUMBER.KEY_LENGTH)))
    this.#kernel.calls.setBase(frame.size)
  }

  #takeBlock(): void {
    const frame = this.#open()
    const kernel = this.#kernel
    const start = kernel.number(NUMBER.BLOCK)
    frame.addDataBlock(kernel.bytes, start, start + kernel.number(NUMBER.BLOCK_LENGTH), kernel.number(NUMBER.BLOCK_VALUE_BYTES))
    kernel.calls.setBase(frame.size)
    this.#fetch()
  }

  /** Takes what has come together beside the block. */
  #fetch(): void {
    const kernel = this.#kernel
    const lost = kernel.words(kernel.number(NUMBER.LOSSES), 2 * kernel.number(NUMBER.LOSS_COUNT))
    for (let i = 0; i < lost.length; i += 2) this.#options.onLost(lost[i]!, lost[i + 1]!)
    const frame = this.#frame
    if (frame === undefined) return
    frame.filter.addHashes(kernel.words(kernel.number(NUMBER.HASHES), 2 * kernel.number(NUMBER.HASH_COUNT)))
    frame.references.addPointers(kernel.words(kernel.number(NUMBER.REFERENCES), REFERENCE_WORDS * kernel.number(NUMBER.REFERENCE_COUNT)))
  }

  #lastKey(): Uint8Array {
    return this.#kernel.view(this.#kernel.number(NUMBER.LAST_KEY), this.#kernel.number(NUMBER.LAST_KEY_LENGTH))
  }

  #open(): TableFrame {
    checkArgument(this.#frame !== undefined, 'a table that was begun')
    return this.#frame
  }

  #damage(message: string): CorruptionError {
    return this.#block?.damage(message) ?? new CorruptionError(message)
  }
}

function checkMerge(options: TableMergeOptions): void {
  const { blockSize, restartInterval, bloomBitsPerKey, onLost } = checkOptions(options)
  checkBlockSize(blockSize)
  checkRestartInterval(restartInterval)
  checkBitsPerKey(bloomBitsPerKey ?? DEFAULT_BITS_PER_KEY)
  checkArgument(typeof onLost === 'function', 'a function that is told of lost records')
}
