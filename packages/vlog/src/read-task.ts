/**
 * The helper's side of {@link SharedPieces}: reads and verifies pieces in a worker that has nothing else to do, as a task.
 *
 * Opens files by path, one at a time, and keeps none: records come by file and place. What it cannot read, or does not verify, it leaves as
 * begun; the asking thread reads it again and tells what is wrong.
 */
import { SLAB_LENGTH, throwIfAborted } from '@wk/codec'
import { TimeSlice, readFullySync, type File, type FileSystem } from '@wk/fs'
import type { CopyContext } from './copy-task.js'
import { newRecordHeader, readRecordHeader, verifiesCrc } from './record.js'
import { SharedPieces } from './shared-pieces.js'

/** Plain data: the pieces, and the paths of their files, which stay while the task runs. */
export interface ReadQuery {
  buffer: SharedArrayBuffer
  count: number
  paths: readonly string[]
}

/** Milliseconds of reads between two turns of the worker's event loop: jobs that come meanwhile begin then. */
const SLICE_MS = 1

/** `@wk/lsm`'s `Task`, for a worker. May end early. @throws IoError, AbortedError */
export const readTask = { kind: 'read', run: readPieces }

async function readPieces({ buffer, count, paths }: ReadQuery, { fs, runtime, signal }: CopyContext): Promise<void> {
  const slice = new TimeSlice(runtime, SLICE_MS)
  const pieces = new SharedPieces(buffer, count)
  const reader = new PieceReader(pieces, fs, paths)
  try {
    for (let piece = count - 1; piece >= 0 && pieces.begin(piece); piece--) {
      if (reader.read(piece)) pieces.finish(piece)
      if (!slice.due()) continue
      await slice.pause()
      throwIfAborted(signal)
    }
  } finally {
    reader.close()
  }
}

class PieceReader {
  readonly #pieces: SharedPieces
  readonly #fs: FileSystem
  readonly #paths: readonly string[]
  readonly #header = newRecordHeader()
  #file: File | undefined
  /** Index of the open file. */
  #index = -1

  constructor(pieces: SharedPieces, fs: FileSystem, paths: readonly string[]) {
    this.#pieces = pieces
    this.#fs = fs
    this.#paths = paths
  }

  /** Reads the records of a piece to their places. Returns whether all are whole. */
  read(piece: number): boolean {
    const pieces = this.#pieces
    const { bytes, positions, lengths, files } = pieces
    const header = this.#header
    const end = pieces.end(piece)
    let at = piece * SLAB_LENGTH
    for (let record = pieces.start(piece); record < end; record++) {
      const length = lengths[record]!
      const after = at + length
      if (readFullySync(this.#open(files[record]!), bytes, at, length, positions[record]!) < length) return false
      if (!readRecordHeader(bytes, at, after, after, header) || header.length !== length || !verifiesCrc(bytes, at, header)) return false
      at = after
    }
    return true
  }

  close(): void {
    this.#file?.closeSync()
    this.#file = undefined
  }

  #open(index: number): File {
    if (this.#file !== undefined && this.#index === index) return this.#file
    this.close()
    this.#file = this.#fs.openSync(this.#paths[index]!, 'read')
    this.#index = index
    return this.#file
  }
}
