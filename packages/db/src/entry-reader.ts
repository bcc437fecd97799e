/**
 * From a key to its entry: the lookup in the tree, then the value, from the payload or from the value log.
 *
 * A returned value is always the caller's own copy. A value that does not verify is a `CorruptionError`, never an empty
 * value. Expired entries are not there.
 */
import {
  KIND_POINTER,
  KIND_TOMBSTONE,
  ResultMemory,
  baseKind,
  copyBytes,
  invariant,
  newLookupResult,
  readPayload,
  readPointerFid,
  readPointerLen,
  readPointerOffset,
} from '@wk/codec'
import type { PayloadView, ValuePointer } from '@wk/codec'
import { TimeSlice, UnderWay } from '@wk/fs'
import type { Runtime } from '@wk/fs'
import type { LsmTree, ReadView } from '@wk/lsm'
import { ValueBatch } from '@wk/vlog'
import type { BatchReading, ValueLog } from '@wk/vlog'
import type { WalkedCursor } from './iterator.js'

/** An entry with everything the database knows of it. */
export interface Entry {
  key: Uint8Array
  value: Uint8Array
  /** Number of the write that made it; grows with every write of the database. */
  version: number
  /** Unix seconds, 0 = never. */
  expiresAt: number
  userMeta: number
}

/** A value that is still in the value log. */
export interface StoredValue {
  pointer: ValuePointer
  key: Uint8Array
  version: number
}

/** Keys looked up between two questions for the time. */
const STEPS = 64

export class EntryReader {
  readonly #tree: LsmTree
  readonly #vlog: ValueLog | undefined
  readonly #runtime: Runtime
  readonly #found = newLookupResult()
  readonly #payload: PayloadView = { userMeta: 0, expiresAt: 0, valueStart: 0, valueEnd: 0 }
  readonly #memory = new ResultMemory()
  /** Calls that take more than one turn. */
  readonly calls = new UnderWay()

  constructor(tree: LsmTree, vlog: ValueLog | undefined, runtime: Runtime) {
    this.#tree = tree
    this.#vlog = vlog
    this.#runtime = runtime
  }

  /** Whether a live entry of `key` is visible at `sequence`. Never touches the value log. */
  has(key: Uint8Array, sequence: number): boolean {
    return this.#locate(key, sequence)
  }

  /** The value, read on the calling thread. */
  getSync(key: Uint8Array, sequence: number): Uint8Array | undefined {
    if (!this.#locate(key, sequence)) return undefined
    const { kind, valueBytes, valueStart } = this.#found
    if (baseKind(kind) !== KIND_POINTER) return this.#inlineValue()
    return this.#log().readValueSync(
      readPointerFid(valueBytes, valueStart),
      readPointerOffset(valueBytes, valueStart),
      readPointerLen(valueBytes, valueStart),
      key,
      this.#found.sequence,
    )
  }

