/**
 * The reading half of a history: gets, scans, seeks, and iterators that stay open while the history goes on. What an
 * answer must be is taken from the model in the turn in which the read is called. Writes nothing.
 */
import { collect, Difference, expectEntries, expectValue } from './answers.js'
import type { Database, IteratorHandle, SnapshotHandle } from './database.js'
import { Lender } from './lender.js'
import { bytesOf, inRange, textOf, type KeyText, type Model } from './model.js'
import type { Operation } from './operations.js'

/** Where a read looks: the database, the snapshot it names if any, and the model of that moment. */
export interface ReadView {
  readonly db: Database
  readonly snapshot: SnapshotHandle | undefined
  readonly model: Model
}

type Entry = [Uint8Array, Uint8Array]

/** Iterators of one open database, by their number in the history, and the reads of a history. */
export class HistoryReads {
  readonly #iterators = new Map<number, { handle: IteratorHandle<Entry>; rest: [KeyText, Uint8Array][] }>()
  #turn = 0

  /** Handles of the iterators that are open. */
  get handles(): IteratorHandle<Entry>[] {
    return [...this.#iterators.values()].map(({ handle }) => handle)
  }

  /** Forgets all iterators: the database was closed. */
  forget(): void {
    this.#iterators.clear()
  }

  /** `get`, `getSync` or `has` of one key. */
  async get(operation: Operation & { type: 'get' }, { db, snapshot, model }: ReadView): Promise<void> {
    const expected = model.get(operation.key)
    const options = snapshot === undefined ? {} : { snapshot }
    const lender = this.#lender()
    const key = lender.key(operation.key)
    if (operation.how === 'has') {
      const call = db.has(key, options)
      lender.reclaim()
      const found = await call
      if (found !== (expected !== undefined)) throw new Difference(`has is ${found}`)
      return
    }
    const call = operation.how === 'getSync' ? db.getSync(key, options) : db.get(key, options)
    lender.reclaim()
    expectValue(await call, expected)
  }

  /** `getMany`, with the list of keys emptied after the call. */
  async getMany(operation: Operation & { type: 'getMany' }, { db, snapshot, model }: ReadView): Promise<void> {
    const expected = operation.keys.map((key) => model.get(key))
    const lender = this.#lender()
    const keys = operation.keys.map((key) => lender.key(key))
    const call = db.getMany(keys, snapshot === undefined ? {} : { snapshot })
    lender.reclaim()
    keys.length = 0
    const found = await call
    if (found.length !== expected.length) throw new Difference(`${found.length} answers for ${expected.length} keys`)
    for (const [i, value] of found.entries()) expectValue(value, expected[i])
  }

  /** A whole scan. */
  async scan({ what, range, chunk }: Operation & { type: 'scan' }, { db, snapshot, model }: ReadView): Promise<void> {
    const expected = model.scan(range)
    const lender = this.#lender()
    const options = lender.scan(range, snapshot)
    if (what === 'keys') {
      const iterator = db.keys(options)
      lender.reclaim()
      return expectEntries((await collect(iterator, chunk)).map((key) => [textOf(key), undefined]), expected, what)
    }
    if (what === 'values') {
      const iterator = db.values(options)
      lender.reclaim()
      return expectEntries((await collect(iterator, chunk)).map((value) => [undefined, value]), expected, what)
    }
    const iterator = db.iterator(options)
    lender.reclaim()
    return expectEntries((await collect(iterator, chunk)).map(named), expected, what)
  }

  /** Reads a few entries, seeks, reads to the end. The limit counts entries before and after; outside the range is the end. */
  async seekScan({ range, before, target, chunk }: Operation & { type: 'seekScan' }, { db, snapshot, model }: ReadView): Promise<void> {
    const all = model.scan({ ...range, limit: -1 })
    const limit = range.limit === undefined || range.limit < 0 ? Infinity : range.limit
    const start = all.slice(0, Math.min(before, limit))
    const rest = inRange(target, range) ? all.filter(([key]) => (range.reverse === true ? key <= target : key >= target)) : []
    const lender = this.#lender()
    const iterator = db.iterator(lender.scan(range, snapshot))
    lender.reclaim()
    const found: [KeyText, Uint8Array][] = []
    for (let i = 0; i < start.length; i++) {
      const entry = await iterator.next()
      if (entry !== undefined) found.push(named(entry))
    }
    iterator.seek(lender.key(target))
    lender.reclaim()
    found.push(...(await collect(iterator, chunk)).map(named))
    expectEntries(found, [...start, ...rest.slice(0, limit - start.length)])
  }

  /** Opens an iterator that shows the map of this moment for as long as it lives. */
  openIterator({ id, range }: Operation & { type: 'openIterator' }, { db, snapshot, model }: ReadView): void {
    const lender = this.#lender()
    this.#iterators.set(id, { handle: db.iterator(lender.scan(range, snapshot)), rest: model.scan(range) })
    lender.reclaim()
  }

  /** Reads on in an open iterator. */
  async stepIterator(id: number, count: number): Promise<void> {
    const iterator = this.#iterators.get(id)
    if (iterator === undefined) return
    const expected = iterator.rest.splice(0, count)
    const found: [KeyText, Uint8Array][] = []
    while (found.length < expected.length) {
      const entries = await iterator.handle.nextv(expected.length - found.length)
      if (entries.length === 0) break
      found.push(...entries.map(named))
    }
    expectEntries(found, expected)
    if (iterator.rest.length === 0 && (await iterator.handle.next()) !== undefined) throw new Difference('an entry after the end')
  }

  async closeIterator(id: number): Promise<void> {
    await this.#iterators.get(id)?.handle.close()
    this.#iterators.delete(id)
  }

  /** The whole map, both ways and key by key. */
  async all({ db, model }: ReadView): Promise<void> {
    const expected = model.entries()
    expectEntries((await collect(db.iterator(), 64)).map(named), expected)
    expectEntries((await collect(db.iterator({ reverse: true }), 0)).map(named), model.scan({ reverse: true }))
    for (const [key, value] of expected) expectValue(db.getSync(bytesOf(key)), value)
  }

  #lender(): Lender {
    return new Lender(this.#turn++)
  }
}

function named([key, value]: Entry): [KeyText, Uint8Array] {
  return [textOf(key), value]
}
