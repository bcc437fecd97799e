/**
 * What is left of a value-log file in which holes were punched: the list of its runs, in a file beside it.
 *
 * `000012.runs`, for `000012.vlog` or `000012.rlog`:
 *
 * | part   | bytes                                                                                   |
 * |--------|-----------------------------------------------------------------------------------------|
 * | header | 20: magic `WKRUNS\0\1`, file number u64 LE, CRC-32C u32 LE of the 16 bytes before         |
 * | table, footer | as at the end of an `.rlog` (`run-table.ts`), the table at offset 20; physical starts lie in the file beside it |
 *
 * It takes the place of the other file's own table. It is written under a temporary name, synced and renamed, and durable before the first
 * hole is made: a range that no run covers may be zeros, or not yet. Where one is damaged or missing, nothing that is alive is lost, for
 * pointers name places; but it can't be told what is a hole and what is damage.
 */
import { ByteWriter, CorruptionError, crc32cRange } from '@wk/codec'
import { FILE_HEADER_LENGTH } from './format.js'
import { RELOCATED_FOOTER_LENGTH, decodeRunTables, encodeRunTables, expectHeader, readTableOffset, type RelocatedLogical } from './run-table.js'

/** On disk, never change. */
export const RUNS_MAGIC = Uint8Array.of(0x57, 0x4b, 0x52, 0x55, 0x4e, 0x53, 0x00, 0x01)

/** Holes are whole blocks of so many bytes: those of nearly every file system. */
export const BLOCK = 4096

/** A range of blocks that no run touches. */
export interface Hole {
  readonly offset: number
  readonly length: number
}

function encodeHeader(number: number): Uint8Array {
  const writer = new ByteWriter(FILE_HEADER_LENGTH).raw(RUNS_MAGIC).u64(number)
  return writer.u32(crc32cRange(writer.bytes, 0, 16)).toBytes()
}

/** All of the file for value-log file `number`. */
export function encodeRuns(number: number, files: readonly RelocatedLogical[]): Uint8Array {
  return new ByteWriter(4096).raw(encodeHeader(number)).raw(encodeRunTables(files, number, FILE_HEADER_LENGTH)).toBytes()
}

/** The logical files in value-log file `number`, whose records end at `recordsEnd`. Requires as many bytes as header and footer take. @throws CorruptionError */
export function decodeRuns(bytes: Uint8Array, number: number, recordsEnd: number, file: string): RelocatedLogical[] {
  expectHeader(bytes, encodeHeader(number), file)
  const footer = bytes.subarray(bytes.length - RELOCATED_FOOTER_LENGTH)
  if (readTableOffset(footer, bytes.length, file) !== FILE_HEADER_LENGTH) throw new CorruptionError(`the run table of ${file} is not behind its header`, { file, offset: bytes.length - RELOCATED_FOOTER_LENGTH })
  return decodeRunTables(bytes.subarray(FILE_HEADER_LENGTH), number, FILE_HEADER_LENGTH, file, { recordsEnd })
}

/** Blocks before `recordsEnd` that no run of `files` touches. */
export function holesBetween(files: readonly Pick<RelocatedLogical, 'runs'>[], recordsEnd: number): Hole[] {
  const runs: { start: number; end: number }[] = []
  for (const { runs: table } of files) {
    for (let run = 0; run < table.count; run++) runs.push({ start: table.physicalStart(run), end: table.physicalStart(run) + table.length(run) })
  }
  const holes: Hole[] = []
  for (const { start, end } of gapsBetween(runs, recordsEnd)) {
    const offset = Math.ceil(start / BLOCK) * BLOCK
    const length = Math.floor(end / BLOCK) * BLOCK - offset
    if (length > 0) holes.push({ offset, length })
  }
  return holes
}

/** A range of a file. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** What of the records of a file, which end at `recordsEnd`, no range covers, ascending. `ranges` in any order; they may overlap. */
export function gapsBetween(ranges: readonly Range[], recordsEnd: number): Range[] {
  const gaps: Range[] = []
  let covered = FILE_HEADER_LENGTH
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    if (start > covered) gaps.push({ start: covered, end: start })
    if (end > covered) covered = end
  }
  if (recordsEnd > covered) gaps.push({ start: covered, end: recordsEnd })
  return gaps
}
