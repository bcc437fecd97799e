/**
 * Cursor over a memtable: both directions, seek both ways.
 *
 * Entries may be added while it stands anywhere. Its place in a leaf holds while no node was split and the leaf's
 * count is what it was; otherwise it finds its entry again by the key in its own record, which never moves. So it
 * never skips or repeats an entry; one added ahead of it is seen, one added behind it is not.
 */
import type { EntryCursor } from '@wk/codec'
import { InvalidArgumentError, MAX_SEQUENCE, checkArgument, invariant } from '@wk/codec'
import { NODE_COUNT, NODE_NEXT, NODE_PREVIOUS, NONE, RECORD_HEADER, SLOT_LAST, SLOT_RECORD } from './arena-layout.js'
import type { ArenaTree } from './arena-tree.js'

export class MemtableCursor implements EntryCursor {
  valid = false
  readonly keyBytes: Uint8Array
  keyStart = 0
  keyEnd = 0
  sequence = 0
  kind = 0
  readonly valueBytes: Uint8Array
  valueStart = 0
  valueEnd = 0
  readonly #tree: ArenaTree
  #leaf = 0
  #position = 0
  #leafCount = 0
  #splits = 0

  constructor(tree: ArenaTree) {
    this.#tree = tree
    this.keyBytes = tree.bytes
    this.valueBytes = tree.bytes
  }

  first(): void {
    const tree = this.#tree
    this.#land(tree.firstLeaf, 0, tree.words[tree.firstLeaf + NODE_COUNT]! > 0)
  }

  last(): void {
    const tree = this.#tree
    const count = tree.words[tree.lastLeaf + NODE_COUNT]!
    this.#land(tree.lastLeaf, count - 1, count > 0)
  }

  seek(userKey: Uint8Array, sequence: number): void {
    checkTarget(userKey, sequence)
    const tree = this.#tree
    tree.aim(userKey, 0, userKey.length, sequence)
    const slot = tree.seek()
    this.#land(tree.leaf, tree.position, slot >= 0)
  }

  seekReverse(userKey: Uint8Array, sequence: number): void {
    checkTarget(userKey, sequence)
    const tree = this.#tree
    tree.aim(userKey, 0, userKey.length, sequence)
    const slot = tree.seek()
    if (slot < 0) {
      this.last()
      return
    }
    const exact = tree.isTargetKey(slot) && tree.sequence(slot) === sequence
    this.#land(tree.leaf, tree.position, true)
    if (!exact) this.prev()
  }

  next(): void {
    checkArgument(this.valid, 'a cursor at an entry')
    this.#refresh()
    const { words } = this.#tree
    if (this.#position + 1 < this.#leafCount) this.#land(this.#leaf, this.#position + 1, true)
    else {
      const leaf = words[this.#leaf + NODE_NEXT]!
      this.#land(leaf, 0, leaf !== NONE)
    }
  }

  prev(): void {
    checkArgument(this.valid, 'a cursor at an entry')
    this.#refresh()
    const { words } = this.#tree
    if (this.#position > 0) this.#land(this.#leaf, this.#position - 1, true)
    else {
      const leaf = words[this.#leaf + NODE_PREVIOUS]!
      this.#land(leaf, leaf === NONE ? 0 : words[leaf + NODE_COUNT]! - 1, leaf !== NONE)
    }
  }

  /** Finds the place of the current entry again if the tree changed around it. */
  #refresh(): void {
    const tree = this.#tree
    if (this.#splits === tree.splits && this.#leafCount === tree.words[this.#leaf + NODE_COUNT]) return
    tree.aim(this.keyBytes, this.keyStart, this.keyEnd, this.sequence)
    invariant(tree.seek() >= 0, 'an entry that was there is there')
    this.#leaf = tree.leaf
    this.#position = tree.position
    this.#leafCount = tree.words[tree.leaf + NODE_COUNT]!
    this.#splits = tree.splits
  }

  #land(leaf: number, position: number, valid: boolean): void {
    this.valid = valid
    if (!valid) return
    const tree = this.#tree
    this.#leaf = leaf
    this.#position = position
    this.#leafCount = tree.words[leaf + NODE_COUNT]!
    this.#splits = tree.splits
    const slot = tree.slotAt(leaf, position)
    const record = tree.words[slot + SLOT_RECORD]!
    this.kind = this.keyBytes[record]!
    this.keyStart = record + RECORD_HEADER
    this.keyEnd = this.keyStart + tree.keyLength(slot)
    this.sequence = tree.sequence(slot)
    this.valueStart = this.keyEnd
    this.valueEnd = this.keyEnd + tree.words[slot + SLOT_LAST]!
  }
}

function checkTarget(userKey: Uint8Array, sequence: number): void {
  if (!(userKey instanceof Uint8Array) || typeof sequence !== 'number' || !(sequence >= 0 && sequence <= MAX_SEQUENCE)) throw invalidTarget()
}

/** What a lookup or seek of something else throws. */
export function invalidTarget(): InvalidArgumentError {
  return new InvalidArgumentError('expected: a key as a Uint8Array, a sequence number within 48 bits, and for a lookup a result to fill')
}
