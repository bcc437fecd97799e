/**
 * Values by file number and generation, read from the source files into memory that the caller owns.
 *
 * Reads are synchronous (the harness's own reading is not part of any figure) and cut into pieces, with a yield to the
 * event loop when a time slice is over, so that a large file does not show up as an event-loop delay of the engine.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import type { TimeSlice } from '../measure/time-slice.js'
import type { InputFile } from './file-list.js'
import { generationLength, overwriteStamp, rotation } from './overwrite.js'

const PIECE = 512 * 1024

/** Reads values of a fixed list of files under one root. */
export class ContentSource {
  readonly files: readonly InputFile[]
  private readonly root: string
  private readonly slice: TimeSlice

  constructor(root: string, files: readonly InputFile[], slice: TimeSlice) {
    this.root = root
    this.files = files
    this.slice = slice
  }

  /** The file with this number. */
  file(index: number): InputFile {
    const file = this.files[index]
    if (file === undefined) throw new RangeError(`no input file ${index}`)
    return file
  }

  /** Length in bytes of a value. */
  length(index: number, generation: number): number {
    const { path, size } = this.file(index)
    return generationLength(path, size, generation)
  }

  /** The largest value of generations 0 and 1, in bytes: what a buffer for any single value must hold. */
  get largest(): number {
    return this.files.reduce((largest, file) => Math.max(largest, generationLength(file.path, file.size, 1)), 0)
  }

  /**
   * Writes a value into `into` at `at` and returns its length.
   *
   * @throws Error if the file changed its size since it was listed, or cannot be read.
   */
  async fill(index: number, generation: number, into: Uint8Array, at: number): Promise<number> {
    const { path, size } = this.file(index)
    const shift = rotation(path, size, generation)
    const fd = openSync(join(this.root, path), 'r')
    try {
      await this.read(fd, path, 0, size - shift, into, at + shift)
      await this.read(fd, path, size - shift, shift, into, at)
      if (readSync(fd, new Uint8Array(1), 0, 1, size) !== 0) throw changed(path)
    } finally {
      closeSync(fd)
    }
    if (generation === 0) return size
    const stamp = Buffer.from(overwriteStamp(path, generation), 'latin1')
    into.set(stamp, at + size)
    return size + stamp.length
  }

  private async read(fd: number, path: string, from: number, length: number, into: Uint8Array, at: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const count = readSync(fd, into, at + done, Math.min(PIECE, length - done), from + done)
      if (count === 0) throw changed(path)
      done += count
      if (this.slice.due()) await this.slice.pause()
    }
  }
}

function changed(path: string): Error {
  return new Error(`${path} changed while the benchmark ran; take an input directory that nobody writes to`)
}
