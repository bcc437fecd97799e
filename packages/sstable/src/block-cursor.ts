/**
 * Cursor inside one block, forward and backward.
 *
 * The current key is kept in a buffer of its own. Going back, only the bytes that the later entry overwrote are put
 * back: they lie in the entries before it, whose offsets in the current restart run are remembered. So a step back is
 * O(1) amortised and memory is bounded by the longest key, whatever the block claims.
 */
import { NO_BYTES, TRAILER_LENGTH, compareRanges, invariant, readTrailerKind, readTrailerSequence } from '@wk/codec'
import type { Block } from './block-reader.js'
import { copyRange, withRoom } from './key-buffer.js'

export class BlockCursor {
  valid = false
  keyBytes: Uint8Array = new Uint8Array(64)
  keyEnd = 0
  valueBytes: Uint8Array = NO_BYTES
  valueStart = 0
  valueEnd = 0
  #block: Block | undefined
  #trailer = 0
  /** Which restart point the current run began at, and which entry of the run this is. */
  #run = 0
  #inRun = 0
  #offsets = new Uint32Array(32)

  get sequence(): number {
    return readTrailerSequence(this.valueBytes, this.#trailer)
  }

  get kind(): number {
    return readTrailerKind(this.valueBytes, this.#trailer)
  }

  /** Moves to another block, beside its entries. */
  reset(block: Block): void {
    this.#block = block
    this.valueBytes = block.bytes
    this.valid = false
  }

  first(): void {
    this.#enterRun(0)
  }

  last(): void {
    const block = this.#open()
    this.#enterRun(block.restartCount - 1)
    this.#finishRun(block.entriesEnd)
  }

  /** To the first entry at or after the target, if there is one. */
  seek(key: Uint8Array, sequence: number): void {
    this.#enterRun(this.#open().seekRestart(key, sequence))
    while (this.valid) {
      const order = compareRanges(this.keyBytes, 0, this.keyEnd, key, 0, key.length)
      if (order > 0 || (order === 0 && this.sequence <= sequence)) return
      this.next()
    }
  }

  next(): void {
    const block = this.#open()
    const at = this.valueEnd
    // Until another entry turned out to be whole.
    this.valid = false
    if (at >= block.entriesEnd) return
    if (this.#run + 1 < block.restartCount) {
      const restart = block.restart(this.#run + 1)
      if (at > restart) throw block.damage('restart point inside an entry')
      if (at === restart) {
        this.#enterRun(this.#run + 1)
        return
      }
    }
    this.#inRun++
    this.#read(at)
  }

  prev(): void {
    const block = this.#open()
    invariant(this.valid, 'a cursor at an entry')
    if (this.#inRun > 0) {
      this.#stepBack(block)
    } else if (this.#run > 0) {
      const end = block.restart(this.#run)
      this.#enterRun(this.#run - 1)
      this.#finishRun(end)
    } else {
      this.valid = false
    }
  }

  #open(): Block {
    const block = this.#block
    invariant(block !== undefined, 'a cursor in a block')
    return block
  }

  #enterRun(run: number): void {
    this.valid = false
    this.#run = run
    this.#inRun = 0
    this.keyEnd = 0
    this.#read(this.#open().restart(run))
  }

  /** Goes on to the last entry of the run, which ends at `end`. */
  #finishRun(end: number): void {
    while (this.valueEnd < end) {
      this.#inRun++
      this.#read(this.valueEnd)
    }
    this.valid = this.valueEnd === end
    if (!this.valid) throw this.#open().damage('restart point inside an entry')
  }

  /** Decodes the entry at `at`, which follows the current one in its run or starts it. */
  #read(at: number): void {
    const block = this.#open()
    block.read(at)
    const { shared, unshared } = block
    if (shared > this.keyEnd || (this.#inRun === 0 && shared !== 0)) throw block.damage('entry that shares more than there is')
    if (this.#inRun === this.#offsets.length) this.#offsets = grown(this.#offsets)
    this.#offsets[this.#inRun] = at
    this.keyBytes = withRoom(this.keyBytes, shared, shared + unshared)
    copyRange(block.bytes, block.keyStart, this.keyBytes, shared, unshared)
    this.#place(block, shared + unshared)
  }

  /** Undoes the current entry: key bytes it did not share come back from the entries before it. */
  #stepBack(block: Block): void {
    this.valid = false
    block.read(this.#offsets[this.#inRun]!)
    const kept = block.shared
    this.#inRun--
    block.read(this.#offsets[this.#inRun]!)
    const length = block.shared + block.unshared
    this.keyBytes = withRoom(this.keyBytes, kept, length)
    this.#place(block, length)
    let missing = length
    for (let i = this.#inRun; missing > kept; i--) {
      block.read(this.#offsets[i]!)
      const from = block.shared > kept ? block.shared : kept
      if (from >= missing) continue
      copyRange(block.bytes, block.keyStart + from - block.shared, this.keyBytes, from, missing - from)
      missing = from
    }
  }

  /** Takes over what `block.read` decoded. */
  #place(block: Block, keyLength: number): void {
    this.valid = true
    this.keyEnd = keyLength
    this.#trailer = block.keyStart - TRAILER_LENGTH
    this.valueStart = block.valueStart
    this.valueEnd = block.valueEnd
  }
}

function grown(offsets: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const bigger = new Uint32Array(offsets.length * 2)
  bigger.set(offsets)
  return bigger
}
