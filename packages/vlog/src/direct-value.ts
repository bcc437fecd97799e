/**
 * Writes a value to its file from the caller's memory, on the calling thread, and sums it.
 *
 * Piece by piece, so that the processor still has a piece in its cache when it is written. With a clock only for a while: pages that the machine has to
 * be given first take six times as long as others, and the event loop is not to wait for them. What is left then is the caller's to write.
 */
import { crc32cRange } from '@wk/codec'
import { writeFullySync, type File, type Runtime } from '@wk/fs'
import type { LogicalFile } from './file-map.js'

/** Bytes of a piece. */
const PIECE = 1 << 20
/** Milliseconds after which no further piece is written. Warm ones are 30 MiB by then, and to copy the rest takes as long again for as much. */
const MOST_MS = 12

/** What became of a value. */
export interface DirectValue {
  /** Bytes that are with the operating system. */
  readonly written: number
  /** CRC-32C of all that `seed` stands for, and of the whole value. */
  readonly sum: number
}

/** Whether a long value goes to the file as it is. Others are encrypted, or lie in memory that another thread may change between checksum and write. */
export function isWrittenInPlace(value: Uint8Array, { cipher }: LogicalFile): boolean {
  return cipher === undefined && !(value.buffer instanceof SharedArrayBuffer)
}

/** Writes `value` to `position` of `file`. @throws IoError */
export function writeValueSync(file: File, value: Uint8Array, position: number, seed: number, clock?: Runtime): DirectValue {
  const until = clock === undefined ? Infinity : clock.monotonic() + MOST_MS
  let sum = seed
  let written = 0
  for (let at = 0; at < value.length; at += PIECE) {
    const end = Math.min(at + PIECE, value.length)
    sum = crc32cRange(value, at, end, sum)
    if (written < at || (clock !== undefined && clock.monotonic() > until)) continue
    writeFullySync(file, value, at, end - at, position + at)
    written = end
  }
  return { written, sum }
}
