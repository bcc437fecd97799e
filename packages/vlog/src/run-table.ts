/**
 * Where the records of logical files lie in a physical file, in memory, at the end of a relocated one, and in lists of runs (`runs-file.ts`).
 *
 * `000012.rlog`:
 *
 * | part    | bytes                                                                                             |
 * |---------|---------------------------------------------------------------------------------------------------|
 * | header  | 20: magic `WKRLOG\0\1`, file number u64 LE, CRC-32C u32 LE of the 16 bytes before                 |
 * | records | verbatim as they were in their logical files, so an encrypted one keeps its IV (base IV, logical offset) |
 * | table   | per logical file, ascending fid, direct ones (`file-map.ts`) behind the others: fid u32, end u32, key id u64, base IV 12, run count u32; then per run, ascending: logical start u32, length u32, physical start u64 (all LE) |
 * | footer  | 40: table offset u64, table length u64, number of logical files u32, of direct ones u32, CRC-32C u32 (salted) of table and footer so far, zero u32, magic `WKRLEND\1` |
 *
 * The sum is salted with file number and table offset. The file is complete once it bears its name: it is written
 * under a temporary one, synced and renamed. Whatever does not verify under the final name is therefore damage.
 */
import { ByteReader, ByteWriter, CorruptionError, NO_BYTES, crc32cRange, invariant, placeSeed } from '@wk/codec'
import { BASE_IV_LENGTH, FILE_HEADER_LENGTH, MAX_FID, MAX_FILE_END, MIN_RECORD_LENGTH } from './format.js'
import { firstAbove } from './range-list.js'

/** On disk, never change. */
export const RELOCATED_MAGIC = Uint8Array.of(0x57, 0x4b, 0x52, 0x4c, 0x4f, 0x47, 0x00, 0x01)
export const RELOCATED_END_MAGIC = Uint8Array.of(0x57, 0x4b, 0x52, 0x4c, 0x45, 0x4e, 0x44, 0x01)
export const RELOCATED_FOOTER_LENGTH = 40
const TABLE_FILE_LENGTH = 32
const TABLE_RUN_LENGTH = 16
/** Runs that a builder has room for at first, at least. */
const FIRST_RUNS = 16
/** Runs that a builder keeps room for when it is used again: 2 MiB. */
const MOST_KEPT = 1 << 17

/** Runs of one logical file inside one physical file: ascending, not overlapping, not touching where both sides do. */
export class RunTable {
  readonly #starts: Uint32Array
  readonly #lengths: Uint32Array
  readonly #physical: Float64Array
  /** Bytes of all runs. */
  readonly bytes: number
  /** Bytes of the longest run. */
  readonly longest: number

  constructor(starts: Uint32Array, lengths: Uint32Array, physical: Float64Array) {
    this.#starts = starts
    this.#lengths = lengths
    this.#physical = physical
    let bytes = 0
    let longest = 0
    for (const length of lengths) {
      bytes += length
      if (length > longest) longest = length
    }
    this.bytes = bytes
    this.longest = longest
  }

  get count(): number {
    return this.#starts.length
  }

  /** End of the last run in the logical file. */
  get end(): number {
    const last = this.count - 1
    return last < 0 ? FILE_HEADER_LENGTH : this.logicalStart(last) + this.length(last)
  }

  logicalStart(run: number): number {
    return this.#starts[run]!
  }

  length(run: number): number {
    return this.#lengths[run]!
  }

  physicalStart(run: number): number {
    return this.#physical[run]!
  }

  /** Starts, lengths and physical starts of all runs in memory that threads may share. Requires physical starts of 32 bits. */
  share(): { starts: Uint32Array; lengths: Uint32Array; positions: Uint32Array } {
    const [starts, lengths, positions] = [this.#starts, this.#lengths, this.#physical].map((numbers) => {
      const shared = new Uint32Array(new SharedArrayBuffer(4 * numbers.length))
      shared.set(numbers)
      return shared
    }) as [Uint32Array, Uint32Array, Uint32Array]
    return { starts, lengths, positions }
  }

  /** The last run that begins at or before `offset`; -1 if none does. `near`: one that is likely to be it, or shortly before it. */
  runAt(offset: number, near?: number): number {
    return firstAbove(this.#starts, offset, near) - 1
  }

  /** Physical position of `[offset, offset + length)`, or -1 if no run holds all of it. `run`: {@link runAt} of the offset, where that is known. */
  locate(offset: number, length: number, run = this.runAt(offset)): number {
    if (run === -1) return -1
    const into = offset - this.#starts[run]!
    return into + length <= this.#lengths[run]! ? this.#physical[run]! + into : -1
  }
}

