/**
 * Is there a valid record behind damage? The question that tells bit rot from a torn tail (law 6).
 *
 * A record may start at any byte, so every byte is a candidate; its header must be plausible and its version safe,
 * then its sum decides; that of an encrypted one is asked for last, for it has to be decrypted. One pass: sums are not computed per candidate but derived from one running sum at the
 * candidate's two ends (`crc-shift.ts`), so the cost is linear however long the claimed records are. Candidates whose
 * end lies ahead wait in a heap of bounded size; when it overflows the answer is `undefined`: not known.
 * Stretches of zeros (a preallocated tail) are skipped by comparison.
 */
import { crc32cRange } from '@wk/codec'
import { readFully, readFullySync, type File, type Runtime, TimeSlice } from '@wk/fs'
import {
  MAX_RECORD_HEADER_LENGTH,
  MAX_STORED_KEY_LENGTH,
  MIN_RECORD_LENGTH,
  RECORD_CRC_LENGTH,
  VERSION_LENGTH,
} from './format.js'
import { shiftCrc } from './crc-shift.js'
import type { RecordCipher } from './record-cipher.js'
import { newRecordHeader, readRecordHeader, readU32BE, readVersion, UNSAFE } from './record.js'
import { openVersion } from './stored-record.js'

const WINDOW = 1 << 18
/** Bytes after a candidate's start that must be visible to judge its header and version. */
const LOOKAHEAD = MAX_RECORD_HEADER_LENGTH + MAX_STORED_KEY_LENGTH
const MAX_WAITING = 1 << 18

/** What a record may look like. */
export interface SearchOptions {
  /** The records are encrypted with it. */
  cipher?: RecordCipher | undefined
  /** Offset in the logical file, less the place in the file: an encrypted record depends on it. Default 0. */
  shift?: number
  /** First meta byte that no writer sets. Default 0x40: transaction marks are never in a value log. */
  metaLimit?: number
}

/** Offset of the first-ending valid record that starts in `[from, end)`, -1 if there is none, `undefined` if it gave up. */
export async function findRecord(
  file: File,
  from: number,
  end: number,
  runtime: Runtime,
  options: SearchOptions = {},
): Promise<number | undefined> {
  const slice = new TimeSlice(runtime)
  const bytes = Buffer.allocUnsafeSlow(Math.min(WINDOW + LOOKAHEAD, Math.max(end - from, 0)))
  const zeros = Buffer.alloc(Math.min(WINDOW, bytes.length))
  const search = new Search(bytes, options, (candidate) => saysVersion(file, candidate, options))
  for (let base = from; end - base >= MIN_RECORD_LENGTH; base += WINDOW) {
    const visible = await readFully(file, bytes, 0, Math.min(bytes.length, end - base), base)
    const stop = Math.min(WINDOW, visible)
    if (search.idle && isZero(bytes, zeros, visible)) continue
    const found = search.window(base, stop, visible, end)
    if (found !== -1) return found
    if (search.overflown) return undefined
    if (slice.due()) await slice.pause()
  }
  return -1
}

/** Whether a record whose sum is right is one of a file with this cipher, at this place: others say noise (`tail.ts`). */
function saysVersion(file: File, { start, headLength }: Candidate, { cipher, shift = 0 }: SearchOptions): boolean {
  if (cipher === undefined) return true
  const head = new Uint8Array(headLength)
  const header = newRecordHeader()
  const isThere = readFullySync(file, head, 0, headLength, start) === headLength && readRecordHeader(head, 0, headLength, Infinity, header)
  return isThere && openVersion(cipher, start + shift, head, 0, header) !== UNSAFE
}

function isZero(bytes: Buffer, zeros: Buffer, length: number): boolean {
  for (let at = 0; at < length; at += zeros.length) {
    if (bytes.compare(zeros, 0, Math.min(zeros.length, length - at), at, Math.min(at + zeros.length, length)) !== 0) return false
  }
  return true
}

/** A candidate: where it starts, bytes before its value, where its checksum lies, the running sum at its start. */
interface Candidate {
  start: number
  headLength: number
  sumAt: number
  sum: number
}

