/**
 * Reads a long record through the thread pool in pieces, several on their way at once, and sums each while the next ones are read.
 *
 * So reading and verifying overlap, two processors fill the fresh memory, and no checksum holds the event loop for longer than that of a
 * piece takes. What is in the record is for the caller to judge.
 */
import { crc32cRange } from '@wk/codec'
import { readFully, type File, type LoopGuard } from '@wk/fs'
import { RECORD_CRC_LENGTH } from './format.js'
import { readU32BE } from './record.js'

/** Bytes of a piece: its checksum takes a quarter of a millisecond. */
const PIECE = 1 << 20
/** Pieces on their way at once: as many as the pool has threads, by default. */
const AT_ONCE = 4

/** What became of the read of a long record. */
export interface LongRead {
  /** Bytes that the file has of it. */
  readonly count: number
  /** Whether it is all there, and its checksum is right. */
  readonly isIntact: boolean
}

/**
 * Fills `bytes` with the record at `position` of `file`. When it settles nothing is on its way to `bytes` any more. `guard` says when the event
 * loop is to turn. @throws IoError
 */
export async function readLongRecord(file: File, bytes: Uint8Array, position: number, guard: LoopGuard): Promise<LongRead> {
  const sumEnd = bytes.length - RECORD_CRC_LENGTH
  const reads: Promise<number>[] = []
  const beginNext = (): void => {
    const at = reads.length * PIECE
    if (at >= bytes.length) return
    const read = readFully(file, bytes, at, Math.min(PIECE, bytes.length - at), position + at)
    // It is met in its turn.
    read.catch(() => undefined)
    reads.push(read)
  }
  for (let i = 0; i < AT_ONCE; i++) beginNext()
  let count = 0
  let sum = 0
  try {
    for (let i = 0; i < reads.length; i++) {
      count += await reads[i]!
      beginNext()
      const at = i * PIECE
      if (at >= sumEnd) break
      await guard.pass()
      sum = crc32cRange(bytes, at, Math.min(at + PIECE, sumEnd), sum)
    }
  } finally {
    await Promise.allSettled(reads)
  }
  return { count, isIntact: count === bytes.length && sum === readU32BE(bytes, sumEnd) }
}
