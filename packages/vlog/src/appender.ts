/**
 * The public write path over the writer: checks arguments, stages a whole call, waits for the operating system and, where
 * asked, for the device. Calls may overlap; they are written in call order, those of one turn of the event loop in one write.
 */
import { InvalidArgumentError, bytesOf, checkFlag, checkOptions, type ValuePointer } from '@wk/codec'
import { UnderWay } from '@wk/fs'
import type { LoopGuard, Runtime } from '@wk/fs'
import { checkArray } from './arguments.js'
import { MAX_RECORD_HEADER_LENGTH, MAX_USER_KEY_LENGTH, MAX_VALUE_LENGTH, META_LZ4, META_MASK, RECORD_CRC_LENGTH, VERSION_LENGTH } from './format.js'
import { compressValue, uncompressedLength } from './lz4.js'
import { DIRECT_FROM, DIRECT_WRITE_LIMIT, SYNC_WRITE_LIMIT, type VlogWriter } from './vlog-writer.js'

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
  /**
   * What a collection moves: goes to files of its own, apart from all that is appended without. For a host with durable marks there is one sequence
   * of files, whatever this says. Default false.
   */
  survivors?: boolean | undefined
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

/** Appends of one turn, on their way to one write. */
class Group {
  readonly written: Promise<void>
  resolve!: () => void
  reject!: (error: unknown) => void

  constructor() {
    this.written = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
  }
}

export class Appender {
  readonly #writer: VlogWriter
  readonly #runtime: Runtime
  readonly #guard: LoopGuard
  readonly #compress: boolean
  readonly #sync: boolean
  readonly #onSync: () => void
  /** Takes the next append; undefined = none waits. */
  #group: Group | undefined
  #isWriting = false
  readonly #underWay = new UnderWay()

  /** `compress`: values are compressed where it pays. `sync`: the default of {@link AppendOptions.sync}. `onSync` is told when one has reached the device. */
  constructor(writer: VlogWriter, runtime: Runtime, guard: LoopGuard, { compress, sync }: { compress: boolean; sync: boolean }, onSync: () => void) {
    this.#writer = writer
    this.#runtime = runtime
    this.#guard = guard
    this.#compress = compress
    this.#sync = sync
    this.#onSync = onSync
  }

