/**
 * What a transaction has written so far, in memory: the newest operation of each key, for its own reads and its commit.
 *
 * Keys and values are copied at the call. A sorted view for iterators never changes once it is given out: it is made
 * anew, by merging in what came since, only when an iterator is made after writes.
 */
import { TxnTooBigError, compareBytes, copyBytes } from '@wk/codec'
import type { BatchLimits, CheckedOperation } from './batch.js'

/** Sorted by key, each key once. */
export type SortedWrites = readonly CheckedOperation[]

export class TxnWrites {
  readonly #limits: BatchLimits
  readonly #byKey = new Map<string, CheckedOperation>()
  #sorted: SortedWrites = []
  /** What `#sorted` does not have yet. */
  readonly #unsorted = new Map<string, CheckedOperation>()
  #bytes = 0

  constructor(limits: BatchLimits) {
    this.#limits = limits
  }

  get isEmpty(): boolean {
    return this.#byKey.size === 0
  }

  /** Each key's newest operation. */
  operations(): CheckedOperation[] {
    return [...this.#byKey.values()]
  }

  get(key: Uint8Array): CheckedOperation | undefined {
    return this.#byKey.get(keyText(key))
  }

  /** Takes an operation over; `value` is absent for a deletion. Throws `TxnTooBigError`, and holds what it held then. */
  add(key: Uint8Array, value: Uint8Array | undefined, userMeta: number, expiresAt: number): void {
    const { maxBatchCount, maxBatchSize } = this.#limits
    const name = keyText(key)
    const before = this.#byKey.get(name)
    if (before === undefined && this.#byKey.size >= maxBatchCount) {
      throw new TxnTooBigError(`a transaction of more than ${maxBatchCount} operations`)
    }
    const bytes = this.#bytes - (before === undefined ? 0 : sizeOf(before)) + key.length + (value?.length ?? 0)
    if (bytes > maxBatchSize) throw new TxnTooBigError(`a transaction of more than ${maxBatchSize} bytes`)
    const operation = { key: copyBytes(key), value: value === undefined ? undefined : copyBytes(value), userMeta, expiresAt }
    this.#byKey.set(name, operation)
    this.#unsorted.set(name, operation)
    this.#bytes = bytes
  }

  /** Everything written so far, in order of the keys. Later writes do not change it. */
  sorted(): SortedWrites {
    if (this.#unsorted.size > 0) {
      this.#sorted = merge(this.#sorted, [...this.#unsorted.values()].sort((a, b) => compareBytes(a.key, b.key)))
      this.#unsorted.clear()
    }
    return this.#sorted
  }
}

/** A key as text that is equal exactly for equal keys. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
}

function sizeOf({ key, value }: CheckedOperation): number {
  return key.length + (value?.length ?? 0)
}

/** Where both hold a key, the newer one counts. */
function merge(older: SortedWrites, newer: SortedWrites): SortedWrites {
  const merged: CheckedOperation[] = []
  let at = 0
  for (const operation of newer) {
    for (; at < older.length; at++) {
      const order = compareBytes((older[at] as CheckedOperation).key, operation.key)
      if (order > 0) break
      if (order < 0) merged.push(older[at] as CheckedOperation)
    }
    merged.push(operation)
  }
  for (; at < older.length; at++) merged.push(older[at] as CheckedOperation)
  return merged
}
