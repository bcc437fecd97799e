/**
 * The public write path over the writer: checks arguments, stages a whole call as one group, waits for the operating
 * system and, where asked, for the device. Calls may overlap; they are written in call order.
 */
import { InvalidArgumentError, type ValuePointer } from '@wk/codec'
import { MAX_USER_KEY_LENGTH, MAX_VALUE_LENGTH, META_MASK } from './format.js'
import type { VlogWriter } from './vlog-writer.js'

/** A record to append. Bytes are copied before `append` returns its promise. */
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
  /** Badger's meta bits 0x01 to 0x08. Default 0. */
  meta?: number | undefined
}

export interface AppendOptions {
  /** Resolve only when the records are on the device. Default: the log's option `sync`. */
  sync?: boolean | undefined
}

interface CheckedEntry {
  key: Uint8Array
  value: Uint8Array
  version: number
  userMeta: number
  expiresAt: number
  meta: number
}

export class Appender {
  readonly #writer: VlogWriter
  readonly #pending = new Set<Promise<unknown>>()

  constructor(writer: VlogWriter) {
    this.#writer = writer
  }

  /** Stages all entries in this turn. @throws InvalidArgumentError before anything is staged */
  append(entries: readonly AppendEntry[], sync: boolean): Promise<ValuePointer[]> {
    this.#writer.checkWritable()
    const checked = entries.map(checkEntry)
    const pointers = checked.map(({ key, version, meta, userMeta, expiresAt, value }) => {
      const pointer = { fid: 0, offset: 0, len: 0 }
      this.#writer.stage(key, version, meta, userMeta, expiresAt, value, pointer)
      return pointer
    })
    this.#writer.endGroup()
    const isWritten = this.#writer.writeStagedSync()
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

function checkEntry(entry: AppendEntry): CheckedEntry {
  const { version = 0, userMeta = 0, expiresAt = 0, meta = 0 } = entry
  const key = bytesOf('key', entry.key)
  const value = bytesOf('value', entry.value)
  if (key.length > MAX_USER_KEY_LENGTH) throw new InvalidArgumentError(`a key of ${key.length} bytes, over ${MAX_USER_KEY_LENGTH}`)
  if (value.length > MAX_VALUE_LENGTH) throw new InvalidArgumentError(`a value of ${value.length} bytes, over ${MAX_VALUE_LENGTH}`)
  checkInteger('version', version, Number.MAX_SAFE_INTEGER)
  checkInteger('expiresAt', expiresAt, Number.MAX_SAFE_INTEGER)
  checkInteger('userMeta', userMeta, 0xff)
  if (!Number.isInteger(meta) || (meta & ~META_MASK) !== 0) throw new InvalidArgumentError('meta has bits that are not for writers')
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
