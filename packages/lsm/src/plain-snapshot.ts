/**
 * A snapshot of the plain engine: a point in the order of its writes. What it sees stays readable until it is released.
 */
import { ClosedError, InvalidArgumentError } from '@wk/codec'
import type { LsmTree } from './lsm-tree.js'
import type { Snapshot } from './snapshot-list.js'

export class PlainSnapshot implements Snapshot {
  readonly #tree: LsmTree
  readonly #held: Snapshot
  #open = true

  /** @internal Snapshots come from `engine.snapshot()`. */
  constructor(tree: LsmTree) {
    this.#tree = tree
    this.#held = tree.snapshot()
  }

  /** Sequence number of the newest write that it sees. */
  get sequence(): number {
    return this.#held.sequence
  }

  /** Gives up what it holds on to. Idempotent; from then on reads at it are `WK_CLOSED`. */
  release(): void {
    this.#open = false
    this.#held.release()
  }

  [Symbol.dispose](): void {
    this.release()
  }

  /** @internal The sequence number to read at; `undefined` reads at what is visible now. @throws ClosedError, InvalidArgumentError for one of another engine */
  static sequenceOf(snapshot: unknown, tree: LsmTree): number {
    if (snapshot === undefined) return tree.visibleSequence
    if (typeof snapshot !== 'object' || snapshot === null || !(#open in snapshot)) throw new InvalidArgumentError('snapshot must come from engine.snapshot()')
    if (!snapshot.#open) throw new ClosedError('the snapshot is released')
    if (snapshot.#tree !== tree) throw new InvalidArgumentError('the snapshot is one of another engine')
    return snapshot.sequence
  }
}
