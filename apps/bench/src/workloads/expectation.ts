/**
 * What the database must hold: for each input file the generation of its value, or that it was deleted. Compares byte for byte
 * with content made anew from the source file, so no value is kept in memory.
 */
import type { ContentSource } from '../input/content-source.js'
import type { TimeSlice } from '../measure/time-slice.js'

const DELETED = 255
const COMPARE_PIECE = 1024 * 1024

/** The database does not hold what was written to it. Ends the run of the engine. */
export class MismatchError extends Error {
  override readonly name = 'MismatchError'
}

/** The model of a run over input files. */
export class Expectation {
  /** Keys by file number. */
  readonly keys: readonly Uint8Array[]
  /** User bytes alive: keys and values. */
  liveBytes = 0
  private readonly source: ContentSource
  private readonly slice: TimeSlice
  private readonly generations: Uint8Array
  private readonly scratch: Uint8Array

  constructor(source: ContentSource, slice: TimeSlice) {
    this.source = source
    this.slice = slice
    this.keys = source.files.map((file) => new Uint8Array(Buffer.from(file.path)))
    this.generations = new Uint8Array(source.files.length).fill(DELETED)
    this.scratch = new Uint8Array(source.largest)
  }

  /** Whether the key must be found. */
  isLive(index: number): boolean {
    return this.generations[index] !== DELETED
  }

  /** Length of key and value as they must be, in bytes; 0 for a deleted one. */
  size(index: number): number {
    const generation = this.generations[index] ?? DELETED
    return generation === DELETED ? 0 : this.key(index).length + this.source.length(index, generation)
  }

  /** The key with this number. */
  key(index: number): Uint8Array {
    const key = this.keys[index]
    if (key === undefined) throw new RangeError(`no key ${index}`)
    return key
  }

  /** The value was written in this generation. */
  wrote(index: number, generation: number): void {
    this.liveBytes -= this.size(index)
    this.generations[index] = generation
    this.liveBytes += this.size(index)
  }

  /** The key was deleted. */
  deleted(index: number): void {
    this.liveBytes -= this.size(index)
    this.generations[index] = DELETED
  }

  /** Numbers of all live keys in byte order of the keys: what a scan must yield. */
  liveInKeyOrder(): number[] {
    return [...this.keys.keys()].filter((i) => this.isLive(i)).sort((a, b) => Buffer.compare(this.key(a), this.key(b)))
  }

  /**
   * Compares what the engine returned for a key.
   *
   * @throws MismatchError at the first difference.
   */
  async check(index: number, value: Uint8Array | undefined): Promise<void> {
    const { path } = this.source.file(index)
    const generation = this.generations[index] ?? DELETED
    if (generation === DELETED) {
      if (value !== undefined) throw new MismatchError(`${path}: deleted, yet it has a value of ${value.length} bytes`)
      return
    }
    if (value === undefined) throw new MismatchError(`${path}: missing`)
    const length = await this.source.fill(index, generation, this.scratch, 0)
    if (value.length !== length) throw new MismatchError(`${path}: ${value.length} bytes instead of ${length} (generation ${generation})`)
    for (let at = 0; at < length; at += COMPARE_PIECE) {
      const end = Math.min(length, at + COMPARE_PIECE)
      if (Buffer.compare(value.subarray(at, end), this.scratch.subarray(at, end)) !== 0) {
        const offset = value.findIndex((byte, i) => i >= at && byte !== this.scratch[i])
        throw new MismatchError(`${path}: byte ${offset} of ${length} differs (generation ${generation})`)
      }
      if (this.slice.due()) await this.slice.pause()
    }
  }
}
