/**
 * A file of the value log as it lies in the directory, and the bounded set of those that are open for reading.
 *
 * The hot read path finds its handle as a field of the physical file and marks use with a counter: no map, no list to
 * reorder. (`HandleCache` of `@wk/fs` moves a map entry at every use, a tenth of the cost of a small cached read.)
 * A handle is closed only when no operation is in flight on it; the writer's own handle is not in the set until it is sealed.
 */
import { ClosedError, CorruptionError, IoError, errnoOf, formatFileName } from '@wk/codec'
import { isNotFound, type File, type FileSystem } from '@wk/fs'
import { FILE_HEADER_LENGTH } from './format.js'

export class PhysicalFile {
  /** File number; for a plain file the same as the only `fid` in it. */
  readonly number: number
  /** `.rlog` (records that relocation moved) instead of `.vlog`. */
  readonly relocated: boolean
  /** Name in the directory. */
  readonly name: string
  readonly path: string
  /** Bytes on disk, without zeros ahead. */
  size: number
  /** End of the zeros behind the records of a file that is written; 0 = there are none. */
  zerosEnd = 0
  /** Bytes of it that are no records: header, run tables, footer. */
  overhead = FILE_HEADER_LENGTH
  /** Bytes of the list of its runs that lies beside it (`runs-file.ts`): holes were punched, or gaps opened, or are about to be. 0 = there is none. */
  listBytes = 0
  /** Bytes of those holes. */
  holeBytes = 0
  /** Logical files whose current place this is. */
  readonly fids = new Set<number>()
  /** Open handle, if there is one. */
  file: File | undefined
  /** {@link ReadHandles} tick of the last use. */
  lastUsed = 0
  /** Asynchronous reads and copies that need the file: it stays in the directory. */
  pins = 0
  /** How often the last of `pins` went. */
  unpinned = 0
  /** Highest number that is known by it: its own, or that of a file in its gaps. */
  highest: number
  /** Operations in flight on the handle: it stays open. */
  busy = 0
  /** It was unlinked, and no crash brings it back. */
  isGone = false

  constructor(dir: string, number: number, relocated: boolean, size: number) {
    this.number = number
    this.highest = number
    this.relocated = relocated
    this.name = formatFileName(relocated ? 'relocated' : 'vlog', number)
    this.path = `${dir}/${this.name}`
    this.size = size
  }

  /** Where its records end: behind them are run tables and footer. */
  get recordsEnd(): number {
    return this.size - this.overhead + FILE_HEADER_LENGTH
  }

  /** Path of the list of its runs. */
  get runsPath(): string {
    return this.path.slice(0, -this.name.length) + formatFileName('runs', this.number)
  }
}

/** Opens a file that has to be there. @throws CorruptionError if it is gone, IoError */
export function openToRead(fs: FileSystem, path: string, name: string): File {
  try {
    return fs.openSync(path, 'read')
  } catch (error) {
    if (isNotFound(error)) throw new CorruptionError(`${name} is missing`, { file: name, cause: error })
    throw error
  }
}

/** Open read handles, at most `maxOpen` unless more are busy at once. */
export class ReadHandles {
  readonly #fs: FileSystem
  readonly #maxOpen: number
  readonly #open = new Set<PhysicalFile>()
  #tick = 0
  #closed = false

  constructor(fs: FileSystem, maxOpen: number) {
    this.#fs = fs
    this.#maxOpen = maxOpen
  }

  get openCount(): number {
    return this.#open.size
  }

  /** The handle of a file, opened if need be. Valid until control goes back to the event loop. */
  use(physical: PhysicalFile): File {
    physical.lastUsed = ++this.#tick
    return physical.file ?? this.#openFile(physical)
  }

  /** {@link use} for asynchronous operations: the handle stays open until {@link release}. */
  acquire(physical: PhysicalFile): File {
    const file = this.use(physical)
    physical.busy++
    return file
  }

  release(physical: PhysicalFile): void {
    physical.busy--
    if (physical.busy === 0) this.#trim(this.#maxOpen)
  }

  /** Takes over a handle that the writer no longer needs. */
  adopt(physical: PhysicalFile, file: File): void {
    this.#trim(this.#maxOpen - 1)
    physical.file = file
    physical.lastUsed = ++this.#tick
    this.#open.add(physical)
  }

  /** Closes the handle of a file. Operations in flight end first. How that ends is nobody's business: what the file holds is durable. */
  close(physical: PhysicalFile): void {
    if (!this.#open.delete(physical)) return
    const { file } = physical
    // One whose close fails is closed all the same: nobody must read through it again.
    physical.file = undefined
    try {
      file?.closeSync()
    } catch (error) {
      if (!(error instanceof IoError)) throw error
    }
  }

  /** Closes every handle, and opens none any more. How a close ends is nobody's business here either. */
  async closeAll(): Promise<void> {
    this.#closed = true
    const files = [...this.#open]
    this.#open.clear()
    await Promise.allSettled(
      files.map(async (physical) => {
        const { file } = physical
        physical.file = undefined
        await file?.close()
      }),
    )
  }

  #openFile(physical: PhysicalFile): File {
    // Whoever goes on after the close would keep the handle for good, and read what is no longer ours.
    if (this.#closed) throw new ClosedError('the value log is closed')
    this.#trim(this.#maxOpen - 1)
    try {
      physical.file = openToRead(this.#fs, physical.path, physical.name)
    } catch (error) {
      const code = errnoOf(error)
      if ((code !== 'EMFILE' && code !== 'ENFILE') || !this.#trim(this.#open.size >> 1)) throw error
      // The process ran out of descriptors below our own bound: half of ours are free now, one more try.
      physical.file = openToRead(this.#fs, physical.path, physical.name)
    }
    this.#open.add(physical)
    return physical.file
  }

  /** Closes idle handles, least recently used first, until at most `target` are open. Whether one was closed. */
  #trim(target: number): boolean {
    let closed = false
    while (this.#open.size > target) {
      let oldest: PhysicalFile | undefined
      for (const physical of this.#open) {
        if (physical.busy === 0 && (oldest === undefined || physical.lastUsed < oldest.lastUsed)) oldest = physical
      }
      if (oldest === undefined) break
      this.close(oldest)
      closed = true
    }
    return closed
  }
}
