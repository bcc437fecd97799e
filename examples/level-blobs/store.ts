/**
 * A key-value store over classic-level with its values in a value log: what Titan is to RocksDB. LevelDB's tables hold
 * keys and 12-byte pointers, so compaction no longer copies values.
 *
 * LevelDB has no transactions, so whatever reads and then writes pointers does it under one lock; writes that come meanwhile go out
 * together. A write is visible, and survives a crash of the process, when it resolves (until then its bytes are the store's); it
 * survives loss of power after `flush`. One that replaced another may take that along until then.
 */
import { GarbageCollector, readCurrent, type GcReport, type GcRunOptions, type PointerIndex, type PointerMove } from '@wk/gc'
import { ValueLog, decodePointer, encodePointer, samePointer, type ValueLogOptions, type ValuePointer } from '@wk/vlog'
import { ClassicLevel } from 'classic-level'

type Bytes = Uint8Array
type Level = ClassicLevel<Bytes, Bytes>
const pointersIn = (level: Level) => level.sublevel<Bytes, Bytes>('pointers', { keyEncoding: 'view', valueEncoding: 'view' })
type Put = { key: Bytes; value: Bytes }

export class LevelBlobs implements PointerIndex {
  readonly vlog: ValueLog
  readonly #level: Level
  readonly #pointers: ReturnType<typeof pointersIn>
  readonly #gc: GarbageCollector
  /** Ends, always well, when the lock is free. */
  #last: Promise<unknown> = Promise.resolve()
  /** The newest write of each key that waits for the lock, by the key's bytes as a string. */
  #waiting = new Map<string, Put | { key: Bytes; value: undefined }>()
  #written: Promise<void> | undefined

  private constructor(vlog: ValueLog, level: Level) {
    this.vlog = vlog
    this.#level = level
    this.#pointers = pointersIn(level)
    this.#gc = new GarbageCollector({ vlog, index: this })
  }

  static async open(dir: string, options: ValueLogOptions = {}): Promise<LevelBlobs> {
    const vlog = await ValueLog.open(`${dir}/values`, options)
    const level: Level = new ClassicLevel(`${dir}/pointers`, { keyEncoding: 'view', valueEncoding: 'view' })
    await level.open()
    return new LevelBlobs(vlog, level)
  }

  async get(key: Bytes): Promise<Bytes | undefined> {
    // A pass may move the value between the lookup and the read: then it is looked up again.
    const entry = await readCurrent(async () => pointerOf(await this.#pointers.get(key)), (pointer) => this.vlog.read(pointer))
    return entry?.value
  }

  put = (key: Bytes, value: Bytes): Promise<void> => this.#write(key, value)
  delete = (key: Bytes): Promise<void> => this.#write(key, undefined)

  /** Makes every earlier write durable. Values first: no pointer to bytes that are not durable may come between. */
  flush = (): Promise<void> =>
    this.#locked(async () => {
      await this.vlog.sync()
      await this.#syncPointers()
    })

  collect = (options?: GcRunOptions): Promise<GcReport> => this.#gc.run(options)

  async lookup(keys: readonly Bytes[]): Promise<(ValuePointer | undefined)[]> {
    return (await this.#pointers.getMany([...keys])).map(pointerOf)
  }

  compareAndSwap(moves: readonly PointerMove[]): Promise<boolean[]> {
    return this.#locked(async () => {
      const current = await this.lookup(moves.map(({ key }) => key))
      const won = moves.map(({ from }, i) => current[i] !== undefined && samePointer(current[i], from))
      const changes = moves.flatMap(({ key, to }, i) => (won[i] ? [{ type: 'put' as const, key, value: encodePointer(to) }] : []))
      await this.vlog.sync()
      await this.#pointers.batch(changes)
      await this.#syncPointers()
      return won
    })
  }

  settle = async (): Promise<void> => void (await this.#last)

  async close(): Promise<void> {
    const flushed = await Promise.allSettled([this.flush()]) // also after a failure everything is closed
    const closed = await Promise.allSettled([this.vlog.close(), this.#level.close()])
    for (const end of [...flushed, ...closed]) if (end.status === 'rejected') throw end.reason
  }

  #write(key: Bytes, value: Bytes | undefined): Promise<void> {
    this.#waiting.set(Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1'), { key, value } as Put)
    return (this.#written ??= this.#locked(() => this.#writeGroup()))
  }

  async #writeGroup(): Promise<void> {
    const writes = [...this.#waiting.values()]
    this.#waiting = new Map()
    this.#written = undefined
    const puts = writes.filter((write): write is Put => write.value !== undefined)
    const [before, pointers] = await Promise.all([this.lookup(writes.map(({ key }) => key)), this.vlog.append(puts)])
    const batch = this.#pointers.batch()
    for (const { key, value } of writes) if (value === undefined) batch.del(key)
    puts.forEach(({ key }, i) => batch.put(key, encodePointer(pointers[i]!)))
    await batch.write()
    for (const old of before) if (old !== undefined) this.vlog.discard(old)
  }

  /** A synced write takes along everything that LevelDB has logged before; this one lies outside of the pointers. */
  #syncPointers(): Promise<void> {
    return this.#level.del(new Uint8Array(1), { sync: true })
  }

  #locked<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => undefined)
    return result
  }
}

const pointerOf = (bytes: Bytes | undefined): ValuePointer | undefined => bytes && decodePointer(bytes, 0)
