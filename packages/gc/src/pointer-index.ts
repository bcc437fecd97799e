/**
 * The index of a host, as garbage collection sees it: two functions, one optional promise each way.
 *
 * The rules below are what makes a pass safe beside live writers and across crashes; `@wk/gc/testing` checks them on
 * any host. Versions are the host's own business: an index has at most one pointer a key.
 */

import { InvalidArgumentError, type ValuePointer } from '@wk/codec'

/** One conditional update: `key` shall point to `to`, if it points to `from` now. */
export interface PointerMove {
  readonly key: Uint8Array
  readonly from: ValuePointer
  readonly to: ValuePointer
}

/**
 * What a host writes by hand.
 *
 * Calls of one pass never overlap. Keys and pointers passed in are the callee's to read until it settles; results are
 * read at once.
 */
export interface PointerIndex {
  /**
   * The pointer of each key, in the order of `keys`; `undefined` where the key is absent or its value is not in the
   * value log. Keys are distinct and ascend in byte order. Must answer from committed state only: a pointer that a
   * rollback can bring back counts as current all the time.
   */
  lookup(
    keys: readonly Uint8Array[],
  ): readonly (ValuePointer | undefined)[] | Promise<readonly (ValuePointer | undefined)[]>

  /**
   * For each move on its own: sets `to` if the key's pointer equals `from` in all three fields, atomically beside every
   * other write of the host; tells which did. An absent key never gets one (it would come back from the dead).
   *
   * When it resolves, its swaps are durable and so is everything that `lookup` had answered before; also for an empty list, which
   * the collector passes before it gives a file up (an index that fell back behind what `lookup` said would point into
   * a file that is gone). Does not report `from` or `to` through `vlog.discard`: the collector does.
   */
  compareAndSwap(moves: readonly PointerMove[]): readonly boolean[] | Promise<readonly boolean[]>

  /**
   * Resolves when each put whose `vlog.append` was called before has its pointer in the index, or has failed.
   * A record that is in the log and not yet in the index looks dead; without this wait its file could go before the
   * index learns of it. A host that sets the pointer in the turn in which `append` resolves can leave this
   * out; any other one can use a {@link WriteFence}.
   */
  settle?(): Promise<void>
}

/**
 * Counts writes that are between `vlog.append` and the index. Wrap each put in `run`, pass `settle` on in the index:
 *
 * ```ts
 * await fence.run(async () => { const [pointer] = await vlog.append([entry]); await index.put(key, pointer) })
 * ```
 */
export class WriteFence {
  readonly #running = new Set<Promise<unknown>>()

  /** Calls `write` at once and resolves as it does. @throws InvalidArgumentError for what is no function */
  async run<T>(write: () => Promise<T>): Promise<T> {
    if (typeof write !== 'function') throw new InvalidArgumentError('write must be a function')
    const running = write()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Resolves when every write that is running now has ended, however it ended. Later writes are not waited for. */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.#running])
  }
}
