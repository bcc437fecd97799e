/**
 * Batches as callers of the plain engine pass them in, checked and turned into bytes: whatever is wrong is `InvalidArgumentError`, before
 * anything has happened. Keys are copied, so that they are the same in log and memtable; values are not: whoever keeps them copies them.
 */
import { InvalidArgumentError, KIND_TOMBSTONE, KIND_VALUE, MAX_KEY_LENGTH, NO_BYTES, TxnTooBigError, bytesOf, ownKeyBytes } from '@wk/codec'
import type { QueuedOperation } from './plain-write-queue.js'

/** A key or a value: text is stored as UTF-8. */
export type BytesLike = string | Uint8Array

/** One operation of a batch. */
export interface PlainWrite {
  type: 'put' | 'del'
  /** At most 65,000 bytes. */
  key: BytesLike
  /** For `put`: at most 1 GiB. */
  value?: BytesLike
}

/** Bounds of a range, in byte order. If both `gte` and `gt` are given `gte` counts; likewise `lte` over `lt`. */
export interface PlainRange {
  gt?: BytesLike | undefined
  gte?: BytesLike | undefined
  lt?: BytesLike | undefined
  lte?: BytesLike | undefined
}

/** Longest value, and most bytes of a batch. */
const MAX_BYTES = 2 ** 30

/** A batch as the queue takes it. @throws InvalidArgumentError, TxnTooBigError for one of more than 1 GiB */
export function batchOf(writes: readonly PlainWrite[]): QueuedOperation[] {
  if (!Array.isArray(writes)) throw new InvalidArgumentError('a batch must be an array of operations')
  let bytes = 0
  // Not `map`, which passes over the holes of a sparse array.
  return Array.from(writes, (write: PlainWrite) => {
    const operation = operationOf(write)
    bytes += operation.key.length + operation.value.length
    if (bytes > MAX_BYTES + MAX_KEY_LENGTH) throw new TxnTooBigError(`a batch of more than ${MAX_BYTES} bytes`)
    return operation
  })
}

function operationOf(write: PlainWrite): QueuedOperation {
  if (typeof write !== 'object' || write === null) throw new InvalidArgumentError('an operation must be an object')
  const key = ownKeyBytes(write.key)
  if (write.type === 'del') return { kind: KIND_TOMBSTONE, key, value: NO_BYTES }
  if (write.type !== 'put') throw new InvalidArgumentError("the type of an operation must be 'put' or 'del'")
  const value = bytesOf(write.value, 'value')
  if (value.length > MAX_BYTES) throw new InvalidArgumentError(`a value is longer than ${MAX_BYTES} bytes`)
  return { kind: KIND_VALUE, key, value }
}
