/**
 * An open table: index and filter in memory, data blocks on demand, through a cache if there is one.
 *
 * Guarantees: a table is immutable, so every answer is the same for ever; every block is checked when it is read from
 * disk; damage is `CorruptionError` with file and offset, never a wrong answer. Lookups allocate nothing an entry;
 * memory is the filter, the index and, through the cache, blocks (README: figures).
 *
 * Everything is synchronous. It leaves to others: which sequences are visible, what a payload means, the file's life
 * (reader and cursors must not be used after the file was closed).
 */
import { InvalidArgumentError, checkArgument, checkOptions, flagOption, hasMethods, isCount, isSequence } from '@wk/codec'
import type { LookupResult } from '@wk/codec'
import type { File } from '@wk/fs'
import type { BlockCache, TableBlocks } from './block-cache.js'
import { Block } from './block-reader.js'
import { BlockSource } from './block-source.js'
import type { FileHandle, ReadMemory } from './block-source.js'
import { filterMayContain, isFilter } from './bloom-filter.js'
import { FOOTER_LENGTH, blockEnd, decodeFooter, tableDamage } from './format.js'
import type { BlockHandle, TableFooter } from './format.js'
import { decodeReferences } from './reference-list.js'
import type { ReferenceList } from './reference-list.js'
import { TableIndex } from './table-index.js'
import { TableCursor } from './table-iterator.js'
import { decodeProperties } from './table-properties.js'
import type { TableProperties, TableSummary } from './table-properties.js'
import { verifyTable } from './table-verifier.js'
import type { VerifyProgress } from './table-verifier.js'

/** After this many lookups that found their key one after the other, the next one is expected to. */
const TRUST = 16

export interface TableReaderOptions {
  /** Blocks read by lookups and cursors are kept here. Default: none is kept. */
  cache?: BlockCache | undefined
  /** Check the checksum of every data block that is read from disk. Default true. What is read on opening is always checked. */
  verifyChecksums?: boolean | undefined
}

export class TableReader {
  readonly number: number
  readonly size: number
  readonly properties: TableProperties
  readonly #source: BlockSource
  readonly #footer: TableFooter
  readonly #filter: Uint8Array
  readonly #index: TableIndex
  readonly #cache: BlockCache | undefined
  readonly #cached: TableBlocks | undefined
  readonly #verifyChecksums: boolean
  /** Lookups one after the other that found their key, up to {@link TRUST}. */
  #streak = 0

