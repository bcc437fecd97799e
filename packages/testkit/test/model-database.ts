/**
 * A database over the model itself, with switchable faults: proves that the runner notices each of them.
 */
import { ClosedError, NoRewriteError } from '@wk/codec'
import { bytesOf, Model, textOf, type BatchEntry, type Bytes, type Database, type IteratorHandle, type KeyText, type ModelRange, type ReadOptions, type ScanOptions, type SnapshotHandle } from '../src/index.js'

export type Fault = 'keeps buffers' | 'shares values' | 'loses a delete' | 'limit off by one' | 'snapshot moves' | 'reverse unsorted' | 'partial batch' | 'gc resurrects' | 'late read' | 'seek exclusive' | 'open after close'

const toText = (bytes: Bytes): KeyText => (typeof bytes === 'string' ? bytes : textOf(bytes))
const toRange = (scan: ScanOptions): ModelRange => {
  const range: { -readonly [name in keyof ModelRange]: ModelRange[name] } = {}
  for (const bound of ['gt', 'gte', 'lt', 'lte'] as const) if (scan[bound] !== undefined) range[bound] = toText(scan[bound])
  if (scan.reverse !== undefined) range.reverse = scan.reverse
  if (scan.limit !== undefined) range.limit = scan.limit
  return range
}

class ModelSnapshot implements SnapshotHandle {
  readonly model: Model
  constructor(model: Model) {
    this.model = model
  }
  close(): void {}
}