  /** Stages all entries in this turn. @throws InvalidArgumentError before anything is staged */
  append(entries: readonly AppendEntry[], options: AppendOptions): Promise<ValuePointer[]> {
    const sync = checkFlag('sync', checkOptions(options).sync, this.#sync)
    const stored = checkFlag('stored', options.stored, false)
    const writer = this.#writer
    writer.checkWritable()
    checkArray('entries', entries)
    const isCompressing = this.#compress && !stored
    const checked = new Array<CheckedEntry>(entries.length)
    let short = 0
    let long = 0
    for (let i = 0; i < checked.length; i++) {
      const entry = checkEntry(entries[i]!, stored)
      if (isCompressing) compressEntry(entry)
      checked[i] = entry
      const most = entry.key.length + entry.value.length + MAX_RECORD_OVERHEAD
      if (entry.value.length < DIRECT_FROM) short += most
      else long += most
    }
    if (this.#group !== undefined && long > 0) this.#write(this.#group)
    // Long values are written at once, if they can be; all else is staged for a write that it shares.
    const isDirect = writer.beginGroup(short, long) && long > 0
    const isShort = short + long <= DIRECT_WRITE_LIMIT
    const pointers = new Array<ValuePointer>(checked.length)
    for (let i = 0; i < checked.length; i++) {
      const { key, version, meta, userMeta, expiresAt, value } = checked[i]!
      const pointer = { fid: 0, offset: 0, len: 0 }
      // A chunk that is full goes out while the processor still has it in its cache.
      if (isShort && writer.stagedBytes + key.length + value.length + MAX_RECORD_OVERHEAD > SYNC_WRITE_LIMIT) writer.writeStagedSync()
      if (isDirect) writer.putSync(key, version, meta, userMeta, expiresAt, value, pointer)
      else writer.stageStored(key, version, meta, userMeta, expiresAt, value, pointer)
      pointers[i] = pointer
    }
    writer.endGroup()
    if (isDirect) writer.flushSync()
    const written = isDirect ? undefined : this.#join()
    if (sync) return this.#underWay.add(this.#settle(pointers, written))
    if (written !== undefined) return written.then(() => pointers)
    const turn = this.#guard.due()
    return turn === undefined ? Promise.resolve(pointers) : this.#underWay.add(turn.then(() => pointers))
  }

  /** Resolves when every append called before has settled, however it did. */
  async settled(): Promise<void> {
    await this.#underWay.settled()
  }

  async #settle(pointers: ValuePointer[], written: Promise<void> | undefined): Promise<ValuePointer[]> {
    await written
    await this.#writer.sync()
    this.#onSync()
    return pointers
  }

  /** Resolves when what was staged is with the operating system: together with the rest of this turn. */
  #join(): Promise<void> {
    let group = this.#group
    if (group === undefined) {
      const begun = (this.#group = group = new Group())
      void this.#underWay.add(begun.written)
      this.#runtime.microtask(() => this.#write(begun))
    }
    return group.written
  }

  /**
   * Begins the write of a group, which takes no more, unless another one is under way: then it goes on to collect until that
   * has ended.
   */
  #write(group: Group): void {
    if (this.#group !== group || this.#isWriting) return
    this.#group = undefined
    try {
      if (this.#writer.writeStagedSync()) {
        const turn = this.#guard.due()
        if (turn === undefined) group.resolve()
        else void turn.then(group.resolve)
      } else void this.#writeAside(group)
    } catch (error) {
      group.reject(error)
    }
  }

  async #writeAside(group: Group): Promise<void> {
    this.#isWriting = true
    try {
      await this.#writer.writeStaged()
      group.resolve()
    } catch (error) {
      group.reject(error)
    } finally {
      this.#isWriting = false
      if (this.#group !== undefined) this.#write(this.#group)
    }
  }
}

function compressEntry(entry: CheckedEntry): void {
  const compressed = compressValue(entry.value)
  if (compressed === undefined) return
  entry.value = compressed
  entry.meta |= META_LZ4
}

function checkEntry(entry: AppendEntry, stored: boolean): CheckedEntry {
  if (typeof entry !== 'object' || entry === null) throw new InvalidArgumentError('an entry must be an object')
  const { version = 0, userMeta = 0, expiresAt = 0, meta = 0 } = entry
  const key = bytesOf(entry.key, 'key')
  const value = bytesOf(entry.value, 'value')
  if (key.length > MAX_USER_KEY_LENGTH) throw new InvalidArgumentError(`a key of ${key.length} bytes, over ${MAX_USER_KEY_LENGTH}`)
  if (value.length > MAX_VALUE_LENGTH) throw new InvalidArgumentError(`a value of ${value.length} bytes, over ${MAX_VALUE_LENGTH}`)
  checkInteger('version', version, Number.MAX_SAFE_INTEGER)
  checkInteger('expiresAt', expiresAt, Number.MAX_SAFE_INTEGER)
  checkInteger('userMeta', userMeta, 0xff)
  checkInteger('meta', meta, 0xff)
  if ((meta & ~(stored ? META_MASK | META_LZ4 : META_MASK)) !== 0) throw new InvalidArgumentError('meta has bits that are not for writers')
  if ((meta & META_LZ4) !== 0 && uncompressedLength(value) === -1) throw new InvalidArgumentError('meta says that the value is compressed, and it is not')
  return { key, value, version, userMeta, expiresAt, meta }
}

function checkInteger(name: string, value: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return
  throw new InvalidArgumentError(`${name} must be an integer from 0 to ${max}`)
}
