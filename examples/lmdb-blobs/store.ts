/**
 * A key-value store over lmdb with its values in a value log: lmdb's pages hold keys and 12-byte pointers, so that large
 * values are written once and never copied by the B+tree. Two functions make it collectable: `lookup`, `compareAndSwap`.
 *
 * Writes of one turn go out together. A write is visible, and survives a crash of the process, when it resolves (until then its
 * bytes are the store's); it survives loss of power after `flush`. One that replaced another may take that along until then.
 */
import { GarbageCollector, readCurrent, type GcReport, type GcRunOptions, type PointerIndex, type PointerMove } from '@wk/gc'
import { ValueLog, decodePointer, encodePointer, samePointer, type ValueLogOptions, type ValuePointer } from '@wk/vlog'
import { open, type RootDatabase, type RootDatabaseOptionsWithPath, type TransactionFlags } from 'lmdb'

/** Commits at once, without waiting for the device: lmdb's `TransactionFlags` ABORTABLE, SYNCHRONOUS_COMMIT, NO_SYNC_FLUSH. */
const COMMIT: TransactionFlags = 1 | 2 | 0x10000

/** lmdb has `sync`, and does not declare it. */
type Pointers = RootDatabase<Uint8Array, Uint8Array> & { sync(done: (error?: Error) => void): void }
type Put = { key: Uint8Array; value: Uint8Array }

export class LmdbBlobs implements PointerIndex {
  readonly vlog: ValueLog
  readonly #pointers: Pointers
  readonly #gc: GarbageCollector
  /** The newest write of each key that waits for the group before, by the key's bytes as a string. */
  #waiting = new Map<string, Put | { key: Uint8Array; value: undefined }>()
  #written: Promise<void> | undefined
  /** Ends, always well, when every group has. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(vlog: ValueLog, pointers: Pointers) {
    this.vlog = vlog
    this.#pointers = pointers
    this.#gc = new GarbageCollector({ vlog, index: this })
  }

  /** `pages` are lmdb's own options. By default it flushes every transaction in the background, which a put never waits for. */
  static async open(dir: string, options: ValueLogOptions = {}, pages: Partial<RootDatabaseOptionsWithPath> = {}): Promise<LmdbBlobs> {
    const vlog = await ValueLog.open(`${dir}/values`, options)
    return new LmdbBlobs(vlog, open({ ...pages, path: `${dir}/pointers`, encoding: 'binary', keyEncoding: 'binary', cache: false }) as Pointers)
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    // A pass may move the value between the lookup and the read: then it is looked up again.
    const entry = await readCurrent(() => this.#pointer(key), (pointer) => this.vlog.read(pointer))
    return entry?.value
  }

  put = (key: Uint8Array, value: Uint8Array): Promise<void> => this.#write(key, value)
  delete = (key: Uint8Array): Promise<void> => this.#write(key, undefined)

  /** Keys and values in key order. */
  async *entries(range: { start?: Uint8Array; end?: Uint8Array } = {}): AsyncGenerator<[Uint8Array, Uint8Array]> {
    for (const key of this.#pointers.getKeys(range)) {
      const value = await this.get(key)
      if (value !== undefined) yield [key, value]
    }
  }

  /** Makes every earlier write durable. Values first: no pointer to bytes that are not durable may come between. */
  flush = (): Promise<void> =>
    this.#locked(async () => {
      await this.vlog.sync()
      await new Promise<void>((resolve, reject) => this.#pointers.sync((error) => (error ? reject(error) : resolve())))
    })

  collect = (options?: GcRunOptions): Promise<GcReport> => this.#gc.run(options)

  lookup = (keys: readonly Uint8Array[]): (ValuePointer | undefined)[] => keys.map((key) => this.#pointer(key))

  async compareAndSwap(moves: readonly PointerMove[]): Promise<boolean[]> {
    const won = this.#pointers.transactionSync(() => moves.map(({ key, from, to }) => {
      const current = this.#pointer(key)
      if (current === undefined || !samePointer(current, from)) return false
      this.#pointers.putSync(key, encodePointer(to))
      return true
    }), COMMIT)
    await this.flush()
    return won
  }

  settle = async (): Promise<void> => void (await this.#last)

  async close(): Promise<void> {
    const flushed = await Promise.allSettled([this.flush()]) // also after a failure everything is closed
    const closed = await Promise.allSettled([this.vlog.close(), this.#pointers.close()])
    for (const end of [...flushed, ...closed]) if (end.status === 'rejected') throw end.reason
  }

  #pointer(key: Uint8Array): ValuePointer | undefined {
    const bytes = this.#pointers.get(key)
    return bytes === undefined ? undefined : decodePointer(bytes, 0)
  }

  #write(key: Uint8Array, value: Uint8Array | undefined): Promise<void> {
    this.#waiting.set(Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1'), { key, value } as Put)
    return (this.#written ??= this.#locked(() => this.#writeGroup()))
  }

  /** One append, one transaction. */
  async #writeGroup(): Promise<void> {
    const writes = [...this.#waiting.values()]
    this.#waiting = new Map()
    this.#written = undefined
    const puts = writes.filter((write): write is Put => write.value !== undefined)
    const pointers = await this.vlog.append(puts)
    const before = this.#pointers.transactionSync(() => {
      const old = this.lookup(writes.map(({ key }) => key))
      for (const { key, value } of writes) if (value === undefined) this.#pointers.removeSync(key)
      puts.forEach(({ key }, i) => this.#pointers.putSync(key, encodePointer(pointers[i]!)))
      return old
    }, COMMIT)
    for (const old of before) if (old !== undefined) this.vlog.discard(old)
  }

  #locked<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }
}
