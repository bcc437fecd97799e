/**
 * The public write path over the writer: checks arguments, stages a whole call as one group, waits for the operating
 * system and, where asked, for the device. Calls may overlap; they are written in call order.
 */
import { InvalidArgumentError, type ValuePointer } from '@wk/codec'
import { MAX_RECORD_HEADER_LENGTH, MAX_USER_KEY_LENGTH, MAX_VALUE_LENGTH, META_LZ4, META_MASK, RECORD_CRC_LENGTH, VERSION_LENGTH } from './format.js'
import { compressValue, uncompressedLength } from './lz4.js'
import { DIRECT_FROM, type VlogWriter } from './vlog-writer.js'

/** A record to append. Its bytes may be reused as soon as `append` has returned its promise: by then they are copied or written. */
export interface AppendEntry {
  /** At most 65,000 bytes; a string is stored as UTF-8. */
  key: string | Uint8Array
  /** At most 1 GiB; a string is stored as UTF-8. */
  value: string | Uint8Array
  /** Stored behind the key, as Badger does. A safe integer that is not negative. Default 0. */
  version?: number | undefined
  /** 0..255. Default 0. */
  userMeta?: number | undefined
  /** Unix seconds, 0 = never. Default 0. */
  expiresAt?: number | undefined
  /**
   * Badger's meta bits 0x01 to 0x08. Default 0. With the option `stored` also `META_LZ4` (0x10): `value` is compressed.
   */
  meta?: number | undefined
}

/** How `append` writes a group. */
export interface AppendOptions {
  /** Resolve only when the records are on the device. Default: the log's option `sync`. */
  sync?: boolean | undefined
  /**
   * Values are in their stored form, as `iterate(fid, { stored: true })` hands them out: they are written as they are,
   * whatever `valueCompression` says. This is how garbage collection moves records. Default false.
   */
  stored?: boolean | undefined
}

interface CheckedEntry {
  key: Uint8Array
  value: Uint8Array
  version: number
  userMeta: number
  expiresAt: number
  meta: number
}

/** Most bytes that a record adds to key and value. */
const MAX_RECORD_OVERHEAD = MAX_RECORD_HEADER_LENGTH + VERSION_LENGTH + RECORD_CRC_LENGTH

export class Appender {
  readonly #writer: VlogWriter
  readonly #compress: boolean
  readonly #pending = new Set<Promise<unknown>>()

  /** With `compress` values are compressed where it pays. */
  constructor(writer: VlogWriter, compress: boolean) {
    this.#writer = writer
    this.#compress = compress
  }

  /** Stages all entries in this turn. @throws InvalidArgumentError before anything is staged */
  append(entries: readonly AppendEntry[], sync: boolean, stored = false): Promise<ValuePointer[]> {
    this.#writer.checkWritable()
    const writer = this.#writer
    const isCompressing = this.#compress && !stored
    const checked = new Array<CheckedEntry>(entries.length)
    for (let i = 0; i < checked.length; i++) {
      const entry = checkEntry(entries[i]!, stored)
      if (isCompressing) compressEntry(entry)
      checked[i] = entry
    }
    let short = 0
    let long = 0
    for (const { key, value } of checked) {
      const most = key.length + value.length + MAX_RECORD_OVERHEAD
      if (value.length < DIRECT_FROM) short += most
      else long += most
    }
    // Written at once, or staged as a whole for a write that takes time.
    const isSync = writer.beginGroup(short, long)
    const pointers = new Array<ValuePointer>(checked.length)
    for (let i = 0; i < checked.length; i++) {
      const { key, version, meta, userMeta, expiresAt, value } = checked[i]!
      const pointer = { fid: 0, offset: 0, len: 0 }
      if (isSync) writer.putSync(key, version, meta, userMeta, expiresAt, value, pointer)
      else writer.stageStored(key, version, meta, userMeta, expiresAt, value, pointer)
      pointers[i] = pointer
    }
    writer.endGroup()
    if (isSync) writer.flushSync()
    const isWritten = isSync || writer.writeStagedSync()
    if (isWritten && !sync) return Promise.resolve(pointers)
    return this.#track(this.#settle(pointers, isWritten, sync))
  }

  /** Resolves when every append called before has settled, however it did. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#pending])
  }

  async #settle(pointers: ValuePointer[], isWritten: boolean, sync: boolean): Promise<ValuePointer[]> {
    if (!isWritten) await this.#writer.writeStaged()
    if (sync) await this.#writer.sync()
    return pointers
  }

  #track<T>(promise: Promise<T>): Promise<T> {
    this.#pending.add(promise)
    const remove = (): void => {
      this.#pending.delete(promise)
    }
    promise.then(remove, remove)
    return promise
  }
}

function compressEntry(entry: CheckedEntry): void {
  const compressed = compressValue(entry.value)
  if (compressed === undefined) return
  entry.value = compressed
  entry.meta |= META_LZ4
}

function checkEntry(entry: AppendEntry, stored: boolean): CheckedEntry {
  const { version = 0, userMeta = 0, expiresAt = 0, meta = 0 } = entry
  const key = bytesOf('key', entry.key)
  const value = bytesOf('value', entry.value)
  if (key.length > MAX_USER_KEY_LENGTH) throw new InvalidArgumentError(`a key of ${key.length} bytes, over ${MAX_USER_KEY_LENGTH}`)
  if (value.length > MAX_VALUE_LENGTH) throw new InvalidArgumentError(`a value of ${value.length} bytes, over ${MAX_VALUE_LENGTH}`)
  checkInteger('version', version, Number.MAX_SAFE_INTEGER)
  checkInteger('expiresAt', expiresAt, Number.MAX_SAFE_INTEGER)
  checkInteger('userMeta', userMeta, 0xff)
  if (!Number.isInteger(meta) || (meta & ~(stored ? META_MASK | META_LZ4 : META_MASK)) !== 0) throw new InvalidArgumentError('meta has bits that are not for writers')
  if ((meta & META_LZ4) !== 0 && uncompressedLength(value) === -1) throw new InvalidArgumentError('meta says that the value is compressed, and it is not')
  return { key, value, version, userMeta, expiresAt, meta }
}

function bytesOf(name: string, value: unknown): Uint8Array {
  if (typeof value === 'string') return Buffer.from(value)
  if (value instanceof Uint8Array) return value
  throw new InvalidArgumentError(`${name} must be a string or a Uint8Array`)
}

function checkInteger(name: string, value: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return
  throw new InvalidArgumentError(`${name} must be an integer from 0 to ${max}`)
}
