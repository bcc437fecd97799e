/**
 * Walks the records of a stretch of a file in order, verifying each one, through a window of bounded size.
 *
 * Used by open (what is valid?), iterate, verify, relocation and garbage collection. It stops at the first byte that
 * starts no valid record and says so; whether that is a torn tail or damage is for the caller to decide, who knows what was durable.
 */
import { CorruptionError } from '@wk/codec'
import { readFully, type File } from '@wk/fs'
import { MAX_RECORD_HEADER_LENGTH } from './format.js'
import { newRecordHeader, readRecordHeader, verifiesCrc } from './record.js'

/** Bytes of a read; a longer record gets a window of its own length. */
const WINDOW = 1 << 20

/** What {@link RecordScanner.step} found. */
export type ScanStep = 'record' | 'end' | 'invalid' | 'fill'

export class RecordScanner {
  /** Fields of the current record. */
  readonly header = newRecordHeader()
  /** Holds the current record at {@link start}; replaced and overwritten by {@link fill}. */
  bytes: Uint8Array
  start = 0
  /** Position of the current record in the file; after `end` or `invalid`, where the valid part ends. */
  position: number
  readonly #file: File
  readonly #end: number
  #next: number
  /** File position of `bytes[0]`, and how many bytes are there. */
  #base: number
  #length = 0
  /** Bytes wanted at {@link #next} before the next step can be judged. */
  #wanted = 0

  /** Scans `[start, end)`. Requires that the file is at least `end` bytes long. */
  constructor(file: File, start: number, end: number) {
    this.#file = file
    this.#end = end
    this.#next = start
    this.#base = start
    this.position = start
    this.bytes = new Uint8Array(Math.max(0, Math.min(WINDOW, end - start)))
  }

  /**
   * Moves to the next record: `record`. At the end of the stretch: `end`. Where no valid record starts: `invalid`.
   * Otherwise `fill`: call {@link fill}, then step again.
   */
  step(): ScanStep {
    const at = this.#next - this.#base
    const remaining = this.#end - this.#next
    this.position = this.#next
    if (remaining <= 0) return 'end'
    const visible = this.#length - at
    if (visible < Math.min(MAX_RECORD_HEADER_LENGTH, remaining)) return this.#want(Math.min(MAX_RECORD_HEADER_LENGTH, remaining))
    const { header } = this
    if (!readRecordHeader(this.bytes, at, this.#length, this.#end - this.#base, header)) return 'invalid'
    if (header.length > visible) return this.#want(header.length)
    if (!verifiesCrc(this.bytes, at, header)) return 'invalid'
    this.start = at
    this.#next += header.length
    return 'record'
  }

  /** Steps over the next record, filling as needed. */
  async next(): Promise<Exclude<ScanStep, 'fill'>> {
    for (;;) {
      const step = this.step()
      if (step !== 'fill') return step
      await this.fill()
    }
  }

  /** Reads on. Bytes of earlier records are gone afterwards. */
  async fill(): Promise<void> {
    const from = this.#next
    const kept = this.#base + this.#length - from
    const size = Math.min(Math.max(WINDOW, this.#wanted), this.#end - from)
    const target = size > this.bytes.length ? new Uint8Array(size) : this.bytes
    const at = from - this.#base
    target.set(this.bytes.subarray(at, at + kept))
    this.bytes = target
    this.#base = from
    this.#length = kept
    const count = await readFully(this.#file, target, kept, size - kept, from + kept)
    this.#length = kept + count
    if (this.#length < Math.min(this.#wanted, size)) {
      throw new CorruptionError(`the file ends before offset ${from + this.#wanted}`, { file: nameOf(this.#file.path), offset: from + this.#length })
    }
  }

  #want(length: number): 'fill' {
    this.#wanted = length
    return 'fill'
  }
}

/** Last part of a path, for errors. */
export function nameOf(path: string): string {
  return path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1)
}
