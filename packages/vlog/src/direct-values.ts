/**
 * Long values on their way from the caller's memory to the file, on the calling thread, without a copy.
 *
 * How long a value may be is learnt from the last ones: a page that the machine has to be given first takes six times as long as one that was in use a
 * moment ago, and the event loop is not to be held longer than it takes to copy the value for a later write.
 */
import { crc32cRange, isShared } from '@wk/codec'
import { writeFullySync, type File, type Runtime } from '@wk/fs'
import type { LogicalFile } from './file-map.js'

/** Bytes that are summed and written before the next: the processor still has them in its cache. */
const PIECE = 1 << 20
/** Milliseconds that the write of a value may take. Its checksum takes a third of a millisecond a MiB in any case, and so does a copy, or more. */
const MOST_MS = 20
/** Milliseconds a byte before anything is known: three times what it is in pages that were in use. */
const FIRST_RATE = 1 / (1 << 20)
/** How much the last value counts. */
const NEWEST_WEIGHT = 0.5
/** Shorter values tell too little of the time. */
const LEAST_MEASURED = 1 << 20
/** Longer ones are not written at the call, however quick that is. */
const MOST_BYTES = 64 << 20

export class DirectValues {
  readonly #runtime: Runtime
  /** Milliseconds a byte of the last writes. */
  #rate = FIRST_RATE

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** Bytes of a value that are written in {@link MOST_MS}, as far as can be told. */
  get most(): number {
    return Math.min(MOST_BYTES, MOST_MS / this.#rate)
  }

  /** Writes `value` to `position` of `file`. Returns the CRC-32C of all that `seed` stands for and of the value. @throws IoError */
  write(file: File, value: Uint8Array, position: number, seed: number): number {
    const isMeasured = value.length >= LEAST_MEASURED
    const start = isMeasured ? this.#runtime.monotonic() : 0
    let sum = seed
    for (let at = 0; at < value.length; at += PIECE) {
      const end = Math.min(at + PIECE, value.length)
      sum = crc32cRange(value, at, end, sum)
      writeFullySync(file, value, at, end - at, position + at)
    }
    if (isMeasured) this.#rate += NEWEST_WEIGHT * ((this.#runtime.monotonic() - start) / value.length - this.#rate)
    return sum
  }
}

/** Whether a long value goes to the file as it is. Others are encrypted, or lie in memory that another thread may change between checksum and write. */
export function isWrittenInPlace(value: Uint8Array, { cipher }: LogicalFile): boolean {
  return cipher === undefined && !isShared(value)
}
