/**
 * Memory for what reads hand out.
 *
 * An array of its own costs one to two microseconds above 64 bytes, as much as a cached read. So results up to
 * {@link SHARED_LIMIT} bytes are laid side by side into slabs, as Node does with its small Buffers: no two results share a byte,
 * but they share an `ArrayBuffer`, which stays in memory as long as one of them does. Whoever keeps few of many for long
 * copies them. A slab cannot be transferred to another thread, so that nobody takes his neighbours' results with his own.
 */
import { markAsUntransferable } from 'node:worker_threads'
import { copyBytes } from './copy-bytes.js'

/** Bytes of a slab: what a short result may keep in memory at most. */
export const SLAB_LENGTH = 16 * 1024
/** Longest result that is laid into a slab, in bytes. */
export const SHARED_LIMIT = 4 * 1024
/** Up to this length an array is part of its object, and cheaper than a place in a slab. */
const ON_HEAP_LIMIT = 64

/** Memory whose content is arbitrary, as a plain array. */
export function allocateBytes(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer)
}

/** A slab for results, its content arbitrary. */
export function allocateSlab(): Uint8Array<ArrayBuffer> {
  const slab = allocateBytes(SLAB_LENGTH)
  markAsUntransferable(slab.buffer)
  return slab
}

export class ResultMemory {
  /** Where the memory is that was reserved last. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0)
  start = 0
  #slab = this.bytes
  #used = 0

  /** Sets `bytes` and `start` to `length` bytes of arbitrary content. They are free again at the next call unless {@link keep} was. */
  reserve(length: number): void {
    if (length > SHARED_LIMIT) {
      this.bytes = allocateBytes(length)
      this.start = 0
      return
    }
    if (this.#used + length > this.#slab.length) {
      this.#slab = allocateSlab()
      this.#used = 0
    }
    this.bytes = this.#slab
    this.start = this.#used
  }

  /** The view `[from, end)` of the memory reserved last, which is never handed out again. */
  keep(from: number, end: number): Uint8Array {
    const { buffer } = this.bytes
    if (this.bytes === this.#slab) this.#used = end
    else this.bytes = this.#slab
    return new Uint8Array(buffer, from, end - from)
  }

  /** A copy of `bytes[start..end)`. */
  copy(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start
    if (length <= ON_HEAP_LIMIT) return copyBytes(bytes, start, end)
    this.reserve(length)
    const copied = this.keep(this.start, this.start + length)
    copied.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
    return copied
  }
}
