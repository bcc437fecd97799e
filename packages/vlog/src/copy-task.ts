/**
 * Copies live records from one physical file into another: the work of a relocation, as a task that any thread can run.
 *
 * Reads and writes synchronously, a buffer at a time: in a worker that spares the thread pool, which callers need for their own
 * reads. Neighbours are read together; every record is verified before its bytes go on. Positions are given, so that running it
 * again, whole, does no harm. Syncs nothing.
 */
import { CorruptionError, throwIfAborted } from '@wk/codec'
import { TimeSlice, readFullySync, writeFullySync, type File, type FileSystem, type Runtime } from '@wk/fs'
import { openToRead } from './physical-file.js'
import { newRecordHeader, readRecordHeader, verifiesCrc } from './record.js'

/** What to copy. Plain data. */
export interface CopyQuery {
  /** Path of the file to read, and its name in messages. */
  source: string
  sourceName: string
  /** Places in the source, ascending: a record each, or several that touch. */
  positions: Float64Array
  lengths: Uint32Array
  /** Path of the file to write, which exists, and where the first record goes; the others follow without a gap. */
  target: string
  targetOffset: number
}

/** What a task runs with. */
export interface CopyContext {
  fs: FileSystem
  runtime: Runtime
  signal?: AbortSignal | undefined
}

/** Bytes collected for a write. */
const BUFFER = 1 << 20
/** Buffers of tasks that have ended: memory that was touched before is read into three times as fast as fresh memory. */
const spare: Uint8Array[] = []
const MOST_SPARE = 2
/** Dead bytes between two live ranges that are read along rather than skipped. */
const GAP = 1 << 14

/** `@wk/lsm`'s `Task`, for a worker: resolves with the bytes copied. @throws CorruptionError, IoError, AbortedError */
export const copyTask = { kind: 'copy', run: copyRecords }

async function copyRecords(query: CopyQuery, { fs, runtime, signal }: CopyContext): Promise<number> {
  throwIfAborted(signal)
  const slice = new TimeSlice(runtime)
  const source = openToRead(fs, query.source, query.sourceName)
  try {
    const target = fs.openSync(query.target, 'update')
    try {
      const buffer = spare.pop() ?? new Uint8Array(BUFFER)
      const copier = new Copier(query, source, target, buffer)
      try {
        for (let at = 0; at < query.positions.length; ) {
          at = copier.copyGroup(at)
          if (!slice.due()) continue
          await slice.pause()
          throwIfAborted(signal)
        }
        copier.flush()
        return copier.copied
      } finally {
        if (spare.length < MOST_SPARE) spare.push(buffer)
      }
    } finally {
      target.closeSync()
    }
  } finally {
    source.closeSync()
  }
}

class Copier {
  readonly #query: CopyQuery
  readonly #source: File
  readonly #target: File
  readonly #header = newRecordHeader()
  readonly #own: Uint8Array
  #buffer: Uint8Array
  #length = 0
  /** Bytes of records that are in the target, or in the buffer. */
  copied = 0

  constructor(query: CopyQuery, source: File, target: File, buffer: Uint8Array) {
    this.#query = query
    this.#source = source
    this.#target = target
    this.#own = buffer
    this.#buffer = buffer
  }

  /** Reads the ranges from `first` on that one read can take, verifies and keeps them. Returns the first one left. */
  copyGroup(first: number): number {
    const { positions, lengths } = this.#query
    const start = positions[first]!
    let end = start + lengths[first]!
    let next = first + 1
    if (end - start > BUFFER) {
      this.#copyLong(start, end)
      return next
    }
    for (; next < positions.length; next++) {
      const position = positions[next]!
      const after = position + lengths[next]!
      if (position - end > GAP || after - start > BUFFER) break
      end = after
    }
    if (this.#length + (end - start) > this.#buffer.length) this.flush()
    const base = this.#length
    this.#read(base, end - start, start)
    for (let range = first; range < next; range++) this.#keep(base + positions[range]! - start, lengths[range]!, positions[range]!)
    return next
  }

  /** Writes what is in the buffer. */
  flush(): void {
    if (this.#length === 0) return
    writeFullySync(this.#target, this.#buffer, 0, this.#length, this.#query.targetOffset + this.copied - this.#length)
    this.#length = 0
  }

  /** A range that is longer than the buffer: a long record, or more records than go into it. */
  #copyLong(start: number, end: number): void {
    this.flush()
    const header = this.#header
    for (let at = start; at < end; ) {
      let visible = Math.min(this.#buffer.length, end - at)
      this.#read(0, visible, at)
      if (!readRecordHeader(this.#buffer, 0, visible, end - at, header)) throw this.#damage(at, 'no record')
      if (header.length > visible) {
        visible = header.length
        this.#buffer = new Uint8Array(visible)
        this.#read(0, visible, at)
      }
      let whole = 0
      while (whole < visible && readRecordHeader(this.#buffer, whole, visible, end - at, header) && whole + header.length <= visible) whole += header.length
      this.#keep(0, whole, at)
      this.flush()
      at += whole
    }
    this.#buffer = this.#own
  }

  #read(into: number, length: number, position: number): void {
    const count = readFullySync(this.#source, this.#buffer, into, length, position)
    if (count < length) throw this.#damage(position + count, 'the file ends too early')
  }

  /** Verifies the records at `at` in the buffer and moves them up to those kept before. */
  #keep(at: number, length: number, position: number): void {
    const header = this.#header
    const end = at + length
    for (let record = at; record < end; record += header.length) {
      if (!readRecordHeader(this.#buffer, record, end, end, header)) throw this.#damage(position + record - at, 'no record')
      if (!verifiesCrc(this.#buffer, record, header)) throw this.#damage(position + record - at, 'the checksum does not match')
    }
    if (at !== this.#length) this.#buffer.copyWithin(this.#length, at, end)
    this.#length += length
    this.copied += length
  }

  #damage(offset: number, message: string): CorruptionError {
    const { sourceName: file } = this.#query
    return new CorruptionError(`${message}: ${file} at offset ${offset}`, { file, offset })
  }
}
