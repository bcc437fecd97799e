/**
 * Reading write-ahead logs back: first a scan of all of them that finds out how far the log can be believed, then the
 * frames up to there.
 *
 * The log ends at the first frame that does not verify, or whose sequence does not follow on. That is a torn tail,
 * unless some valid frame, before or after it, promises that the place was durable: then it is corruption (CR9). Frames
 * after the end are looked for too, for their promises and because their sequence numbers must not come back (CR12).
 */
import { ByteReader, CorruptionError, MAX_KEY_LENGTH, MAX_UVARINT_LENGTH, formatFileName, isKind } from '@wk/codec'
import type { File, FileSystem, Runtime } from '@wk/fs'
import type { DependencyPosition } from '../options.js'
import { LOG_HEADER_LENGTH, MIN_OPERATION_LENGTH, WAL_FORMAT, WAL_PREFIX_FIELDS, checkLogHeader, readWalPrefix } from './format.js'
import type { WalFramePrefix } from './format.js'
import { FrameScanner } from './frame-scanner.js'
import type { Frame } from './frame-scanner.js'

export interface LogPosition {
  file: number
  offset: number
}

export interface WalScan {
  /** The logs that hold frames, ascending. */
  files: number[]
  /** Where to stop reading; absent if every byte is good. */
  end: LogPosition | undefined
  /** Highest position of the value log that a frame promises to be durable. */
  dependency: DependencyPosition | undefined
  /** Highest sequence number in any valid frame, behind the end too; 0 if there is none. */
  highestSequence: number
}

export interface WalFrame extends LogPosition {
  prefix: WalFramePrefix
  /** Stands at the first operation. Its views are good until the next frame is asked for. */
  operations: ByteReader
}

interface ScanOptions {
  fs: FileSystem
  dir: string
  runtime: Runtime
}

/**
 * Scans logs in ascending order. `lastSequence` is that of the tables: the first frame must follow on it.
 * Throws `CorruptionError` for damage below a promise.
 */
export async function scanWals(options: ScanOptions, numbers: readonly number[], lastSequence: number): Promise<WalScan> {
  const scan = new Scan(lastSequence)
  for (const number of numbers) {
    const file = await options.fs.open(`${options.dir}/${formatFileName('wal', number)}`, 'read')
    try {
      await scan.readFile(file, number, options.runtime)
    } finally {
      await file.close()
    }
  }
  return scan.finish()
}

/** The frames of scanned logs, up to the end that the scan found. */
export async function* readWals(options: ScanOptions, scan: WalScan): AsyncGenerator<WalFrame> {
  for (const number of scan.files) {
    if (scan.end !== undefined && number > scan.end.file) return
    const file = await options.fs.open(`${options.dir}/${formatFileName('wal', number)}`, 'read')
    try {
      const scanner = new FrameScanner(file, number, await file.size(), options.runtime)
      for (;;) {
        if (scan.end !== undefined && number === scan.end.file && scanner.offset >= scan.end.offset) return
        const frame = await scanner.next()
        if (frame === undefined) {
          if (scanner.atEnd) break
          throw damaged({ file: number, offset: scanner.offset }, 'a frame that was valid before')
        }
        const operations = readerOf(number, frame)
        yield { file: number, offset: frame.offset, prefix: readWalPrefix(operations), operations }
      }
    } finally {
      await file.close()
    }
  }
}

class Scan {
  readonly #files: number[] = []
  #next: number
  #highest = 0
  #end: (LogPosition & { isGap: boolean }) | undefined
  #promise: LogPosition = { file: 0, offset: 0 }
  #dependency: DependencyPosition | undefined
  readonly #sizes = new Map<number, number>()

  constructor(lastSequence: number) {
    this.#next = lastSequence + 1
  }