class ModelIterator<T> implements IteratorHandle<T> {
  readonly #items: [KeyText, () => T][]
  readonly #range: ModelRange
  readonly #isClosed: () => boolean
  readonly #exclusive: boolean
  #at = 0
  #count = 0
  constructor(items: [KeyText, () => T][], range: ModelRange, isClosed: () => boolean, exclusive: boolean) {
    this.#items = items
    this.#range = range
    this.#isClosed = isClosed
    this.#exclusive = exclusive
  }
  async next(): Promise<T | undefined> {
    if (this.#isClosed()) throw new ClosedError('closed')
    const limit = this.#range.limit ?? -1
    if (limit >= 0 && this.#count >= limit) return undefined
    this.#count++
    return this.#items[this.#at++]?.[1]()
  }
  async nextv(size: number): Promise<T[]> {
    const out: T[] = []
    while (out.length < size) {
      const item = await this.next()
      if (item === undefined) break
      out.push(item)
    }
    return out
  }
  seek(target: Bytes): void {
    const key = toText(target)
    const { gte, gt, lte, lt } = this.#range
    const outside = (gte !== undefined ? key < gte : gt !== undefined && key <= gt) || (lte !== undefined ? key > lte : lt !== undefined && key >= lt)
    const at = this.#items.findIndex(([other]) => (this.#exclusive && other === key ? false : this.#range.reverse === true ? other <= key : other >= key))
    this.#at = outside || at < 0 ? this.#items.length : at
  }
  async close(): Promise<void> {}
  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (let item = await this.next(); item !== undefined; item = await this.next()) yield item
  }
}

/** Survives `close` as a directory would. */
export class ModelStore {
  readonly model = new Model()
  readonly fault: Fault | undefined
  constructor(fault?: Fault) {
    this.fault = fault
  }
  open = async (): Promise<Database> => new ModelDatabase(this.model, this.fault)
}

class ModelDatabase implements Database {
  readonly #model: Model
  readonly #fault: Fault | undefined
  #deleted: [KeyText, Uint8Array] | undefined
  #closed = false
  constructor(model: Model, fault: Fault | undefined) {
    this.#model = model
    this.#fault = fault
  }
  async put(key: Bytes, value: Bytes): Promise<void> {
    this.#put(key, value)
  }
  async del(key: Bytes): Promise<void> {
    this.#del(key)
  }
  #put(key: Bytes, value: Bytes): void {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    this.#model.apply({ key: toText(key), value: this.#fault === 'keeps buffers' ? bytes : Uint8Array.from(bytes) })
  }
  #del(key: Bytes): void {
    const text = toText(key)
    const old = this.#model.get(text)
    if (old !== undefined) this.#deleted = [text, old]
    if (this.#fault !== 'loses a delete') this.#model.apply({ key: text, value: undefined })
  }
  async batch(entries: BatchEntry[]): Promise<void> {
    const taken = this.#fault === 'partial batch' ? entries.slice(0, 5) : entries
    for (const entry of taken) {
      if (entry.type === 'put') this.#put(entry.key, entry.value)
      else this.#del(entry.key)
    }
  }
  async clear(range: ScanOptions = {}): Promise<void> {
    for (const key of this.#model.keysIn(toRange(range))) this.#model.apply({ key, value: undefined })
  }
  async get(key: Bytes, options: ReadOptions = {}): Promise<Uint8Array | undefined> {
    if (this.#closed) throw new ClosedError('closed')
    if (this.#fault === 'late read') {
      const kept = typeof key === 'string' ? key : key.slice()
      await Promise.resolve()
      await new Promise((resolve) => setImmediate(resolve))
      return this.getSync(kept, options)
    }
    return this.getSync(key, options)
  }
  getSync(key: Bytes, options: ReadOptions = {}): Uint8Array | undefined {
    const value = this.#view(options).get(toText(key))
    return value === undefined || this.#fault === 'shares values' ? value : Uint8Array.from(value)
  }
  async getMany(keys: Bytes[], options: ReadOptions = {}): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.getSync(key, options))
  }
  async has(key: Bytes, options: ReadOptions = {}): Promise<boolean> {
    return this.#view(options).has(toText(key))
  }
  iterator(options: ScanOptions = {}): IteratorHandle<[Uint8Array, Uint8Array]> {
    return this.#iterate(options, (key, value) => [bytesOf(key), Uint8Array.from(value)])
  }
  keys(options: ScanOptions = {}): IteratorHandle<Uint8Array> {
    return this.#iterate(options, (key) => bytesOf(key))
  }
  values(options: ScanOptions = {}): IteratorHandle<Uint8Array> {
    return this.#iterate(options, (_, value) => Uint8Array.from(value))
  }
  snapshot(): SnapshotHandle {
    return new ModelSnapshot(this.#fault === 'snapshot moves' ? this.#model : this.#model.snapshot())
  }
  async flush(): Promise<void> {}
  async compact(): Promise<void> {}
  async sync(): Promise<void> {}
  async runValueLogGC(): Promise<void> {
    if (this.#fault === 'gc resurrects' && this.#deleted !== undefined && !this.#model.has(this.#deleted[0])) {
      this.#model.apply({ key: this.#deleted[0], value: this.#deleted[1] })
    }
    throw new NoRewriteError('nothing')
  }
  async verify(): Promise<{ ok: boolean; problems: [] }> {
    return { ok: true, problems: [] }
  }
  async close(): Promise<void> {
    this.#closed = this.#fault !== 'open after close'
  }
  #view(options: ReadOptions): Model {
    if (this.#closed) throw new ClosedError('closed')
    return options.snapshot instanceof ModelSnapshot ? options.snapshot.model : this.#model
  }
  #iterate<T>(options: ScanOptions, map: (key: KeyText, value: Uint8Array) => T): ModelIterator<T> {
    const range = toRange(options)
    const wanted = this.#fault === 'reverse unsorted' ? { ...range, reverse: false } : range
    const items = this.#view(options).scan({ ...wanted, limit: -1 }).map(([key, value]): [KeyText, () => T] => [key, () => map(key, value)])
    const limited = this.#fault === 'limit off by one' && range.limit !== undefined && range.limit > 0 ? { ...range, limit: range.limit + 1 } : range
    return new ModelIterator(items, limited, () => this.#closed, this.#fault === 'seek exclusive')
  }
}