  /** The value, or a promise of it when it is large and has to be read through the thread pool. */
  get(key: Uint8Array, sequence: number): Uint8Array | undefined | Promise<Uint8Array> {
    if (!this.#locate(key, sequence)) return undefined
    const { kind, valueBytes, valueStart } = this.#found
    if (baseKind(kind) !== KIND_POINTER) return this.#inlineValue()
    const fid = readPointerFid(valueBytes, valueStart)
    const offset = readPointerOffset(valueBytes, valueStart)
    const len = readPointerLen(valueBytes, valueStart)
    const log = this.#log()
    if (log.readsAtOnce(len)) return log.readValueSync(fid, offset, len, key, this.#found.sequence)
    return this.calls.add(log.readValue(fid, offset, len, copyBytes(key), this.#found.sequence))
  }

  /**
   * The values of `keys`, in their order, or a promise of them. What takes longer than a time slice goes on in further ones, in the view of
   * the call.
   */
  getMany(keys: readonly Uint8Array[], sequence: number): (Uint8Array | undefined)[] | Promise<(Uint8Array | undefined)[]> {
    const slice = keys.length > STEPS ? new TimeSlice(this.#runtime) : undefined
    const batch = new ValueBatch()
    const { values } = batch
    this.#lookUp(keys, 0, sequence, batch, slice)
    const reading = this.beginBatch(batch)?.finish()
    if (slice === undefined || values.length === keys.length) return reading === undefined ? values : this.calls.add(reading.then(() => values))
    return this.calls.add(this.#getRest(keys, sequence, values, reading, slice))
  }

  async #getRest(
    keys: readonly Uint8Array[],
    sequence: number,
    values: (Uint8Array | undefined)[],
    reading: Promise<void> | undefined,
    slice: TimeSlice,
  ): Promise<(Uint8Array | undefined)[]> {
    const view = this.#tree.acquireView()
    try {
      // The caller may reuse their bytes.
      const rest = keys.slice(values.length).map((key) => copyBytes(key))
      await reading
      for (let from = 0; from < rest.length; ) {
        await slice.pause()
        const batch = new ValueBatch()
        this.#lookUp(rest, from, sequence, batch, slice, view)
        await this.beginBatch(batch)?.finish()
        for (const value of batch.values) values.push(value)
        from += batch.values.length
      }
      return values
    } finally {
      view.release()
    }
  }

  /** Looks keys up, those from `from` on, and puts what it finds into a batch, until that is all or the slice is over. */
  #lookUp(keys: readonly Uint8Array[], from: number, sequence: number, batch: ValueBatch, slice: TimeSlice | undefined, view?: ReadView): void {
    const { values } = batch
    for (let at = from; at < keys.length; at++) {
      const slot = at - from
      if (slot > 0 && slot % STEPS === 0 && slice?.due() === true) return
      const key = keys[at] as Uint8Array
      values.push(undefined)
      if (!this.#locate(key, sequence, view)) continue
      const { kind, valueBytes, valueStart } = this.#found
      if (baseKind(kind) !== KIND_POINTER) values[slot] = this.#inlineValue()
      // The caller may reuse the key's bytes while the value is being read.
      else addPointer(batch, slot, valueBytes, valueStart, copyBytes(key), this.#found.sequence)
    }
  }

  /**
   * Puts the value of the cursor's entry into a batch: at once if it lies in the tree, else to be read with the batch.
   * Returns its bytes, as far as they are known. `key` is a copy of the entry's key.
   */
  collect(cursor: WalkedCursor, key: Uint8Array, batch: ValueBatch, slot: number): number {
    const { kind, valueBytes, valueStart, valueEnd } = cursor
    if (baseKind(kind) === KIND_POINTER) {
      addPointer(batch, slot, valueBytes, valueStart, key, cursor.sequence)
      return readPointerLen(valueBytes, valueStart)
    }
    readPayload(kind, valueBytes, valueStart, valueEnd, this.#payload)
    const value = this.#memory.copy(valueBytes, this.#payload.valueStart, this.#payload.valueEnd)
    batch.values[slot] = value
    return value.length
  }

  /** Begins to read the values of a batch into it (`ValueLog.beginBatch`). `undefined` if there is nothing to read. */
  beginBatch(batch: ValueBatch): BatchReading | undefined {
    return batch.count === 0 ? undefined : this.#log().beginBatch(batch)
  }

  /** The entry without its value, and the value or its place. */
  findEntry(key: Uint8Array, sequence: number): { entry: Omit<Entry, 'value'>; value: Uint8Array | StoredValue } | undefined {
    if (!this.#locate(key, sequence)) return undefined
    const { expiresAt, userMeta } = this.#payload
    return { entry: { key: copyBytes(key), version: this.#found.sequence, expiresAt, userMeta }, value: this.#valueOrPlace(key) }
  }

  /** Puts the values that are still in the value log in place of where they lie. */
  async fill(values: (Uint8Array | StoredValue | undefined)[]): Promise<(Uint8Array | undefined)[]> {
    const stored: StoredValue[] = []
    for (const value of values) if (value !== undefined && !(value instanceof Uint8Array)) stored.push(value)
    if (stored.length === 0) return values as (Uint8Array | undefined)[]
    const read = await this.#log().readValues(stored)
    let next = 0
    return values.map((value) => (value === undefined || value instanceof Uint8Array ? value : (read[next++] as Uint8Array)))
  }

  /** Sequence number of the newest entry of `key`, tombstones included; 0 if there is none. */
  newestSequence(key: Uint8Array): number {
    return this.#tree.get(key, this.#tree.visibleSequence, this.#found) ? this.#found.sequence : 0
  }

  /** Looks `key` up and takes the payload apart. Returns whether a live entry was found. */
  #locate(key: Uint8Array, sequence: number, view?: ReadView): boolean {
    const found = this.#found
    if (!this.#tree.get(key, sequence, found, view) || found.kind === KIND_TOMBSTONE) return false
    readPayload(found.kind, found.valueBytes, found.valueStart, found.valueEnd, this.#payload)
    const { expiresAt } = this.#payload
    return expiresAt === 0 || expiresAt > Math.floor(this.#runtime.now() / 1000)
  }

  #inlineValue(): Uint8Array {
    return this.#memory.copy(this.#found.valueBytes, this.#payload.valueStart, this.#payload.valueEnd)
  }

  #valueOrPlace(key: Uint8Array): Uint8Array | StoredValue {
    const { kind, valueBytes, valueStart, sequence } = this.#found
    if (baseKind(kind) !== KIND_POINTER) return this.#inlineValue()
    // The caller may reuse the key's bytes while the value is being read.
    return { pointer: pointerAt(valueBytes, valueStart), key: copyBytes(key), version: sequence }
  }

  #log(): ValueLog {
    invariant(this.#vlog !== undefined, 'pointers are only in databases with a value log')
    return this.#vlog
  }
}

function addPointer(batch: ValueBatch, slot: number, bytes: Uint8Array, at: number, key: Uint8Array, version: number): void {
  batch.add(slot, readPointerFid(bytes, at), readPointerOffset(bytes, at), readPointerLen(bytes, at), key, version)
}

/** The pointer of a payload of kind pointer. */
export function pointerAt(bytes: Uint8Array, at: number): ValuePointer {
  return { fid: readPointerFid(bytes, at), offset: readPointerOffset(bytes, at), len: readPointerLen(bytes, at) }
}
