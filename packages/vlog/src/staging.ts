/**
 * Records that were staged and are not yet with the operating system, in pooled plain (non-shared) buffers.
 *
 * A record lies in one chunk; a chunk holds successive records of one file, which may leave something out between them where that lies in
 * gaps of an older one (`gap-cursor.ts`). A record longer than a chunk gets one of
 * its own, which is not pooled. Staged bytes can be read until their chunk is released after the write. The pool
 * keeps a bounded number of chunks; what is staged is bounded by the writer above, who waits for writes.
 */

/**
 * Bytes of a pooled chunk: a group of 1 MiB of values with their headers, which then goes out in one write. (In three writes it
 * takes a tenth longer; in eight, a third.)
 */
export const CHUNK_SIZE = 5 << 18
/** Bytes of the first chunk. */
const FIRST_CHUNK_SIZE = 1 << 16
/** Chunks kept for reuse. */
const MAX_POOLED = 4

/** Successive bytes of one file that wait for being written. */
export interface Chunk {
  readonly bytes: Uint8Array
  readonly fid: number
  /** File offset of `bytes[0]`. */
  readonly offset: number
  /** Bytes that are filled. */
  length: number
  /** File offset of their end. */
  end: number
  /** Where they leave something out: indexes into `bytes` and file offsets, in turns, ascending. Undefined: nowhere. */
  jumps: number[] | undefined
}

/** Bytes of a chunk that are consecutive in the file. */
export interface Stretch {
  /** In the chunk. */
  readonly start: number
  /** In the file. */
  readonly offset: number
  readonly length: number
}

/** The consecutive parts of a chunk. */
export function stretchesOf({ offset, length, jumps = [] }: Chunk): Stretch[] {
  const stretches: Stretch[] = []
  for (let at = -2; at < jumps.length; at += 2) {
    const start = at < 0 ? 0 : jumps[at]!
    stretches.push({ start, offset: at < 0 ? offset : jumps[at + 1]!, length: (jumps[at + 2] ?? length) - start })
  }
  return stretches
}

/** Where staged bytes are found. Mutable and reused. */
export interface StagedPlace {
  bytes: Uint8Array
  start: number
}

export class Staging {
  /** Oldest first: ascending (fid, offset). */
  readonly #chunks: Chunk[] = []
  readonly #pool: Uint8Array[] = []
  /** Bytes of a new chunk: grows up to {@link CHUNK_SIZE} with the groups that come, so that small logs stay small. */
  #size = FIRST_CHUNK_SIZE
  /** The chunk that takes the next record; the last of `#chunks` or none. */
  #open: Chunk | undefined
  #bytes = 0

  /** Bytes that are staged or on their way. */
  get bytes(): number {
    return this.#bytes
  }

  /** The oldest chunk. */
  get first(): Chunk | undefined {
    return this.#chunks[0]
  }

  /** Chunks that wait, oldest first. */
  get chunks(): readonly Chunk[] {
    return this.#chunks
  }

  /** The chunk in which the next `length` bytes at (`fid`, `offset`) belong; the caller fills them, then calls {@link filled}. */
  reserve(fid: number, offset: number, length: number): Chunk {
    const open = this.#open
    if (open !== undefined && open.fid === fid) {
      if (open.length + length <= open.bytes.length) {
        if (open.end !== offset) jump(open, offset)
        return open
      }
      this.#grow(2 * (open.length + length))
    }
    const chunk: Chunk = { bytes: this.#allocate(length), fid, offset, length: 0, end: offset, jumps: undefined }
    this.#chunks.push(chunk)
    this.#open = chunk
    return chunk
  }

  /** A group of about so many bytes follows: it is to lie in one chunk, if it can. */
  expect(length: number): void {
    if (length > this.#size) this.#grow(length)
  }

  filled(chunk: Chunk, length: number): void {
    chunk.length += length
    chunk.end += length
    this.#bytes += length
  }

  /** The caller is about to write every chunk: later records go to new ones. */
  detach(): void {
    this.#open = undefined
  }

  /** Takes the oldest chunk out after it was written and recycles its memory. */
  release(): void {
    const chunk = this.#chunks.shift()
    if (chunk === undefined) return
    if (chunk === this.#open) this.#open = undefined
    this.#bytes -= chunk.length
    if (chunk.bytes.length === this.#size && this.#pool.length < MAX_POOLED) this.#pool.push(chunk.bytes)
  }

  /** Finds staged bytes. False if they are not here as a whole. */
  find(fid: number, offset: number, length: number, out: StagedPlace): boolean {
    let low = 0
    let high = this.#chunks.length
    while (low < high) {
      const middle = (low + high) >> 1
      const chunk = this.#chunks[middle]
      if (chunk === undefined || chunk.fid > fid || (chunk.fid === fid && chunk.offset > offset)) high = middle
      else low = middle + 1
    }
    const chunk = this.#chunks[low - 1]
    if (chunk === undefined || chunk.fid !== fid || offset + length > chunk.end) return false
    const start = chunk.jumps === undefined ? offset - chunk.offset : indexOf(chunk, offset, length)
    if (start === -1) return false
    out.bytes = chunk.bytes
    out.start = start
    return true
  }

  /** Forgets everything: nothing staged will ever be written. */
  drop(): void {
    this.#chunks.length = 0
    this.#pool.length = 0
    this.#open = undefined
    this.#bytes = 0
  }

  #allocate(length: number): Uint8Array {
    if (length > CHUNK_SIZE) return new Uint8Array(length)
    if (length > this.#size) this.#grow(length)
    return this.#pool.pop() ?? new Uint8Array(this.#size)
  }

  #grow(wanted: number): void {
    if (this.#size === CHUNK_SIZE) return
    while (this.#size < wanted && this.#size < CHUNK_SIZE) this.#size = Math.min(CHUNK_SIZE, 4 * this.#size)
    this.#pool.length = 0
  }
}

/** The next bytes of a chunk lie at `offset`, which is not where the last ones end. */
function jump(chunk: Chunk, offset: number): void {
  chunk.jumps ??= []
  chunk.jumps.push(chunk.length, offset)
  chunk.end = offset
}

/** Index of the bytes of a file in a chunk that leaves some out; -1 if they are not consecutive there. */
function indexOf(chunk: Chunk, offset: number, length: number): number {
  const stretch = stretchesOf(chunk).findLast((one) => one.offset <= offset)
  if (stretch === undefined || offset + length > stretch.offset + stretch.length) return -1
  return stretch.start + (offset - stretch.offset)
}
