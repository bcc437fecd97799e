/**
 * The one order of all changes of an in-memory file system, and the hook that sees them coming.
 *
 * Left to others: the changes themselves (`memory-node.ts`) and what a crash makes of them (`crash-policy.ts`).
 */

/** A change that is about to happen. */
export interface MutatingOperation {
  readonly kind: 'create' | 'write' | 'truncate' | 'punch' | 'sync' | 'rename' | 'remove' | 'link' | 'mkdir' | 'rmdir' | 'syncDir'
  readonly path: string
  /** Second path of `rename` and `link`. */
  readonly to?: string
  /** Place of a `write` or `punch`, in bytes. */
  readonly position?: number
  /** Length of a `write` or `punch`, new length of a `truncate`, in bytes. */
  readonly length?: number
  /** Of a `syncDir`: it makes names durable by operations with an index below this, those before its call, and no others. */
  readonly covers?: number
}

/** @param index how many mutating operations came before, in this instance */
export type MutationHook = (index: number, operation: MutatingOperation) => void

export class MemoryJournal {
  hook: MutationHook | undefined
  /** Mutating operations announced so far. */
  opCount = 0
  /** Order of the last change. */
  order: number
  /** The last change that precedes, or is covered by, a completed sync of anything. */
  lastSync: number

  constructor(order = 0, lastSync = 0) {
    this.order = order
    this.lastSync = lastSync
  }

  /** Announces a change; if the hook throws, it does not happen. @returns its order */
  beforeChange(operation: MutatingOperation): number {
    this.#announce(operation)
    return ++this.order
  }

  /** Announces a sync that covers the changes up to `order`. */
  beforeSync(operation: MutatingOperation, order: number): void {
    this.#announce(operation)
    this.lastSync = Math.max(this.lastSync, order)
  }

  #announce(operation: MutatingOperation): void {
    this.hook?.(this.opCount, operation)
    this.opCount++
  }
}
