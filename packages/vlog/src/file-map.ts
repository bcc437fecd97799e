/**
 * Which physical file holds which logical file, and where in it.
 *
 * A pointer names a logical place. As long as nothing was relocated, logical file n is physical file `n.vlog` and
 * offsets are the same. After a relocation it is a set of runs inside an `.rlog`. Records never change, so every copy
 * that is named is a right one; the highest-numbered physical file wins, and what it leaves uncovered was garbage.
 *
 * A relocated file may itself be addressed: logical file n is then all of `n.rlog`, offsets are the same, and no runs are kept
 * in memory (docs/adr/0018). Such a *direct* logical file may be relocated like any other, and has runs from then on.
 *
 * A logical file may also lie in *gaps* of an older physical one, where nothing alive was left (docs/adr/0029): its runs are there before
 * its first record is. It bears a higher number than the file that it lies in; every other logical file bears at most that.
 */
import { CorruptionError, InvalidArgumentError, formatFileName, invariant, isU32 } from '@wk/codec'
import type { File } from '@wk/fs'
import { BASE_IV_LENGTH, FILE_HEADER_LENGTH, MIN_RECORD_LENGTH } from './format.js'
import type { PhysicalFile } from './physical-file.js'
import type { RecordCipher } from './record-cipher.js'
import type { RunTable } from './run-table.js'

/** One logical file. Mutable: relocation moves it, the writer lets it grow. */
export interface LogicalFile {
  readonly fid: number
  physical: PhysicalFile
  /** Where its records lie; undefined = everything, at its own offset. */
  runs: RunTable | undefined
  /** End of what pointers may name, staged bytes included. */
  end: number
  /** End of what is with the operating system; equals `end` once sealed. */
  written: number
  /** Nothing will be appended any more, and everything is durable. */
  sealed: boolean
  /** Data key of its records; 0 = plain. */
  readonly keyId: number
  readonly baseIv: Uint8Array
  /** The address of a relocated file: its number says nothing about what was written when. */
  readonly direct: boolean
  /** Of its data key and base IV; undefined = plain. */
  readonly cipher: RecordCipher | undefined
  /** Of one that lies in gaps, until it is sealed. */
  gaps: GapWriting | undefined
  /** Holders of `pin(fid)`. */
  hostPins: number
  /** Given up by the host: goes as soon as nobody pins it. */
  retired: boolean
}

/** What a file in gaps has until it is sealed. */
export interface GapWriting {
  /** What it is written through, from when it is begun. */
  output: File | undefined
  /** {@link PhysicalFile.unpinned} when nothing alive was left there; -1 if nobody was reading. */
  readonly unpinnedBefore: number
}

/** A logical file that nobody holds. All of them are made here, so that they are of one shape: every write and read looks at one. */
export function newLogicalFile({ fid, physical, runs, end, written, sealed, keyId, baseIv, cipher, direct }: Omit<LogicalFile, 'gaps' | 'hostPins' | 'retired'>): LogicalFile {
  return { fid, physical, runs, end, written, sealed, keyId, baseIv, direct, cipher, gaps: undefined, hostPins: 0, retired: false }
}

/** Whether a logical file lies in gaps of an older file. */
export function isInGaps({ fid, physical }: Pick<LogicalFile, 'fid' | 'physical'>): boolean {
  return fid > physical.number
}

/** What a file that takes writes is written through, once it exists. */
export function outputOf({ gaps, runs, physical }: LogicalFile): File | undefined {
  return runs === undefined ? physical.file : gaps?.output
}

/** {@link outputOf} a file that exists. */
export function handleOf(logical: LogicalFile): File {
  const file = outputOf(logical)
  invariant(file !== undefined, 'the file that is written is open')
  return file
}

/** The logical files, ascending as they come in. */
export class FileMap {
  readonly #files = new Map<number, LogicalFile>()

  get(fid: number): LogicalFile | undefined {
    return this.#files.get(fid)
  }

  /** @throws CorruptionError without offset if the file is gone, InvalidArgumentError for what is no file number */
  require(fid: number): LogicalFile {
    const logical = this.#files.get(fid)
    if (logical !== undefined) return logical
    checkFid(fid)
    throw new CorruptionError(`value-log file ${fid} is not there`, { file: formatFileName('vlog', fid) })
  }

  add(logical: LogicalFile): void {
    this.#files.set(logical.fid, logical)
    logical.physical.fids.add(logical.fid)
  }

  /** Removes a file from the map; tells where it was. */
  delete(fid: number): PhysicalFile | undefined {
    const logical = this.#files.get(fid)
    if (logical === undefined) return undefined
    this.#files.delete(fid)
    logical.physical.fids.delete(fid)
    return logical.physical
  }

  /** Moves a file; tells where it was. */
  move(logical: LogicalFile, physical: PhysicalFile, runs: RunTable): PhysicalFile {
    const before = logical.physical
    before.fids.delete(logical.fid)
    physical.fids.add(logical.fid)
    logical.physical = physical
    logical.runs = runs
    return before
  }

  /** Ascending fid. */
  list(): LogicalFile[] {
    return [...this.#files.values()].sort((a, b) => a.fid - b.fid)
  }
}

/** The relocated file itself as a logical file: everything in it, at its own offset. Requires that its records are not encrypted. */
export function directFile(physical: PhysicalFile): LogicalFile {
  const end = physical.size - physical.overhead + FILE_HEADER_LENGTH
  return newLogicalFile({ fid: physical.number, physical, runs: undefined, end, written: end, sealed: true, keyId: 0, baseIv: new Uint8Array(BASE_IV_LENGTH), cipher: undefined, direct: true })
}

/** @throws InvalidArgumentError for what is no file number */
export function checkFid(fid: number): void {
  if (!isU32(fid) || fid === 0) throw new InvalidArgumentError('the number of a value-log file must be an integer from 1 to 4,294,967,295')
}

/** Whether a record can lie there: behind the header, before the end. */
export function isWithin({ end }: LogicalFile, offset: number, length: number): boolean {
  // Plain sums of doubles: no 32-bit wrap lets {100, 0xFFFFFFFF} through.
  return offset >= FILE_HEADER_LENGTH && length >= MIN_RECORD_LENGTH && offset + length <= end
}

/** Damage in a logical file, at a logical offset; names the file in the directory. */
export function damage(logical: LogicalFile, offset: number, message: string): CorruptionError {
  const { name } = logical.physical
  if (logical.runs === undefined) return new CorruptionError(`${message}: ${name} at offset ${offset}`, { file: name, offset })
  const position = logical.runs.locate(offset, 1)
  const at = position === -1 ? offset : position
  return new CorruptionError(`${message}: value-log file ${logical.fid} in ${name} at offset ${at}`, { file: name, offset: at })
}

/**
 * Physical position of a record of a logical file. `run`: that at or before the offset, where it is known.
 * @throws CorruptionError if it lies outside the file or in a hole; nothing was read or allocated
 */
export function locate(logical: LogicalFile, offset: number, length: number, run?: number): number {
  if (!isWithin(logical, offset, length)) throw damage(logical, offset, `a pointer to ${length} bytes outside its file`)
  const { runs } = logical
  if (runs === undefined) return offset
  const position = runs.locate(offset, length, run)
  if (position === -1) throw damage(logical, offset, 'a pointer to a record that was left out as garbage')
  return position
}
