/**
 * One manifest being written. An edit counts once it is synced; then it is sealed (`format.ts`). Edits are short and go
 * out on the calling thread, long ones (the whole state of a large tree) through the pool; syncs always do.
 *
 * One call at a time. After a failure nothing more is written (CR13).
 */
import { ByteWriter, FRAME_HEADER_LENGTH, ReadOnlyError, formatFileName, writeFrameHeader } from '@wk/codec'
import { SECTOR, writeFully, writeFullySync } from '@wk/fs'
import type { File, FileSystem } from '@wk/fs'
import { allDone } from '../all-done.js'
import { LOG_HEADER_LENGTH, encodeLogHeader } from '../log/format.js'
import { writeCurrent } from './current.js'
import { MANIFEST_FORMAT } from './format.js'
import { encodeEdit, encodeSeal } from './version-edit.js'
import type { VersionEdit } from './version-edit.js'

/** Bytes of a frame up to which it is written on the calling thread. */
const SYNC_WRITE_LIMIT = 64 * 1024

export class ManifestWriter {
  readonly number: number
  readonly #file: File
  readonly #writer = new ByteWriter(4096)
  #end = LOG_HEADER_LENGTH
  #failure: unknown

  private constructor(number: number, file: File) {
    this.number = number
    this.#file = file
  }

  /** Creates manifest `number` with a base edit and makes it the current one, durably (CR4); runs other `syncs` beside its own. */
  static async start(fs: FileSystem, dir: string, number: number, base: VersionEdit, syncs: readonly (() => Promise<void>)[] = []): Promise<ManifestWriter> {
    const file = fs.openSync(`${dir}/${formatFileName('manifest', number)}`, 'create')
    try {
      writeFullySync(file, encodeLogHeader(MANIFEST_FORMAT, number), 0, LOG_HEADER_LENGTH, 0)
      const manifest = new ManifestWriter(number, file)
      await writeCurrent(fs, dir, number, () => manifest.append({ ...base, base: true }, { beside: [() => fs.syncDir(dir), ...syncs] }))
      return manifest
    } catch (error) {
      file.closeSync()
      throw error
    }
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#end
  }

  /** Writes an edit and makes it durable, `beside` other syncs that it takes. Not `durably`: writes it only. */
  async append(edit: VersionEdit, { durably = true, beside = [] }: { durably?: boolean; beside?: readonly (() => Promise<void>)[] } = {}): Promise<void> {
    if (this.#failure !== undefined) throw new ReadOnlyError('the manifest failed before', { cause: this.#failure })
    try {
      await this.#write((writer) => encodeEdit(edit, writer))
      if (durably) await allDone([this.#file.sync(), ...beside.map((sync) => sync())])
      if (edit.cleanClose === undefined) await this.#seal()
    } catch (error) {
      this.#failure = error
      throw error
    }
  }

  /**
   * Not synced: in a crash it goes with what follows it in its sector. A seal that ends its sector is, or the next edit could
   * outlive it, and a valid frame behind an invalid one is damage.
   */
  async #seal(): Promise<void> {
    const start = this.#end
    await this.#write((writer) => encodeSeal(start, writer))
    if (Math.floor(start / SECTOR) !== Math.floor(this.#end / SECTOR)) await this.#file.sync()
  }

  /** Requires that no call is under way. Idempotent. */
  closeSync(): void {
    this.#file.closeSync()
  }

  async #write(encode: (writer: ByteWriter) => void): Promise<void> {
    const writer = this.#writer
    writer.reset()
    writer.reserve(FRAME_HEADER_LENGTH)
    writer.length = FRAME_HEADER_LENGTH
    encode(writer)
    writeFrameHeader(writer.bytes, 0, writer.length - FRAME_HEADER_LENGTH, this.number, this.#end)
    if (writer.length <= SYNC_WRITE_LIMIT) writeFullySync(this.#file, writer.bytes, 0, writer.length, this.#end)
    else await writeFully(this.#file, writer.bytes, 0, writer.length, this.#end)
    this.#end += writer.length
  }
}
