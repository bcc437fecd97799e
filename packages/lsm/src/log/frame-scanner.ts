/**
 * Reads the frames of a log file one after another, and finds the next valid one after damage.
 *
 * The file is read through a window, so memory is bounded by the larger of the window and one frame; a frame's length
 * is checked against what the file holds before anything is allocated for it. Whether damage is a torn tail or
 * corruption is for the caller to tell: here a frame is valid or it is not.
 */
import { FRAME_HEADER_LENGTH, readFrame, readU32 } from '@wk/codec'
import { TimeSlice, readFully, readFullySync } from '@wk/fs'
import type { File, Runtime } from '@wk/fs'
import { LOG_HEADER_LENGTH, MAX_FRAME_LENGTH } from './format.js'

/** A valid frame. The payload is `bytes[start..end)`, good until the scanner is used again. */
export interface Frame {
  /** Offset of the frame in its file. */
  offset: number
  /** Offset after the frame. */
  nextOffset: number
  bytes: Uint8Array
  start: number
  end: number
}

const WINDOW_LENGTH = 256 * 1024
/** Bytes read on the calling thread. */
const SYNC_READ_LIMIT = 16 * 1024

/** Bytes that a search may run checksums over for each byte of the file, before it gives up. */
const SEARCH_EFFORT = 4
const SEARCH_ALLOWANCE = 16 * 1024 * 1024

export class FrameScanner {
  readonly size: number
  readonly #file: File
  readonly #number: number
  readonly #slice: TimeSlice
  #window: Uint8Array
  #windowAt = 0
  #windowEnd = 0
  #offset = LOG_HEADER_LENGTH

  /** `size` is that of the file; `number` its file number, with which its frames are salted. */
  constructor(file: File, number: number, size: number, runtime: Runtime) {
    this.#file = file
    this.#number = number
    this.size = size
    this.#window = new Uint8Array(Math.min(WINDOW_LENGTH, size))
    this.#slice = new TimeSlice(runtime)
  }

  /** Where the next frame is expected, or where damage begins. */
  get offset(): number {
    return this.#offset
  }

  /** Whether everything up to the end of the file was read. */
  get atEnd(): boolean {
    return this.#offset >= this.size
  }

  /** The first bytes of the file, at most the length of a header. */
  async header(): Promise<Uint8Array> {
    await this.#load(0, Math.min(LOG_HEADER_LENGTH, this.size))
    return this.#window.subarray(0, Math.min(LOG_HEADER_LENGTH, this.size))
  }

  /** The frame at the current offset; `undefined` at the end of the file and at damage, where it stays. */
  async next(): Promise<Frame | undefined> {
    if (this.#slice.due()) await this.#slice.pause()
    const at = this.#offset
    if (this.size - at <= FRAME_HEADER_LENGTH) return undefined
    await this.#load(at, FRAME_HEADER_LENGTH)
    const length = readU32(this.#window, at - this.#windowAt + 4)
    if (!this.#mayBeLength(at, length)) return undefined
    await this.#load(at, FRAME_HEADER_LENGTH + length)
    return this.#verify(at)
  }

  /**
   * The next valid frame after the current offset, wherever it begins; `undefined` if there is none. `isPlausible`
   * may refuse a payload, whose end is `payloadEnd`, by its bytes up to `end`, the first ones at least, before its checksum is computed: without it
   * contents could make the search quadratic. A search that would still cost too much ends with `'exhausted'`.
   */
  async findNext(isPlausible?: (bytes: Uint8Array, start: number, end: number, payloadEnd: number) => boolean): Promise<Frame | 'exhausted' | undefined> {
    let effort = SEARCH_EFFORT * (this.size - this.#offset) + SEARCH_ALLOWANCE
    const last = this.size - FRAME_HEADER_LENGTH - 1
    for (let at = this.#offset + 1; at <= last; at++) {
      if ((at & 0xfff) === 0 && this.#slice.due()) await this.#slice.pause()
      if (at + 64 > this.#windowEnd && this.#windowEnd < this.size) await this.#load(at, Math.min(64, this.size - at))
      const length = readU32(this.#window, at - this.#windowAt + 4)
      if (!this.#mayBeLength(at, length)) continue
      const start = at - this.#windowAt + FRAME_HEADER_LENGTH
      if (isPlausible !== undefined && !isPlausible(this.#window, start, Math.min(start + length, this.#windowEnd - this.#windowAt), start + length)) continue
      effort -= length
      if (effort < 0) return 'exhausted'
      await this.#load(at, FRAME_HEADER_LENGTH + length)
      const frame = this.#verify(at)
      if (frame !== undefined) return frame
    }
    return undefined
  }

  #mayBeLength(at: number, length: number): boolean {
    return length >= 1 && length <= MAX_FRAME_LENGTH && length <= this.size - at - FRAME_HEADER_LENGTH
  }

  #verify(at: number): Frame | undefined {
    const start = at - this.#windowAt
    const length = readFrame(this.#window, start, this.#windowEnd - this.#windowAt, this.#number, at, MAX_FRAME_LENGTH)
    if (length < 0) return undefined
    this.#offset = at + FRAME_HEADER_LENGTH + length
    return {
      offset: at,
      nextOffset: this.#offset,
      bytes: this.#window,
      start: start + FRAME_HEADER_LENGTH,
      end: start + FRAME_HEADER_LENGTH + length,
    }
  }

  /** Little is read on the calling thread: the manifest of a small tree takes no trip through the thread pool. */
  #read(offset: number, length: number, position: number): number | Promise<number> {
    if (length <= SYNC_READ_LIMIT) return readFullySync(this.#file, this.#window, offset, length, position)
    return readFully(this.#file, this.#window, offset, length, position)
  }

  /** Makes `[at, at + length)` be in the window. Requires that the file holds it. */
  async #load(at: number, length: number): Promise<void> {
    if (at >= this.#windowAt && at + length <= this.#windowEnd) return
    const kept = at >= this.#windowAt && at < this.#windowEnd ? this.#windowEnd - at : 0
    const from = at - this.#windowAt
    if (length > this.#window.length) {
      const grown = new Uint8Array(Math.min(this.size - at, Math.max(length, this.#window.length * 2)))
      if (kept > 0) grown.set(this.#window.subarray(from, from + kept))
      this.#window = grown
    } else if (kept > 0) this.#window.copyWithin(0, from, from + kept)
    this.#windowAt = at
    const wanted = Math.min(this.#window.length, this.size - at)
    const read = await this.#read(kept, wanted - kept, at + kept)
    // A file that became shorter in the meantime: what is missing reads as zeros, which no checksum accepts.
    this.#window.fill(0, kept + read, wanted)
    this.#windowEnd = at + wanted
  }
}
