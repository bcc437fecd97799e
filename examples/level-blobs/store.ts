/**
 * A key-value store over classic-level with its values in a value log: what Titan is to RocksDB. LevelDB's tables hold
 * keys and 12-byte pointers, so compaction no longer copies values.
 *
 * LevelDB has no transactions, so whatever reads and then writes pointers does it under one lock. A write is visible, and survives
 * a crash of the process, when it resolves; it survives loss of power after `flush`.
 */
import { GarbageCollector, WriteFence, readCurrent, type GcReport, type GcRunOptions, type PointerIndex, type PointerMove } from '@wk/gc'
import { ValueLog, decodePointer, encodePointer, samePointer, type ValueLogOptions, type ValuePointer } from '@wk/vlog'
import { ClassicLevel } from 'classic-level'

type Bytes = Uint8Array
type Level = ClassicLevel<Bytes, Bytes>
const pointersIn = (level: Level) => level.sublevel<Bytes, Bytes>('pointers', { keyEncoding: 'view', valueEncoding: 'view' })
type Write = { key: Bytes; pointer: ValuePointer | undefined }
type Change = { type: 'put'; key: Bytes; value: Bytes } | { type: 'del'; key: Bytes }

export class LevelBlobs implements PointerIndex {
  readonly vlog: ValueLog
  readonly #level: Level
  readonly #pointers: ReturnType<typeof pointersIn>
  readonly #fence = new WriteFence()
  readonly #gc: GarbageCollector
  #last: Promise<unknown> = Promise.resolve()
  /** Writes that go out as one batch. */
  #waiting: Write[] = []
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

  put(key: Bytes, value: Bytes): Promise<void> {
    return this.#fence.run(async () => {
      const [pointer] = await this.vlog.append([{ key, value }])
      await this.#set(key, pointer)
    })
  }

  delete(key: Bytes): Promise<void> {
    return this.#fence.run(() => this.#set(key, undefined))
  }

  /** Makes every earlier write durable. Values first: no durable pointer may name bytes that are not. */
  async flush(): Promise<void> {
    await this.settle()
    await this.vlog.sync()
    await this.#syncPointers()
  }

  collect = (options?: GcRunOptions): Promise<GcReport> => this.#gc.run(options)

  async lookup(keys: readonly Bytes[]): Promise<(ValuePointer | undefined)[]> {
    return (await this.#pointers.getMany([...keys])).map(pointerOf)
  }

  compareAndSwap(moves: readonly PointerMove[]): Promise<boolean[]> {
    return this.#locked(async () => {
      const current = await this.lookup(moves.map(({ key }) => key))
      const won = moves.map(({ from }, i) => current[i] !== undefined && samePointer(current[i], from))
      const changes: Change[] = moves.flatMap(({ key, to }, i) => (won[i] ? [{ type: 'put', key, value: encodePointer(to) }] : []))
      await this.vlog.sync()
      await this.#pointers.batch(changes)
      await this.#syncPointers()
      return won
    })
  }

  settle = (): Promise<void> => this.#fence.settle()

  async close(): Promise<void> {
    await this.flush()
    await this.vlog.close()
    await this.#level.close()
  }

  /** Joins the batch that waits for the lock. */
  #set(key: Bytes, pointer: ValuePointer | undefined): Promise<void> {
    this.#waiting.push({ key, pointer })
    return (this.#written ??= this.#locked(async () => {
      const changes = this.#waiting
      this.#waiting = []
      this.#written = undefined
      const before = await this.lookup(changes.map((change) => change.key))
      await this.#pointers.batch(changes.map(changeOf))
      for (const old of before) if (old !== undefined) this.vlog.discard(old)
    }))
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

const changeOf = ({ key, pointer }: Write): Change => (pointer === undefined ? { type: 'del', key } : { type: 'put', key, value: encodePointer(pointer) })
const pointerOf = (bytes: Bytes | undefined): ValuePointer | undefined => bytes && decodePointer(bytes, 0)
