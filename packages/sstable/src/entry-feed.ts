/**
 * Entries that lie in memory as blocks (`block-builder.ts`), for a merge that takes blocks.
 *
 * Keys are whole, since what they share is found where they are merged, and the first entry is the only restart point, which is enough for whom
 * starts there.
 */
import { ByteWriter, TRAILER_LENGTH, writeTrailer, writeUvarint } from '@wk/codec'
import type { EntryScan } from '@wk/codec'
import { Block } from './block-reader.js'
import { copyRange } from './key-buffer.js'

/** Bytes after which a block ends. */
const BLOCK_SIZE = 64 << 10
/** Most bytes of three lengths. */
const LENGTHS = 24

export class EntryFeed {
  /** The entries lie in no file. */
  readonly place = undefined
  readonly #entries: EntryScan
  readonly #out = new ByteWriter(BLOCK_SIZE + 4096)
  #hasBegun = false

  /** Takes over the entries. */
  constructor(entries: EntryScan) {
    this.#entries = entries
  }

  /** The next entries, up to 64 KiB and one more; `undefined` behind the last one. Good until the next call. */
  next(): Block | undefined {
    const entries = this.#entries
    if (!this.#hasBegun) entries.first()
    this.#hasBegun = true
    if (!entries.valid) return undefined
    const out = this.#out
    out.reset()
    while (entries.valid && out.length < BLOCK_SIZE) {
      this.#add(entries)
      entries.next()
    }
    out.u32(0).u32(1)
    return new Block(out.bytes, out.length, 0, 0)
  }

  #add(entry: EntryScan): void {
    const { keyStart, valueStart } = entry
    const keyLength = entry.keyEnd - keyStart
    const valueLength = entry.valueEnd - valueStart
    const out = this.#out
    out.reserve(LENGTHS + TRAILER_LENGTH + keyLength + valueLength)
    const { bytes } = out
    let at = out.length
    bytes[at++] = 0
    at = writeUvarint(bytes, at, keyLength)
    at = writeUvarint(bytes, at, valueLength)
    at = writeTrailer(bytes, at, entry.sequence, entry.kind)
    copyRange(entry.keyBytes, keyStart, bytes, at, keyLength)
    at += keyLength
    copyRange(entry.valueBytes, valueStart, bytes, at, valueLength)
    out.length = at + valueLength
  }
}
