/**
 * Makes the files that take records: planned in memory with their number, then created with a durable name and header.
 *
 * The order is CR2 and CR5: data key, exclusive creation, header, sync, directory sync; only then may records follow. So a
 * record that survives is found. When files are made, and what becomes of a failure, is up to the writer.
 */
import { writeFully, type File } from '@wk/fs'
import { newLogicalFile, type LogicalFile } from './file-map.js'
import { BASE_IV_LENGTH, FILE_HEADER_LENGTH, encodeFileHeader } from './format.js'
import type { KeyRegistry } from './key-registry.js'
import { PhysicalFile } from './physical-file.js'
import type { RunTable } from './run-table.js'
import type { VlogSet } from './vlog-set.js'

export interface FileMakerOptions {
  randomBytes: (length: number) => Uint8Array
  /** Data keys for new files. */
  registry: KeyRegistry
  /** Seconds after which a new file gets a new data key. */
  encryptionKeyRotationDuration: number
  /** Unix time, in milliseconds. */
  now: () => number
  /** Resolves when files of these numbers may come to be. Default: they may. */
  announce?: (fids: readonly number[]) => Promise<void>
}

/** What all files have at first. */
const EMPTY = { end: FILE_HEADER_LENGTH, written: FILE_HEADER_LENGTH, sealed: false, direct: false }

export class FileMaker {
  readonly #set: VlogSet
  readonly #options: FileMakerOptions

  constructor(set: VlogSet, options: FileMakerOptions) {
    this.#set = set
    this.#options = options
  }

  /** An empty file of this number. Nothing of it is on disk or in the set yet. */
  plan(number: number): LogicalFile {
    const { registry, randomBytes, now, encryptionKeyRotationDuration } = this.#options
    const physical = new PhysicalFile(this.#set.dir, number, false, 0)
    const keyId = registry.encrypts ? registry.current(now() / 1000, encryptionKeyRotationDuration) : 0
    const baseIv = randomBytes(BASE_IV_LENGTH)
    const cipher = registry.cipherOf(keyId, baseIv, physical.name)
    return newLogicalFile({ ...EMPTY, fid: number, physical, runs: undefined, keyId, baseIv, cipher })
  }

  /** An empty file of this number that lies in gaps of another one, at `runs`. Requires that the log is not encrypted. */
  planInGaps(number: number, physical: PhysicalFile, runs: RunTable): LogicalFile {
    return newLogicalFile({ ...EMPTY, fid: number, physical, runs, keyId: 0, baseIv: new Uint8Array(BASE_IV_LENGTH), cipher: undefined })
  }

  /** Creates files, ascending, and leaves their handles in `physical.file`. Durable when this resolves. @throws IoError */
  async create(files: readonly LogicalFile[]): Promise<void> {
    const { fs, dir } = this.#set
    // Before the file: a header that names a data key which a crash took away would be damage.
    await this.#options.registry.save()
    await this.#options.announce?.(files.map(({ fid }) => fid))
    const handles: File[] = []
    try {
      for (const logical of files) {
        const handle = await fs.open(logical.physical.path, 'create')
        handles.push(handle)
        const header = encodeFileHeader(logical)
        await writeFully(handle, header, 0, header.length, 0)
      }
      // At once: they share a commit of the journal.
      await Promise.all(handles.map((handle) => handle.sync()))
      await fs.syncDir(dir)
    } catch (error) {
      await Promise.allSettled(handles.map((handle) => handle.close()))
      throw error
    }
    files.forEach(({ physical }, i) => {
      physical.size = FILE_HEADER_LENGTH
      physical.file = handles[i]
    })
  }
}
