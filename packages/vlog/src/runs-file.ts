/**
 * What is left of a value-log file in which holes were punched, and what lies in its gaps: the list of all runs in it, in a file beside it.
 *
 * `000012.runs`, for `000012.vlog` or `000012.rlog`:
 *
 * | part   | bytes                                                                                   |
 * |--------|-----------------------------------------------------------------------------------------|
 * | header | 20: magic `WKRUNS\0\1`, file number u64 LE, CRC-32C u32 LE of the 16 bytes before         |
 * | table, footer | as at the end of an `.rlog` (`run-table.ts`), the table at offset 20; physical starts lie in the file beside it |
 *
 * It takes the place of the other file's own table. It is written under a temporary name, synced and renamed, and durable before the first
 * hole is made, or the first record goes into a gap: a range that no run covers may be zeros, or not yet. Logical files of higher numbers than the file's own
 * lie in its gaps (`gap-files.ts`). Where a list is missing, what was alive before is found all the same, for pointers name places, but it can't be told what is a hole and
 * what is damage; records in gaps have no address without it.
 */
import { ByteWriter, CorruptionError, crc32cRange } from '@wk/codec'
import { FILE_HEADER_LENGTH } from './format.js'
import { RangeList } from './range-list.js'
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
  return encodeRunTables(files, number, FILE_HEADER_LENGTH, encodeHeader(number))
}

/** The logical files in value-log file `number`, whose records end at `recordsEnd`. Requires as many bytes as header and footer take. @throws CorruptionError, also for runs that overlap */
export function decodeRuns(bytes: Uint8Array, number: number, recordsEnd: number, file: string): RelocatedLogical[] {
  expectHeader(bytes, encodeHeader(number), file)
  const footer = bytes.subarray(bytes.length - RELOCATED_FOOTER_LENGTH)
  if (readTableOffset(footer, bytes.length, file) !== FILE_HEADER_LENGTH) throw new CorruptionError(`the run table of ${file} is not behind its header`, { file, offset: bytes.length - RELOCATED_FOOTER_LENGTH })
  const files = decodeRunTables(bytes.subarray(FILE_HEADER_LENGTH), number, FILE_HEADER_LENGTH, file, { recordsEnd })
  const impossible = (why: string): CorruptionError => new CorruptionError(`${why} in ${file}`, { file, offset: FILE_HEADER_LENGTH })
  if (files.some(({ fid, direct }) => direct && fid > number)) throw impossible('a file in gaps is taken for a relocated one')
  // The file's own address is a second one of what lies in it, but not of what lies in its gaps: who writes there must hit nothing else.
  if (overlap(files.filter(({ fid }) => fid !== number)) || overlap(files.filter(({ fid }) => fid >= number))) throw impossible('runs overlap')
  return files
}

/** Whether a byte of the physical file belongs to two of these runs. */
function overlap(files: readonly RelocatedLogical[]): boolean {
  return rangesOf(files).overlap()
}

/** Where runs lie in the physical file. */
export function rangesOf(files: readonly Pick<RelocatedLogical, 'runs'>[]): RangeList {
  const ranges = new RangeList(files.reduce((sum, { runs }) => sum + runs.count, 0))
  for (const { runs } of files) {
    for (let run = 0; run < runs.count; run++) ranges.add(runs.physicalStart(run), runs.physicalStart(run) + runs.length(run))
  }
  return ranges
}

/** Blocks before `recordsEnd` that no run of `files` touches. */
export function holesBetween(files: readonly Pick<RelocatedLogical, 'runs'>[], recordsEnd: number): Hole[] {
  const holes: Hole[] = []
  const dead = rangesOf(files).gaps(FILE_HEADER_LENGTH, recordsEnd)
  for (let i = 0; i < dead.count; i++) {
    const offset = Math.ceil(dead.start(i) / BLOCK) * BLOCK
    const length = Math.floor(dead.end(i) / BLOCK) * BLOCK - offset
    if (length > 0) holes.push({ offset, length })
  }
  return holes
}
