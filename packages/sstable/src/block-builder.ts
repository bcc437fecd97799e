/**
 * Builds the contents of a data or index block: sorted entries, prefix-compressed between restart points.
 *
 * | field of an entry | type     |                                                              |
 * |-------------------|----------|--------------------------------------------------------------|
 * | shared            | uvarint  | leading key bytes taken over from the entry before; 0 at a restart |
 * | unshared          | uvarint  | key bytes that follow                                        |
 * | payload length    | uvarint  |                                                              |
 * | trailer           | 7 bytes  | of the internal key                                          |
 * | key bytes         | unshared |                                                              |
 * | payload           |          |                                                              |
 *
 * After the entries: the offset of each restart point (u32), then their number (u32). Entry 0 is a restart point.
 * It does not check order; `TableWriter` does.
 */
import { ByteWriter, TRAILER_LENGTH, checkArgument, writeTrailer } from '@wk/codec'
import { copyRange } from './key-buffer.js'

/** @throws InvalidArgumentError unless it may be a number of entries between restart points: an integer from 1, that a u32 holds */
export function checkRestartInterval(value: number): void {
  checkArgument(Number.isInteger(value) && value >= 1 && value <= 0xffff_ffff, 'a restart interval of at least 1')
}

/** @throws InvalidArgumentError unless it may be the bytes after which a data block ends */
export function checkBlockSize(value: number): void {
  checkArgument(typeof value === 'number' && value >= 1, 'a block size of at least 1')
}

export class BlockBuilder {
  readonly #out = new ByteWriter(8192)
  readonly #restartInterval: number
  #restarts = new Uint32Array(64)
  #restartCount = 0
  #sinceRestart = 0
  #count = 0

  /** @param restartInterval entries between restart points, at least 1. */
  constructor(restartInterval: number) {
    checkRestartInterval(restartInterval)
    this.#restartInterval = restartInterval
  }

  /** Entries so far. */
  get count(): number {
    return this.#count
  }

  /** Length of the contents if finished now. */
  get size(): number {
    return this.#out.length + this.#restartCount * 4 + 4
  }

  /** Adds an entry. `shared`: leading bytes that its user key has in common with that of the entry before. */
  add(
    keyBytes: Uint8Array,
    keyStart: number,
    keyEnd: number,
    shared: number,
    sequence: number,
    kind: number,
    valueBytes: Uint8Array,
    valueStart: number,
    valueEnd: number,
  ): void {
    const out = this.#out
    if (this.#count === 0 || this.#sinceRestart === this.#restartInterval) {
      shared = 0
      this.#sinceRestart = 0
      if (this.#restartCount === this.#restarts.length) this.#growRestarts()
      this.#restarts[this.#restartCount++] = out.length
    }
    const unshared = keyEnd - keyStart - shared
    const payload = valueEnd - valueStart
    if ((shared | unshared | payload) < 0x80) {
      out.reserve(3 + TRAILER_LENGTH + unshared + payload)
      const { bytes } = out
      let at = out.length
      bytes[at] = shared
      bytes[at + 1] = unshared
      bytes[at + 2] = payload
      at = writeTrailer(bytes, at + 3, sequence, kind)
      for (let i = keyStart + shared; i < keyEnd; i++) bytes[at++] = keyBytes[i]!
      if (payload > 40) bytes.set(valueBytes.subarray(valueStart, valueEnd), at)
      else for (let i = 0; i < payload; i++) bytes[at + i] = valueBytes[valueStart + i]!
      out.length = at + payload
    } else {
      out.uvarint(shared)
      out.uvarint(unshared)
      out.uvarint(payload)
      out.reserve(TRAILER_LENGTH)
      out.length = writeTrailer(out.bytes, out.length, sequence, kind)
      append(out, keyBytes, keyStart + shared, keyEnd)
      append(out, valueBytes, valueStart, valueEnd)
    }
    this.#sinceRestart++
    this.#count++
  }

  /** Completes the contents: `bytes[0..length)`, valid until `reset`. */
  finish(): ByteWriter {
    const out = this.#out
    for (let i = 0; i < this.#restartCount; i++) out.u32(this.#restarts[i]!)
    return out.u32(this.#restartCount)
  }

  /** Starts the next block in the same memory. */
  reset(): void {
    this.#out.reset()
    this.#restartCount = 0
    this.#sinceRestart = 0
    this.#count = 0
  }

  #growRestarts(): void {
    const grown = new Uint32Array(this.#restarts.length * 2)
    grown.set(this.#restarts)
    this.#restarts = grown
  }
}

function append(out: ByteWriter, from: Uint8Array, start: number, end: number): void {
  const length = end - start
  out.reserve(length)
  copyRange(from, start, out.bytes, out.length, length)
  out.length += length
}