/** Collects runs in order; touching ones become one. */
export class RunTableBuilder {
  #starts = new Uint32Array(0)
  #lengths = new Uint32Array(0)
  #physical = new Float64Array(0)
  #count = 0

  /** @param expected runs that there is room for at first */
  constructor(expected = 0) {
    this.reset(expected)
  }

  /** Begins anew, with room for `expected` runs, in the same memory if it is enough. */
  reset(expected: number): void {
    const kept = this.#starts.length
    const room = Math.max(FIRST_RUNS, expected)
    if (kept < room || kept > MOST_KEPT) {
      this.#starts = new Uint32Array(room)
      this.#lengths = new Uint32Array(room)
      this.#physical = new Float64Array(room)
    }
    this.#count = 0
  }

  add(logicalStart: number, physicalStart: number, length: number): void {
    const last = this.#count - 1
    if (last >= 0) {
      const lastLength = this.#lengths[last]!
      const lastEnd = this.#starts[last]! + lastLength
      invariant(logicalStart >= lastEnd, 'runs ascend')
      if (lastEnd === logicalStart && this.#physical[last]! + lastLength === physicalStart) {
        this.#lengths[last] = lastLength + length
        return
      }
    }
    if (this.#count === this.#starts.length) this.#grow()
    this.#starts[this.#count] = logicalStart
    this.#lengths[this.#count] = length
    this.#physical[this.#count++] = physicalStart
  }

  build(): RunTable {
    const count = this.#count
    return new RunTable(this.#starts.slice(0, count), this.#lengths.slice(0, count), this.#physical.slice(0, count))
  }

  #grow(): void {
    this.#starts = doubled(this.#starts, new Uint32Array(2 * this.#count))
    this.#lengths = doubled(this.#lengths, new Uint32Array(2 * this.#count))
    this.#physical = doubled(this.#physical, new Float64Array(2 * this.#count))
  }
}

function doubled<A extends Uint32Array | Float64Array>(numbers: A, room: A): A {
  room.set(numbers)
  return room
}

/** One logical file inside a relocated one. */
export interface RelocatedLogical {
  fid: number
  /** Where the logical file ended before anything of it was moved; one past the highest byte that pointers could name. */
  end: number
  /** Data key of its records; 0 = plain. */
  keyId: number
  baseIv: Uint8Array
  /** Whether it is the address of a relocated file. */
  direct: boolean
  runs: RunTable
}

/** The 20 bytes at the start of relocated file `number`. */
export function encodeRelocatedHeader(number: number): Uint8Array {
  const writer = new ByteWriter(FILE_HEADER_LENGTH).raw(RELOCATED_MAGIC).u64(number)
  return writer.u32(crc32cRange(writer.bytes, 0, 16)).toBytes()
}

/** @throws CorruptionError unless `bytes` is the header of relocated file `number` */
export function checkRelocatedHeader(bytes: Uint8Array, number: number, file: string): void {
  expectHeader(bytes, encodeRelocatedHeader(number), file)
}

/** @throws CorruptionError unless `bytes` begins with `header` */
export function expectHeader(bytes: Uint8Array, header: Uint8Array, file: string): void {
  for (let i = 0; i < header.length; i++) {
    if (bytes[i] !== header[i]) throw new CorruptionError(`${file} does not begin with its header`, { file, offset: i })
  }
}

/** Table and footer of relocated file `number`, to be written at `tableOffset`; `before` comes first. `files` in any order. */
export function encodeRunTables(files: readonly RelocatedLogical[], number: number, tableOffset: number, before: Uint8Array = NO_BYTES): Uint8Array {
  const length = files.reduce((sum, { runs }) => sum + TABLE_FILE_LENGTH + TABLE_RUN_LENGTH * runs.count, before.length + RELOCATED_FOOTER_LENGTH)
  const writer = new ByteWriter(length).raw(before)
  const sorted = [...files].sort((a, b) => Number(a.direct) - Number(b.direct) || a.fid - b.fid)
  for (const { fid, end, keyId, baseIv, runs } of sorted) {
    writer.u32(fid).u32(end).u64(keyId).raw(baseIv, 0, BASE_IV_LENGTH).u32(runs.count)
    for (let run = 0; run < runs.count; run++) writer.u32(runs.logicalStart(run)).u32(runs.length(run)).u64(runs.physicalStart(run))
  }
  const tableLength = writer.length - before.length
  writer.u64(tableOffset).u64(tableLength).u32(files.length).u32(files.filter(({ direct }) => direct).length)
  const sum = crc32cRange(writer.bytes, before.length, writer.length, placeSeed(number, tableOffset))
  writer.u32(sum).u32(0).raw(RELOCATED_END_MAGIC)
  invariant(writer.bytes.length === length, 'run tables take what was reckoned')
  return writer.bytes
}

/**
 * Offset of the table of a relocated file of `size` bytes, from its last {@link RELOCATED_FOOTER_LENGTH} bytes.
 * @throws CorruptionError
 */
export function readTableOffset(footer: Uint8Array, size: number, file: string): number {
  const at = size - RELOCATED_FOOTER_LENGTH
  const reader = new ByteReader(footer, { file, baseOffset: at, end: RELOCATED_FOOTER_LENGTH })
  const offset = reader.u64()
  const length = reader.u64()
  if (offset < FILE_HEADER_LENGTH || offset + length !== at) {
    throw new CorruptionError(`the run table of ${file} lies outside it`, { file, offset: at })
  }
  return offset
}

export interface DecodeOptions {
  /** Runs of other logical files are checked and left out. Default: of none. */
  wanted?: ReadonlySet<number> | undefined
  /** Of a table that lies beside its file: where the records end there. Such a one may list the file itself, and files in its gaps, which bear higher numbers. Default: at the table. */
  recordsEnd?: number
}

/**
 * The logical files of physical file `number`. `bytes` are those from the table to the end of the file that it lies in.
 * @throws CorruptionError if the sum is wrong, or anything lies outside its bounds or out of order
 */
export function decodeRunTables(bytes: Uint8Array, number: number, tableOffset: number, file: string, { wanted, recordsEnd }: DecodeOptions = {}): RelocatedLogical[] {
  const tableLength = bytes.length - RELOCATED_FOOTER_LENGTH
  const sumAt = tableLength + 24
  const expected = new ByteWriter(16).u32(crc32cRange(bytes, 0, sumAt, placeSeed(number, tableOffset))).u32(0).raw(RELOCATED_END_MAGIC)
  for (let i = 0; i < 16; i++) {
    if (bytes[sumAt + i] !== expected.bytes[i]) {
      throw new CorruptionError(`the run table of ${file} does not verify`, { file, offset: tableOffset + sumAt + i })
    }
  }
  const footer = new ByteReader(bytes, { file, baseOffset: tableOffset, start: tableLength + 16 })
  const count = footer.u32()
  const direct = footer.u32()
  const reader = new ByteReader(bytes, { file, baseOffset: tableOffset, end: tableLength })
  if (count < 1 || count > tableLength / TABLE_FILE_LENGTH) throw reader.corrupt('impossible number of logical files')
  if (direct > count) throw reader.corrupt('impossible number of direct files')
  const files: RelocatedLogical[] = []
  const highest = recordsEnd === undefined ? number - 1 : MAX_FID
  let lastFid = 0
  for (let i = 0; i < count; i++) {
    const isDirect = i >= count - direct
    if (i === count - direct) lastFid = 0
    const logical = decodeLogical(reader, recordsEnd ?? tableOffset, isDirect, wanted)
    if (logical.fid <= lastFid || logical.fid > highest) throw reader.corrupt('logical files out of order')
    lastFid = logical.fid
    files.push(logical)
  }
  reader.expectEnd()
  return files
}

function decodeLogical(reader: ByteReader, recordsEnd: number, direct: boolean, wanted: ReadonlySet<number> | undefined): RelocatedLogical {
  const fid = reader.u32()
  const end = reader.u32()
  const keyId = reader.u64()
  const baseIv = reader.copy(BASE_IV_LENGTH)
  const count = reader.u32()
  if (count < 1 || count > reader.remaining / TABLE_RUN_LENGTH) throw reader.corrupt('impossible number of runs')
  const kept = wanted?.has(fid) === false ? 0 : count
  const starts = new Uint32Array(kept)
  const lengths = new Uint32Array(kept)
  const physical = new Float64Array(kept)
  let logicalEnd = FILE_HEADER_LENGTH
  for (let run = 0; run < count; run++) {
    const start = reader.u32()
    const length = reader.u32()
    const at = reader.u64()
    if (start < logicalEnd || length < MIN_RECORD_LENGTH || start + length > end) throw reader.corrupt('run outside its logical file')
    if (at < FILE_HEADER_LENGTH || at + length > recordsEnd) throw reader.corrupt('run outside its physical file')
    // What is not kept falls off the end of its array.
    starts[run] = start
    lengths[run] = length
    physical[run] = at
    logicalEnd = start + length
  }
  invariant(logicalEnd <= MAX_FILE_END, 'runs end within 32 bits')
  return { fid, end, keyId, baseIv, direct, runs: new RunTable(starts, lengths, physical) }
}
