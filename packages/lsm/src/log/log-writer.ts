/**
 * One WAL file being written: created exclusively, appended to by one caller at a time, synced.
 *
 * Its name and header are durable before its first frame is written. After the first failure every call fails: what
 * the file holds is not known any more (CR13).
 */
import { ClosedError, FRAME_HEADER_LENGTH, ReadOnlyError, formatFileName, invariant, writeFrameHeader } from '@wk/codec'
import { writeFully, writeFullySync } from '@wk/fs'
import type { File, FileSystem } from '@wk/fs'
import { allDone } from '../all-done.js'
import { LOG_HEADER_LENGTH, WAL_FORMAT, encodeLogHeader, walPrefixLength, writeWalPrefix } from './format.js'
import type { WalFramePrefix } from './format.js'

export class LogWriter {
  readonly number: number
  readonly #file: File
  /** Bytes written. */
  #end = LOG_HEADER_LENGTH
  /** Bytes known to be durable. */
  #synced = LOG_HEADER_LENGTH
  #syncing: Promise<void> | undefined
  #failure: unknown

  private constructor(number: number, file: File) {
    this.number = number
    this.#file = file
  }

  /** Creates `NNNNNN.wal` in `dir`; it is durable, empty of frames, when the promise resolves. */
  static async create(fs: FileSystem, dir: string, number: number): Promise<LogWriter> {
    const file = fs.openSync(`${dir}/${formatFileName('wal', number)}`, 'create')
    try {
      writeFullySync(file, encodeLogHeader(WAL_FORMAT, number), 0, LOG_HEADER_LENGTH, 0)
      await allDone([file.sync(), fs.syncDir(dir)])
    } catch (error) {
      file.closeSync()
      throw error
    }
    return new LogWriter(number, file)
  }

  /** Bytes of the file. */
  get end(): number {
    return this.#end
  }

  /** Bytes of the file that are durable. */
  get syncedEnd(): number {
    return this.#synced
  }

  get isSynced(): boolean {
    return this.#synced === this.#end
  }

  /**
   * Puts header and prefix in front of the operations at `bytes[start..end)` and writes the frame on this thread.
   * Requires {@link FRAME_HEADER_LENGTH} plus the prefix as room before `start`. The frame is with the operating
   * system, not durable, when it returns.
   */
  appendSync(prefix: WalFramePrefix, bytes: Uint8Array, start: number, end: number): void {
    const at = this.#frame(prefix, bytes, start, end)
    try {
      writeFullySync(this.#file, bytes, at, end - at, this.#end)
    } catch (error) {
      this.#failure ??= error
      throw error
    }
    this.#end += end - at
  }

  /** {@link LogWriter.appendSync} through the thread pool. One call at a time; the bytes must not change meanwhile. */
  async append(prefix: WalFramePrefix, bytes: Uint8Array, start: number, end: number): Promise<void> {
    const at = this.#frame(prefix, bytes, start, end)
    try {
      await writeFully(this.#file, bytes, at, end - at, this.#end)
    } catch (error) {
      this.#failure ??= error
      throw error
    }
    this.#end += end - at
  }

  /** Makes durable what was written before the call. */
  async sync(): Promise<void> {
    const target = this.#end
    for (;;) {
      if (this.#synced >= target) return
      this.#check()
      // A sync covers only writes that completed before it began: a later call waits and then begins another.
      this.#syncing ??= this.#startSync()
      await this.#syncing
    }
  }

  /** Closes the file of a log that is not needed any more, because tables hold durably what it says. */
  async retire(): Promise<void> {
    this.#synced = this.#end
    await this.close()
  }

  /** Closes the file without a sync: waiting syncs fail. Idempotent. */
  async close(): Promise<void> {
    this.#failure ??= new ClosedError('the write-ahead log is closed')
    await this.#syncing?.catch(() => undefined)
    await this.#file.close()
  }

  async #startSync(): Promise<void> {
    const upTo = this.#end
    try {
      await this.#file.sync()
      this.#synced = Math.max(this.#synced, upTo)
    } catch (error) {
      this.#failure ??= error
      throw error
    } finally {
      this.#syncing = undefined
    }
  }

  #frame(prefix: WalFramePrefix, bytes: Uint8Array, start: number, end: number): number {
    this.#check()
    const payload = start - walPrefixLength(prefix)
    const at = payload - FRAME_HEADER_LENGTH
    invariant(at >= 0 && end > start, 'room for header and prefix')
    writeWalPrefix(bytes, payload, prefix)
    writeFrameHeader(bytes, at, end - payload, this.number, this.#end)
    return at
  }

  #check(): void {
    if (this.#failure === undefined) return
    throw new ReadOnlyError('the write-ahead log takes no more writes', { cause: this.#failure })
  }
}