class Search {
  overflown = false
  readonly #bytes: Buffer
  readonly #isEncrypted: boolean
  readonly #metaLimit: number
  /** Asked of a candidate whose sum is right. */
  readonly #accepts: (candidate: Candidate) => boolean
  readonly #header = newRecordHeader()
  /** Binary heap, the nearest `sumAt` first. */
  readonly #waiting: Candidate[] = []
  /** Running sum up to `#summedTo`; meaningful only relative to where it was started. */
  #sum = 0
  #summedTo = 0

  constructor(bytes: Buffer, { cipher, metaLimit = 0x40 }: SearchOptions, accepts: (candidate: Candidate) => boolean) {
    this.#bytes = bytes
    this.#isEncrypted = cipher !== undefined
    this.#metaLimit = metaLimit
    this.#accepts = accepts
  }

  /** No candidate waits for bytes that are still to come. */
  get idle(): boolean {
    return this.#waiting.length === 0
  }

  /** Judges the candidates that start in the window's first `stop` bytes and those whose checksum is visible. */
  window(base: number, stop: number, visible: number, end: number): number {
    const bytes = this.#bytes
    const header = this.#header
    const metaLimit = this.#metaLimit
    for (let at = 0; at < stop; at++) {
      const found = this.#settle(base, base + at)
      if (found !== -1) return found
      // Cheap first: writers set no meta bit from 0x40 up, and the key length is at least 8.
      if (bytes[at]! >= metaLimit || at + 2 >= visible || bytes[at + 2]! < VERSION_LENGTH) continue
      if (!readRecordHeader(bytes, at, visible, end - base, header)) continue
      if (header.headerLength + header.keyLength > visible - at) continue
      if ((this.#isEncrypted ? header.expiresAt : readVersion(bytes, at, header)) === UNSAFE) continue
      this.#advance(base, base + at)
      this.#push({ start: base + at, headLength: header.headerLength + header.keyLength, sumAt: base + at + header.length - RECORD_CRC_LENGTH, sum: this.#sum })
      if (this.overflown) return -1
    }
    // Checksums beyond `stop` that this window shows are judged with the next one, except in the last window.
    const found = base + visible >= end ? this.#settle(base, end) : -1
    this.#advance(base, base + stop)
    return found
  }

  /** Judges every waiting candidate whose checksum starts at or before `position` and is visible. */
  #settle(base: number, position: number): number {
    for (;;) {
      const next = this.#waiting[0]
      if (next === undefined || next.sumAt > position) return -1
      this.#advance(base, next.sumAt)
      this.#pop()
      const sum = (this.#sum ^ shiftCrc(next.sum, next.sumAt - next.start)) >>> 0
      if (sum === readU32BE(this.#bytes, next.sumAt - base) && this.#accepts(next)) return next.start
    }
  }

  /** Moves the running sum on to `position`; starts it anew there when nobody waits. */
  #advance(base: number, position: number): void {
    if (this.idle) {
      this.#sum = 0
    } else if (position > this.#summedTo) {
      this.#sum = crc32cRange(this.#bytes, this.#summedTo - base, position - base, this.#sum)
    }
    this.#summedTo = position
  }

  #push(candidate: Candidate): void {
    const heap = this.#waiting
    if (heap.length === MAX_WAITING) {
      this.overflown = true
      return
    }
    let at = heap.length
    heap.push(candidate)
    while (at > 0) {
      const parent = (at - 1) >> 1
      const above = heap[parent]
      if (above === undefined || above.sumAt <= candidate.sumAt) break
      heap[at] = above
      at = parent
    }
    heap[at] = candidate
  }

  #pop(): void {
    const heap = this.#waiting
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      const right = heap[child + 1]
      const left = heap[child]
      if (left === undefined) break
      if (right !== undefined && right.sumAt < left.sumAt) child++
      const smallest = heap[child]
      if (smallest === undefined || smallest.sumAt >= last.sumAt) break
      heap[at] = smallest
      at = child
    }
    heap[at] = last
  }
}
