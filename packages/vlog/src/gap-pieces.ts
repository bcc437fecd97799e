/**
 * Puts staged records into the gaps that they have their places in.
 *
 * On the calling thread, for a trip to the thread pool costs more than a record does. But a block that a gap shares with what is alive has to be
 * read before it is written to, if it is not in memory: once that is seen to take its time, pieces go through the pool, some at once.
 */
import { invariant } from '@wk/codec'
import { writeFully, writeFullySync, type File, type Runtime } from '@wk/fs'
import { inLots } from './run-lists.js'
import type { RunTable } from './run-table.js'
import { stretchesOf, type Chunk } from './staging.js'

/** Longest time on the calling thread without a turn of the event loop, in milliseconds, as far as single writes allow. */
const SLICE_MS = 4
/** What a write takes at most where nothing has to be read for it, in milliseconds: for each piece, and for each byte. A warm one takes a tenth of it. */
const WARM_PIECE_MS = 0.1
const WARM_BYTE_MS = 2e-6
/** Pieces that go through the pool before the calling thread tries one again. */
const POOLED = 64
/** How many of them at a time. */
const AT_ONCE = 8

/** Bytes of a chunk that are consecutive in memory and in the physical file. */
export interface Piece {
  /** In the chunk. */
  readonly start: number
  readonly length: number
  /** In the physical file. */
  readonly position: number
}

/** What of a staged chunk goes where, if it belongs to a file with these runs. */
export function piecesOf(chunk: Chunk, runs: RunTable): Piece[] {
  const pieces: Piece[] = []
  for (const { start, offset, length } of stretchesOf(chunk)) {
    let run = runs.runAt(offset)
    for (let done = 0; done < length; run++) {
      const into = offset + done - runs.logicalStart(run)
      const piece = { start: start + done, length: Math.min(length - done, runs.length(run) - into), position: runs.physicalStart(run) + into }
      invariant(piece.length > 0, 'records lie in gaps')
      pieces.push(piece)
      done += piece.length
    }
  }
  return pieces
}

/** Writes into gaps on the calling thread, and what they took. */
export interface PieceTimes {
  readonly count: number
  readonly milliseconds: number
}

/** Writes chunks of files in gaps, one at a time. */
export class PieceWriter implements PieceTimes {
  readonly #runtime: Runtime
  count = 0
  milliseconds = 0
  /** Blocks had to be read before the last pieces were written. */
  isCold = false

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** All of a chunk, at once. If it may stop, false if that takes too long: then some of it is written, and all of it may be written again. @throws IoError */
  writeSync(file: File, chunk: Chunk, runs: RunTable, mayStop: boolean): boolean {
    const begun = this.#runtime.monotonic()
    let now = begun
    let warm = SLICE_MS
    for (const { start, length, position } of piecesOf(chunk, runs)) {
      writeFullySync(file, chunk.bytes, start, length, position)
      this.count++
      warm += warmTime(length)
      if (!mayStop) continue
      now = this.#runtime.monotonic()
      this.isCold = now - begun > warm
      if (this.isCold) break
    }
    this.milliseconds += (mayStop ? now : this.#runtime.monotonic()) - begun
    return !mayStop || !this.isCold
  }

  /**
   * All of a chunk, with turns of the event loop in between. `check` is called after each and before each write through the pool; nothing more is written once it throws
   * (law 9). @throws IoError
   */
  async write(file: File, chunk: Chunk, runs: RunTable, check: () => void): Promise<void> {
    const runtime = this.#runtime
    const pieces = piecesOf(chunk, runs)
    this.isCold = false
    for (let next = 0; next < pieces.length; check()) {
      const begun = runtime.monotonic()
      let warm = 0
      let elapsed = 0
      do {
        const { start, length, position } = pieces[next++]!
        writeFullySync(file, chunk.bytes, start, length, position)
        this.count++
        warm += warmTime(length)
        elapsed = runtime.monotonic() - begun
      } while (!this.isCold && next < pieces.length && elapsed < SLICE_MS)
      this.milliseconds += elapsed
      this.isCold = elapsed > warm
      if (this.isCold) {
        const write = async ({ start, length, position }: Piece): Promise<void> => {
          check()
          await writeFully(file, chunk.bytes, start, length, position)
        }
        await inLots(pieces.slice(next, next + POOLED), write, AT_ONCE)
        next += POOLED
      } else await runtime.yield()
    }
  }
}

function warmTime(length: number): number {
  return WARM_PIECE_MS + WARM_BYTE_MS * length
}
