/**
 * Which records get a file of the value log for themselves: those that are long beside others (docs/adr/0032). Such a file is dead or alive as a
 * whole, and nothing is copied for what dies beside it. In gaps of older files nothing is kept apart.
 */
import type { LogicalFile } from './file-map.js'
import { FILE_HEADER_LENGTH } from './format.js'

/** What lies in a file already, in parts of a record that is to be alone, may stay beside it: it costs little to copy, and less than a file of its own that nobody ever merges. */
const LITTLE = 1 / 16

export class LoneRecords {
  /** Records from this many bytes on are alone in their file. */
  from = Infinity
  /** The file of the last such one. */
  #file: LogicalFile | undefined

  /** Whether this is the file of the last one. */
  isIn(file: LogicalFile): boolean {
    return file === this.#file
  }

  /** Whether the file holds records that the next one, of `length` bytes, is not to lie beside. */
  keepsApart(file: LogicalFile, length: number): boolean {
    if (file.gaps !== undefined) return false
    return file === this.#file || (length >= this.from && file.end - FILE_HEADER_LENGTH > length * LITTLE)
  }

  /** A record of `length` bytes goes to this file. Returns whether it is to be alone in it. */
  note(file: LogicalFile, length: number): boolean {
    if (length < this.from || file.gaps !== undefined) return false
    this.#file = file
    return true
  }
}
