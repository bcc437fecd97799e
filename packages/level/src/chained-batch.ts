/**
 * A chained batch: operations collected one by one, written as one batch.
 *
 * `abstract-level`'s own holds on to the caller's bytes until they are written; here, as in every other call, they may be reused at once.
 */
import { AbstractChainedBatch } from 'abstract-level'
import type { BatchOperation, WriteOptions } from '@wk/db'
import { ownCopy } from './format.js'

/** The database, as far as a chained batch needs it. */
interface Target {
  _batch(operations: BatchOperation[], options: WriteOptions): Promise<void>
}

/** @typeParam D the database that made it */
export class WkChainedBatch<D extends Target, K, V> extends AbstractChainedBatch<D, K, V> {
  #operations: BatchOperation[] = []

  constructor(db: D) {
    // The second argument, which types do not tell: operations come whole to `_add`, with the options of their own.
    super(...([db, { add: true }] as unknown as [D]))
  }

  /** @internal */
  _add(operation: BatchOperation): void {
    operation.key = ownCopy(operation.key)
    if (operation.type === 'put') operation.value = ownCopy(operation.value)
    this.#operations.push(operation)
  }

  /** @internal */
  _clear(): void {
    this.#operations = []
  }

  /** @internal */
  _write(options: WriteOptions): Promise<void> {
    return this.db._batch(this.#operations, options)
  }
}
