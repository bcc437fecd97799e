/**
 * Batches: the operations of one atomic write, checked as a whole before the first of them is staged.
 */
import { InvalidArgumentError, TxnTooBigError, ownKeyBytes } from '@wk/codec'
import { expiryOf, userMetaOf, valueBytes } from './arguments.js'
import type { BytesLike } from './arguments.js'
import type { Stager } from './stager.js'

/** One operation of a batch. */
export type BatchOperation =
  | { type: 'put'; key: BytesLike; value: BytesLike; ttl?: number; userMeta?: number }
  | { type: 'del'; key: BytesLike }

/** An operation as bytes; `value` is absent for a deletion. */
export interface CheckedOperation {
  key: Uint8Array
  value: Uint8Array | undefined
  userMeta: number
  expiresAt: number
}

export interface BatchLimits {
  readonly maxBatchCount: number
  readonly maxBatchSize: number
}

/** Checks and encodes a batch. Throws `InvalidArgumentError` or `TxnTooBigError`; nothing was written then. */
export function checkBatch(operations: readonly BatchOperation[], limits: BatchLimits, nowMs: number): CheckedOperation[] {
  if (!Array.isArray(operations)) throw new InvalidArgumentError('a batch must be an array of operations')
  if (operations.length > limits.maxBatchCount) {
    throw new TxnTooBigError(`a batch of ${operations.length} operations; at most ${limits.maxBatchCount} are allowed`)
  }
  let bytes = 0
  const checked: CheckedOperation[] = []
  for (const operation of operations) {
    const one = checkOperation(operation, nowMs)
    bytes += one.key.length + (one.value?.length ?? 0)
    if (bytes > limits.maxBatchSize) throw new TxnTooBigError(`a batch of more than ${limits.maxBatchSize} bytes`)
    checked.push(one)
  }
  return checked
}

function checkOperation(operation: BatchOperation, nowMs: number): CheckedOperation {
  if (typeof operation !== 'object' || operation === null) throw new InvalidArgumentError('an operation must be an object')
  const key = ownKeyBytes(operation.key)
  if (operation.type === 'del') return { key, value: undefined, userMeta: 0, expiresAt: 0 }
  if (operation.type !== 'put') throw new InvalidArgumentError("the type of an operation must be 'put' or 'del'")
  return { key, value: valueBytes(operation.value), userMeta: userMetaOf(operation.userMeta), expiresAt: expiryOf(operation.ttl, nowMs) }
}

/** Stages a checked batch: all of it lands in one group. */
export function stageBatch(stager: Stager, operations: readonly CheckedOperation[]): void {
  let bytes = 0
  for (const { key, value, userMeta, expiresAt } of operations) {
    bytes += key.length + (value === undefined ? 0 : stager.payloadLength(value.length, userMeta, expiresAt))
  }
  stager.prepare(operations.length, bytes)
  for (const { key, value, userMeta, expiresAt } of operations) {
    if (value === undefined) stager.del(key)
    else stager.put(key, value, userMeta, expiresAt)
  }
}
