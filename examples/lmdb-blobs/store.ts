/**
 * A key-value store over lmdb with its values in a value log: lmdb's pages hold keys and 12-byte pointers, so that large
 * values are written once and never copied by the B+tree. Two functions make it collectable: `lookup`, `compareAndSwap`.
 *
 * A write is visible, and survives a crash of the process, when it resolves; it survives loss of power after `flush`,
 * which makes the values durable before the pointers that name them.
 */
import { GarbageCollector, WriteFence, readCurrent, type GcReport, type GcRunOptions, type PointerIndex, type PointerMove } from '@wk/gc'
import { ValueLog, decodePointer, encodePointer, samePointer, type ValueLogOptions, type ValuePointer } from '@wk/vlog'
import { open, type RootDatabase, type RootDatabaseOptionsWithPath, type TransactionFlags } from 'lmdb'

/** Commits at once, without waiting for the device: lmdb's `TransactionFlags` ABORTABLE, SYNCHRONOUS_COMMIT, NO_SYNC_FLUSH. */
const COMMIT: TransactionFlags = 1 | 2 | 0x10000

type Pointers = RootDatabase<Uint8Array, Uint8Array>

export class LmdbBlobs implements PointerIndex {
  readonly vlog: ValueLog
  readonly #pointers: Pointers
  readonly #fence = new WriteFence()
  readonly #gc: GarbageCollector

  private constructor(vlog: ValueLog, pointers: Pointers) {
    this.vlog = vlog
    this.#pointers = pointers
    this.#gc = new GarbageCollector({ vlog, index: this })
  }

  /** `pages` are lmdb's own options. By default it flushes every transaction in the background, which a put never waits for. */
  static async open(dir: string, options: ValueLogOptions = {}, pages: Partial<RootDatabaseOptionsWithPath> = {}): Promise<LmdbBlobs> {
    const vlog = await ValueLog.open(`${dir}/values`, options)
    return new LmdbBlobs(vlog, open({ ...pages, path: `${dir}/pointers`, encoding: 'binary', keyEncoding: 'binary', cache: false }))
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    // A pass may move the value between the lookup and the read: then it is looked up again.
    const entry = await readCurrent(() => this.#pointer(key), (pointer) => this.vlog.read(pointer))
    return entry?.value
  }

  put(key: Uint8Array, value: Uint8Array): Promise<void> {
    return this.#fence.run(async () => {
      const [pointer] = await this.vlog.append([{ key, value }])
      this.#set(key, pointer)
    })
  }

  async delete(key: Uint8Array): Promise<void> {
    this.#set(key, undefined)
  }

  /** Keys and values in key order. */
  async *entries(range: { start?: Uint8Array; end?: Uint8Array } = {}): AsyncGenerator<[Uint8Array, Uint8Array]> {
    for (const key of this.#pointers.getKeys(range)) {
      const value = await this.get(key)
      if (value !== undefined) yield [key, value]
    }
  }

  /** Makes every earlier write durable. Values first: no durable pointer may name bytes that are not. */
  async flush(): Promise<void> {
    await this.vlog.sync()
    // lmdb has this function, and does not declare it.
    const pages = this.#pointers as Pointers & { sync(done: (error?: Error) => void): void }
    await new Promise<void>((resolve, reject) => pages.sync((error) => (error ? reject(error) : resolve())))
  }

  collect(options?: GcRunOptions): Promise<GcReport> {
    return this.#gc.run(options)
  }

  lookup(keys: readonly Uint8Array[]): (ValuePointer | undefined)[] {
    return keys.map((key) => this.#pointer(key))
  }

  async compareAndSwap(moves: readonly PointerMove[]): Promise<boolean[]> {
    const won = this.#pointers.transactionSync(
      () => moves.map(({ key, from, to }) => {
        const current = this.#pointer(key)
        if (current === undefined || !samePointer(current, from)) return false
        this.#pointers.putSync(key, encodePointer(to))
        return true
      }),
      COMMIT,
    )
    await this.flush()
    return won
  }

  settle(): Promise<void> {
    return this.#fence.settle()
  }

  async close(): Promise<void> {
    await this.settle()
    await this.flush()
    await this.vlog.close()
    await this.#pointers.close()
  }

  #pointer(key: Uint8Array): ValuePointer | undefined {
    const bytes = this.#pointers.get(key)
    return bytes === undefined ? undefined : decodePointer(bytes, 0)
  }

  #set(key: Uint8Array, pointer: ValuePointer | undefined): void {
    const old = this.#pointers.transactionSync(() => {
      const before = this.#pointer(key)
      if (pointer !== undefined) this.#pointers.putSync(key, encodePointer(pointer))
      else if (before !== undefined) this.#pointers.removeSync(key)
      return before
    }, COMMIT)
    if (old !== undefined) this.vlog.discard(old)
  }
}
