/**
 * A growable, sparse byte array that can be cloned cheaply: the content of an in-memory file.
 *
 * Guarantees: appends cost in proportion to their own length, however large the file; a clone costs in proportion to
 * the number of chunks and shares their bytes until one side writes (copy on write). Invariant: stored bytes at and
 * behind `size` are zero, so that growing again never shows old bytes.
 */

const CHUNK = 64 * 1024
const SMALLEST = 256

export class ChunkedBytes {
  #size = 0
  /** A missing chunk, and the part of a chunk behind its array, are zeros. */
  #chunks: (Uint8Array | undefined)[] = []
  /** Chunks that a clone may share. */
  #shared: boolean[] = []

  get size(): number {
    return this.#size
  }

  /** An equal value that shares chunks with this one. */
  clone(): ChunkedBytes {
    const copy = new ChunkedBytes()
    this.#shared.fill(true)
    copy.#size = this.#size
    copy.#chunks = this.#chunks.slice()
    copy.#shared = this.#shared.slice()
    return copy
  }

  /** Copies up to `length` bytes out. @returns how many; less than `length` only at the end. */
  read(into: Uint8Array, offset: number, length: number, position: number): number {
    const count = Math.max(0, Math.min(length, this.#size - position))
    for (let done = 0; done < count; ) {
      const at = position + done
      const within = at % CHUNK
      const step = Math.min(count - done, CHUNK - within)
      const chunk = this.#chunks[Math.floor(at / CHUNK)]
      const stored = chunk === undefined ? 0 : Math.max(0, Math.min(step, chunk.length - within))
      if (chunk !== undefined && stored > 0) copyBytes(chunk, within, into, offset + done, stored)
      if (stored < step) into.fill(0, offset + done + stored, offset + done + step)
      done += step
    }
    return count
  }

  /** Copies `length` bytes in, growing the array as needed; a gap is zeros. */
  write(from: Uint8Array, offset: number, length: number, position: number): void {
    for (let done = 0; done < length; ) {
      const at = position + done
      const within = at % CHUNK
      const step = Math.min(length - done, CHUNK - within)
      const chunk = this.#writable(Math.floor(at / CHUNK), within + step)
      copyBytes(from, offset + done, chunk, within, step)
      done += step
    }
    if (length > 0) this.#size = Math.max(this.#size, position + length)
  }

  /** Cuts, or extends with zeros. */
  truncate(length: number): void {
    if (length < this.#size) {
      const kept = Math.ceil(length / CHUNK)
      if (this.#chunks.length > kept) {
        this.#chunks.length = kept
        this.#shared.length = kept
      }
      const within = length % CHUNK
      const last = this.#chunks[kept - 1]
      if (within > 0 && last !== undefined && last.length > within) this.#writable(kept - 1, within).fill(0, within)
    }
    this.#size = length
  }

  /** Makes a range zeros, as far as there are bytes. Nothing grows. */
  punch(position: number, length: number): void {
    const end = Math.min(this.#size, position + length)
    for (let at = position; at < end; ) {
      const index = Math.floor(at / CHUNK)
      const within = at % CHUNK
      const step = Math.min(end - at, CHUNK - within)
      const chunk = this.#chunks[index]
      if (step === CHUNK) this.#chunks[index] = undefined
      else if (chunk !== undefined && chunk.length > within) this.#writable(index, within).fill(0, within, within + step)
      at += step
    }
  }

  /** Bytes of blocks of `block` bytes, a part of 64 KiB, that hold anything but zeros. */
  used(block: number): number {
    let bytes = 0
    for (const chunk of this.#chunks) {
      for (let at = 0; chunk !== undefined && at < chunk.length; at += block) if (chunk.subarray(at, at + block).some((byte) => byte !== 0)) bytes += block
    }
    return bytes
  }

  /** A private copy of everything. */
  toUint8Array(): Uint8Array {
    const bytes = new Uint8Array(this.#size)
    this.read(bytes, 0, this.#size, 0)
    return bytes
  }

  /** The chunk, owned by this value alone and at least `length` bytes long. */
  #writable(index: number, length: number): Uint8Array {
    while (this.#chunks.length <= index) {
      this.#chunks.push(undefined)
      this.#shared.push(false)
    }
    const chunk = this.#chunks[index]
    if (chunk !== undefined && chunk.length >= length && this.#shared[index] !== true) return chunk
    const present = chunk?.length ?? 0
    const capacity = Math.min(CHUNK, Math.max(SMALLEST, length, length > present ? present * 2 : present))
    const grown = new Uint8Array(capacity)
    if (chunk !== undefined) grown.set(chunk)
    this.#chunks[index] = grown
    this.#shared[index] = false
    return grown
  }
}

function copyBytes(from: Uint8Array, start: number, into: Uint8Array, at: number, length: number): void {
  // A view costs as much as copying some tens of bytes.
  if (length <= 32) {
    for (let index = 0; index < length; index++) into[at + index] = from[start + index] as number
  } else {
    into.set(from.subarray(start, start + length), at)
  }
}