  async readFile(file: File, number: number, runtime: Runtime): Promise<void> {
    const size = await file.size()
    this.#sizes.set(number, size)
    // The header is durable before the first frame is written: without a whole one there is no frame. That no
    // operation is missing then is seen from the sequence numbers.
    if (size <= LOG_HEADER_LENGTH) return
    const scanner = new FrameScanner(file, number, size, runtime)
    const headerProblem = problemOf(number, await scanner.header())
    if (headerProblem !== undefined) this.#endAt({ file: number, offset: 0, isGap: false })
    let count = 0
    for (;;) {
      const frame = (await scanner.next()) ?? (await this.#afterDamage(scanner, number))
      if (frame === undefined) break
      if (headerProblem !== undefined) throw headerProblem
      this.#accept(number, frame, count++ === 0)
    }
    if (count > 0) this.#files.push(number)
  }

  finish(): WalScan {
    const promised = this.#sizes.get(this.#promise.file)
    if (promised !== undefined && promised < this.#promise.offset) throw damaged({ ...this.#promise, offset: promised }, 'a log cut below a promise')
    if (this.#end !== undefined) {
      // At a gap everything up to its very offset is meant to be there, elsewhere everything before it.
      const distance = comparePositions(this.#promise, this.#end)
      if (distance > 0 || (distance === 0 && this.#end.isGap)) throw damaged(this.#end, 'damage below a promise')
    }
    return {
      files: this.#files,
      end: this.#end === undefined ? undefined : { file: this.#end.file, offset: this.#end.offset },
      dependency: this.#dependency,
      highestSequence: this.#highest,
    }
  }

  /** Notes damage at the scanner's offset and finds the next valid frame behind it. */
  async #afterDamage(scanner: FrameScanner, number: number): Promise<Frame | undefined> {
    if (scanner.atEnd) return undefined
    const position = { file: number, offset: scanner.offset }
    this.#endAt({ ...position, isGap: false })
    const found = await scanner.findNext((bytes, start, end, payloadEnd) => this.#isPlausible(number, bytes, start, end, payloadEnd))
    if (found === 'exhausted') throw damaged(position, 'damage whose end cannot be found')
    return found
  }

  #accept(number: number, frame: Frame, isFirst: boolean): void {
    const { firstSequence, count, walFile, walOffset, dependencyFid, dependencyOffset } = readWalPrefix(readerOf(number, frame))
    if (this.#end === undefined && firstSequence !== this.#next) {
      const position = { file: number, offset: frame.offset }
      // Without an older log there is none that could have lost its tail: the log that should be here is missing.
      if (firstSequence < this.#next || (isFirst && this.#sizes.size === 1)) throw damaged(position, 'operations that do not follow on')
      this.#endAt({ ...position, isGap: true })
    }
    this.#next = firstSequence + count
    this.#highest = Math.max(this.#highest, firstSequence + count - 1)
    if (walFile > number || (walFile === number && walOffset > frame.offset)) throw damaged({ file: number, offset: frame.offset }, 'a promise about itself')
    if (comparePositions({ file: walFile, offset: walOffset }, this.#promise) > 0) this.#promise = { file: walFile, offset: walOffset }
    if (dependencyFid > 0) this.#dependency = laterOf(this.#dependency, { fid: dependencyFid, offset: dependencyOffset })
  }

  #endAt(end: LogPosition & { isGap: boolean }): void {
    this.#end ??= end
  }

  /**
   * Whether a payload could begin with a prefix that belongs behind what was read, with operations behind it that look like some: cheap, before its
   * checksum. Values may hold numbers of any kind, and a search that takes them for frames would give up.
   */
  #isPlausible(number: number, bytes: Uint8Array, start: number, end: number, payloadEnd: number): boolean {
    let at = start
    let count = 0
    for (let field = 0; field < WAL_PREFIX_FIELDS; field++) {
      const read = peekUvarint(bytes, at, end)
      if (read === undefined) return false
      at = read.end
      if (field === 0 && read.value < this.#next - 1) return false
      if (field === 1) count = read.value
      if (field === 2 && read.value > number) return false
    }
    if (count < 1 || count > (payloadEnd - at) / MIN_OPERATION_LENGTH) return false
    for (let left = Math.min(count, LOOKED_AT); left > 0; left--) {
      if (at >= end) return at < payloadEnd
      if (!isKind(bytes[at] ?? 0)) return false
      const key = peekUvarint(bytes, at + 1, end)
      if (key === undefined) return at + 1 + MAX_UVARINT_LENGTH > end && end < payloadEnd
      if (key.value > MAX_KEY_LENGTH) return false
      at = key.end + key.value
      if (at >= end) return at < payloadEnd
      const payload = peekUvarint(bytes, at, end)
      if (payload === undefined) return at + MAX_UVARINT_LENGTH > end && end < payloadEnd
      at = payload.end + payload.value
      if (at > payloadEnd) return false
    }
    return count > LOOKED_AT || at === payloadEnd
  }
}

/** Operations of what may be a frame that are looked at before its checksum. */
const LOOKED_AT = 16

/** The later of two positions. */
export function laterOf(a: DependencyPosition | undefined, b: DependencyPosition | undefined): DependencyPosition | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return b.fid > a.fid || (b.fid === a.fid && b.offset > a.offset) ? b : a
}

function comparePositions(a: LogPosition, b: LogPosition): number {
  return a.file - b.file || a.offset - b.offset
}

function damaged(position: LogPosition, message: string): CorruptionError {
  const file = formatFileName('wal', position.file)
  return new CorruptionError(`${message}: ${file} at offset ${position.offset}`, { file, offset: position.offset })
}

function readerOf(number: number, frame: Frame): ByteReader {
  const options = { file: formatFileName('wal', number), start: frame.start, end: frame.end }
  return new ByteReader(frame.bytes, { ...options, baseOffset: frame.nextOffset - frame.end })
}

function problemOf(number: number, header: Uint8Array): CorruptionError | undefined {
  try {
    checkLogHeader(WAL_FORMAT, number, header)
    return undefined
  } catch (error) {
    if (error instanceof CorruptionError) return error
    throw error
  }
}

function peekUvarint(bytes: Uint8Array, start: number, end: number): { value: number; end: number } | undefined {
  let value = 0
  let scale = 1
  for (let at = start; at < end && at < start + MAX_UVARINT_LENGTH; at++) {
    const byte = bytes[at] ?? 0
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, end: at + 1 }
    scale *= 0x80
  }
  return undefined
}