  private constructor(source: BlockSource, options: TableReaderOptions) {
    const { number, size } = source
    this.number = number
    this.size = size
    this.#source = source
    this.#cache = options.cache ?? undefined
    this.#verifyChecksums = options.verifyChecksums ?? true
    const actual = source.actualSize()
    if (actual !== size) throw tableDamage(number, Math.min(actual, size), `table of ${actual} instead of ${size} bytes`)
    if (size < FOOTER_LENGTH) throw tableDamage(number, 0, 'file too short for a table')
    const footerOffset = size - FOOTER_LENGTH
    this.#footer = decodeFooter(source.readBytes(footerOffset, FOOTER_LENGTH), number, footerOffset)
    const { references, filter, properties, index } = this.#footer
    // Filter, properties and index lie next to each other: one read.
    const tail = source.readBytes(filter.offset, footerOffset - filter.offset)
    const open = (handle: BlockHandle): { bytes: Uint8Array; length: number } =>
      source.openBlock(tail.subarray(handle.offset - filter.offset, blockEnd(handle) - filter.offset), handle, true)
    const filterBlock = open(filter)
    this.#filter = filterBlock.bytes.subarray(0, filterBlock.length)
    if (!isFilter(this.#filter)) throw tableDamage(number, filter.offset, 'malformed bloom filter')
    const propertiesBlock = open(properties)
    this.properties = decodeProperties(propertiesBlock.bytes, propertiesBlock.length, number, properties.offset)
    const indexBlock = open(index)
    this.#index = new TableIndex(new Block(indexBlock.bytes, indexBlock.length, number, index.offset), references.offset)
    if (this.#index.length !== this.properties.dataBlocks) throw tableDamage(number, index.offset, 'index and properties disagree')
    this.#cached = this.#cache?.blocksOf(number, this.#index.length)
  }

  /**
   * Opens a table. `size` is what its `TableSummary` says; a file of another size is damaged. The file stays the
   * caller's, and must stay open (or open when acquired) as long as the reader is used.
   * @throws CorruptionError for damage, NotSupportedError for a later version, InvalidArgumentError for arguments of the wrong kind
   */
  static openSync(file: File | FileHandle, number: number, size: number, options: TableReaderOptions = {}): TableReader {
    checkArgument(hasMethods(file, 'readSync', 'sizeSync') || hasMethods(file, 'acquireSync', 'release'), 'an open file, or what opens it')
    checkArgument(Number.isSafeInteger(number) && number >= 1 && isCount(size), 'a file number from 1, and a size in bytes')
    const { cache, verifyChecksums } = checkOptions(options)
    checkArgument((cache ?? undefined) === undefined || hasMethods(cache, 'blocksOf', 'get', 'set'), 'a BlockCache')
    flagOption('verifyChecksums', verifyChecksums, true)
    return new TableReader(new BlockSource(file, number, size), options)
  }

  /** Number of data blocks. */
  get dataBlocks(): number {
    return this.#index.length
  }

  /** Bytes that the open table holds in memory, cached blocks apart. */
  get memory(): number {
    return this.#filter.byteLength + this.#index.memory + (this.#cached === undefined ? 0 : this.dataBlocks * 16)
  }

  /** What the writer's `finish` returned. */
  summary(): TableSummary {
    const { dataBlocks: _blocks, distinctKeys: _keys, ...summary } = this.properties
    return { number: this.number, size: this.size, ...summary }
  }

  /** Whether the user key may be here, by the bloom filter alone: false is certain. Reads nothing. */
  mayContain(key: Uint8Array): boolean {
    checkArgument(key instanceof Uint8Array, 'a key as a Uint8Array')
    return filterMayContain(this.#filter, key, 0, key.length)
  }

  /**
   * Finds the newest entry of `key` with a sequence number of at most `sequence`, tombstones included, and fills
   * `out`. Returns whether there is one. The views in `out` are into a shared block: they never change, and are not
   * to be written to.
   * @throws CorruptionError for damage, InvalidArgumentError for arguments of the wrong kind
   */
  get(key: Uint8Array, sequence: number, out: LookupResult): boolean {
    checkTarget(key, sequence)
    if (typeof out !== 'object' || out === null) throw new InvalidArgumentError('expected: a result to fill')
    out.found = false
    // Where every lookup finds its key, in the last level, the filter would be seven cache misses for nothing.
    if (this.#streak >= TRUST) return this.#getUnfiltered(key, sequence, out)
    if (!filterMayContain(this.#filter, key, 0, key.length)) {
      this.#streak = 0
      return false
    }
    const block = this.#index.find(key, sequence)
    const found = block < this.#index.length && this.block(block).find(key, sequence, out)
    this.#streak = found ? this.#streak + 1 : 0
    return found
  }

  /** As `get`, but asks the filter only where it may spare a read. */
  #getUnfiltered(key: Uint8Array, sequence: number, out: LookupResult): boolean {
    const index = this.#index.find(key, sequence)
    let found = false
    if (index < this.#index.length) {
      const cached = this.#cached === undefined ? undefined : this.#cache?.get(this.#cached, index)
      if (cached !== undefined) found = cached.find(key, sequence, out)
      else if (filterMayContain(this.#filter, key, 0, key.length)) found = this.#load(index).find(key, sequence, out)
    }
    if (!found) this.#streak = 0
    return found
  }

  /** A cursor beside all entries. */
  cursor(): TableCursor {
    return new TableCursor(this)
  }

  /** The full reference lists, by ascending file. Read from disk at each call. */
  references(): ReferenceList[] {
    const handle = this.#footer.references
    const { bytes, length } = this.#source.readBlock(handle, true)
    return decodeReferences(bytes, length, this.number, handle.offset)
  }

  /**
   * Reads the whole table from disk and checks all it claims: order, separators, counts, sums, references, filter.
   * Yields after every block, so that the caller may pause or stop. Throws `CorruptionError` at the first damage.
   */
  verify(): Generator<VerifyProgress, VerifyProgress, void> {
    return verifyTable(this, this.#index, this.#footer)
  }

  /** Data block `block` from the cache, or from the file into the cache. For cursors, and unchecked: requires `block < dataBlocks`. */
  block(block: number): Block {
    const cached = this.#cached === undefined ? undefined : this.#cache?.get(this.#cached, block)
    return cached ?? this.#load(block)
  }

  /** Data block `block` from the file, and into the cache. */
  #load(block: number): Block {
    const read = this.readBlock(block)
    if (this.#cached !== undefined) this.#cache?.set(this.#cached, block, read)
    return read
  }

  /** Data block `block` from the file, into `memory` if it is given. For merges, the verifier and salvage. Requires `block < dataBlocks`. */
  readBlock(block: number, verifyChecksum: boolean = this.#verifyChecksums, memory?: ReadMemory): Block {
    const offset = this.#index.offset(block)
    const { bytes, length } = this.#source.readBlock({ offset, length: this.#index.contentLength(block) }, verifyChecksum, memory)
    return new Block(bytes, length, this.number, offset)
  }

  /** Where data block `block` lies. For salvage. */
  blockHandle(block: number): BlockHandle {
    return { offset: this.#index.offset(block), length: this.#index.contentLength(block) }
  }

  /** The first data block that may hold the target or what follows it; `dataBlocks` if there is none. For cursors. */
  findBlock(key: Uint8Array, sequence: number): number {
    checkTarget(key, sequence)
    return this.#index.find(key, sequence)
  }
}

function checkTarget(key: Uint8Array, sequence: number): void {
  if (!(key instanceof Uint8Array) || !isSequence(sequence)) throw new InvalidArgumentError('expected: a key as a Uint8Array, and a sequence number within 48 bits')
}
