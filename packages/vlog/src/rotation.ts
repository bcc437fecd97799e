/**
 * Where the next record goes: the file, the place in it, and when a file is left for another one.
 *
 * - A file is left at the end of a group, after the bytes that pass `fileSize` or `maxEntries`, as Badger does; also where files in gaps of
 *   older ones have become ready.
 * - A file in gaps is left when no gap that remains holds the next record (`gap-cursor.ts`).
 * - A record that is to have a file of its own begins one, and the next record another (`lone-records.ts`).
 *
 * It looks at lengths only. How one file follows another on disk is in `write-files.ts`, and who writes the records is the writer.
 */
import type { AppendedRecords } from './appended.js'
import type { LogicalFile } from './file-map.js'
import { MAX_FILE_END } from './format.js'
import { GapCursor } from './gap-cursor.js'
import { LoneRecords } from './lone-records.js'
import type { WriteFiles } from './write-files.js'

export interface RotationOptions {
  fileSize: number
  maxEntries: number
}

export class Rotation {
  readonly #files: WriteFiles
  readonly #appended: AppendedRecords
  readonly #options: RotationOptions
  /** In the active file, if that lies in gaps. */
  readonly #cursor = new GapCursor()
  readonly #lone = new LoneRecords()
  #fileLimit = Infinity

  constructor(files: WriteFiles, appended: AppendedRecords, options: RotationOptions) {
    this.#files = files
    this.#appended = appended
    this.#options = options
  }

  /** Bytes at which a file ends. */
  get limit(): number {
    return Math.min(this.#options.fileSize, this.#fileLimit)
  }

  /** From now on files end at `bytes` as well, if that is less than their size; records of `alone` bytes get files of their own. */
  limitFiles(bytes: number, alone: number): void {
    this.#fileLimit = bytes
    this.#lone.from = alone
  }

  /** The active file, its end where the next record of `length` bytes begins. @throws IoError if one in gaps cannot be opened */
  fileFor(length: number): LogicalFile {
    let file = this.keepsApart(length) ? undefined : this.#files.active
    while (file === undefined || !this.#place(file, length)) file = this.#files.begin(length)
    return file
  }

  /** Whether the active file takes a record of `length` bytes; in gaps its end moves to where. */
  #place(file: LogicalFile, length: number): boolean {
    if (file.gaps === undefined || file.runs === undefined) return file.end + length <= MAX_FILE_END
    const offset = this.#cursor.place(file.fid, file.runs, file.end, length)
    if (offset === -1) return false
    file.end = offset
    return true
  }

  /** A record of `length` bytes went to this file, its end included. */
  note(file: LogicalFile, length: number): void {
    const isLone = this.#lone.note(file, length)
    if (isLone) this.#files.expectLone()
    this.#appended.add(file, length, isLone)
  }

  /** Whether the next record, of `length` bytes, is not to lie beside what is in the active file. */
  keepsApart(length: number): boolean {
    const file = this.#files.active
    return file !== undefined && this.#lone.keepsApart(file, length)
  }

  /** Whether a file that is no gap file takes records of `length` bytes in all, one behind the other. */
  takesTogether(file: LogicalFile, length: number): boolean {
    return length < this.#lone.from && !this.#lone.isIn(file) && file.end + length <= MAX_FILE_END
  }

  /** Whether the active file is to be left at the end of this group: it has passed its limits, or had better be left for gaps. */
  get isDue(): boolean {
    const file = this.#files.active
    if (file === undefined || file.gaps !== undefined) return false
    return this.#lone.isIn(file) || file.end > this.limit || this.#appended.countIn(file) > this.#options.maxEntries || this.#files.isFillingDue
  }
}
