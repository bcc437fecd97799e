/**
 * B+tree over one arena: from (user key, sequence descending) to a record. Insert and search only; nothing is removed.
 *
 * Most comparisons end inside the node, at the first 16 key bytes. When those are equal, two keys of which one has at
 * most 16 bytes are ordered by length alone: the padding of the shorter one equalled real bytes of the longer one, so
 * it is a prefix of it. Only two longer keys are compared in the record area, from where they may differ: what the target shares
 * with entries on both sides it shares with all between them. Then the newer sequence comes first.
 *
 * Guarantees: offsets stay inside the arena as long as the owner asked for room first. It leaves capacity, accounting
 * and lifetime to `Memtable`. The methods share one search target (`aim`), so that nothing is allocated a call.
 */
import { MAX_SEQUENCE, checkArgument, invariant } from '@wk/codec'
import {
  BIAS,
  FANOUT,
  INLINE_KEY,
  NODE_COUNT,
  NODE_NEXT,
  NODE_ORDER,
  NODE_PREVIOUS,
  NODE_SLOTS,
  NODE_USED,
  NODE_WORDS,
  NONE,
  RECORD_HEADER,
  SLOT_LAST,
  SLOT_META,
  SLOT_RECORD,
  SLOT_SEQUENCE,
  SLOT_SHIFT,
  SLOT_WORDS,
} from './arena-layout.js'

/** Levels that a tree has fewer of than this: the arena is full long before. */
export const MAX_HEIGHT = 16

/** Longest key that a slot can tell. */
const MAX_LENGTH = 0xffff

/** What is not in the arena itself: plain data, enough to read the tree in another thread. */
export interface TreeState {
  root: number
  height: number
  firstLeaf: number
  lastLeaf: number
  leafCount: number
  innerCount: number
  /** First free word after the nodes. */
  nodeEnd: number
}

export class ArenaTree {
  readonly words: Int32Array
  readonly bytes: Uint8Array
  root = 0
  /** Inner levels above the leaves. */
  height = 0
  firstLeaf = 0
  lastLeaf = 0
  leafCount = 0
  innerCount = 0
  nodeEnd = 0
  /** Grows with every node split: a cursor's position in a leaf holds while this and the leaf's count are unchanged. */
  splits = 0
  /** Where the last `seek` or `insert` ended. */
  leaf = 0
  position = 0
  /** What the last `insert` found beside its entry: a newer one of the same key, an older one. */
  foundNewer = false
  foundOlder = false
  #exact = false
  #word0 = 0
  #word1 = 0
  #word2 = 0
  #word3 = 0
  #meta = 0
  #sequenceLow = 0
  #keyBytes: Uint8Array
  #keyStart = 0
  #keyEnd = 0
  /** Bytes from byte 16 on that the target shares at least with the nearest entry below it that this descent met, and with the nearest above. */
  #sharedBelow = 0
  #sharedAbove = 0
  readonly #pathNodes = new Int32Array(MAX_HEIGHT)
  readonly #pathPositions = new Int32Array(MAX_HEIGHT)

  constructor(buffer: SharedArrayBuffer, state?: TreeState) {
    this.words = new Int32Array(buffer, 0, buffer.byteLength >>> 2)
    this.bytes = new Uint8Array(buffer)
    this.#keyBytes = this.bytes
    if (state === undefined) {
      this.root = this.#newNode()
      this.leafCount = 1
      this.firstLeaf = this.root
      this.lastLeaf = this.root
    } else {
      Object.assign(this, state)
    }
  }

  state(): TreeState {
    const { root, height, firstLeaf, lastLeaf, leafCount, innerCount, nodeEnd } = this
    return { root, height, firstLeaf, lastLeaf, leafCount, innerCount, nodeEnd }
  }

  /** Sets what the next `seek` or `insert` looks for. The bytes must stay unchanged until then. */
  aim(keyBytes: Uint8Array, keyStart: number, keyEnd: number, sequence: number): void {
    const length = keyEnd - keyStart
    if (length >= INLINE_KEY) {
      this.#word0 = wordAt(keyBytes, keyStart)
      this.#word1 = wordAt(keyBytes, keyStart + 4)
      this.#word2 = wordAt(keyBytes, keyStart + 8)
      this.#word3 = wordAt(keyBytes, keyStart + 12)
    } else {
      this.#word0 = paddedWordAt(keyBytes, keyStart, keyEnd)
      this.#word1 = paddedWordAt(keyBytes, keyStart + 4, keyEnd)
      this.#word2 = paddedWordAt(keyBytes, keyStart + 8, keyEnd)
      this.#word3 = paddedWordAt(keyBytes, keyStart + 12, keyEnd)
    }
    const inverted = MAX_SEQUENCE - sequence
    const high = Math.floor(inverted / 0x1_0000_0000)
    // A bound may be longer than any key is: then longer than all of them, and not of the length that its low bits say.
    this.#meta = (((length > MAX_LENGTH ? MAX_LENGTH : length) << 16) | high) ^ BIAS
    this.#sequenceLow = (inverted - high * 0x1_0000_0000) ^ BIAS
    this.#keyBytes = keyBytes
    this.#keyStart = keyStart
    this.#keyEnd = keyEnd
  }

  /**
   * Goes to the first entry at or after the target: its slot (a word index), or -1 behind the last one. `leaf` and
   * `position` tell where it is.
   */
  seek(): number {
    const { words } = this
    let node = this.root
    this.#sharedBelow = 0
    this.#sharedAbove = 0
    for (let level = this.height; level > 0; level--) node = words[this.slotAt(node, this.#childPosition(node)) + SLOT_LAST]!
    let position = this.#search(node, 0)
    if (position === words[node + NODE_COUNT]!) {
      node = words[node + NODE_NEXT]!
      position = 0
    }
    this.leaf = node
    this.position = position
    return node === NONE ? -1 : this.slotAt(node, position)
  }

  /** Whether the entry in `slot` has the target's user key (any sequence). */
  isTargetKey(slot: number): boolean {
    const { words } = this
    if (words[slot] !== this.#word0 || words[slot + 1] !== this.#word1) return false
    if (words[slot + 2] !== this.#word2 || words[slot + 3] !== this.#word3) return false
    if ((words[slot + SLOT_META]! ^ this.#meta) >>> 16 !== 0) return false
    if (this.#keyEnd - this.#keyStart <= INLINE_KEY) return true
    this.#sharedBelow = 0
    return this.#compareTails(slot) === 0
  }

  /** Adds the target with its record. Requires room for `height + 2` nodes, and that the entry is not there yet. */
  insert(record: number, payloadLength: number): void {
    const { words } = this
    let node = this.root
    let onRightEdge = true
    this.#sharedBelow = 0
    this.#sharedAbove = 0
    // Both neighbours of a new entry are met on the way down, in its leaf or as the first entry of the leaf after it.
    this.foundNewer = false
    this.foundOlder = false
    for (let level = this.height; level > 0; level--) {
      const position = this.#childPosition(node)
      this.#pathNodes[level] = node
      this.#pathPositions[level] = position
      if (position !== words[node + NODE_COUNT]! - 1) onRightEdge = false
      node = words[this.slotAt(node, position) + SLOT_LAST]!
    }
    const position = this.#search(node, 0)
    checkArgument(!this.#exact, 'a pair of key and sequence number that is not there yet')
    if (words[node + NODE_COUNT]! === FANOUT) {
      const at = onRightEdge && position === FANOUT ? FANOUT : FANOUT / 2
      const right = this.#splitLeaf(node, at)
      this.#write(position >= at ? right : node, position >= at ? position - at : position, record, payloadLength)
      this.#link(node, right, 1, onRightEdge)
    } else {
      this.#write(node, position, record, payloadLength)
    }
  }

  /** The slot of the entry after the one that `insert` added, or -1. */
  slotAfter(): number {
    if (this.position + 1 < this.words[this.leaf + NODE_COUNT]!) return this.slotAt(this.leaf, this.position + 1)
    const next = this.words[this.leaf + NODE_NEXT]!
    return next === NONE ? -1 : this.slotAt(next, 0)
  }

  /** Word index of the slot that holds the entry at `position`. */
  slotAt(node: number, position: number): number {
    return node + NODE_SLOTS + (this.bytes[((node + NODE_ORDER) << 2) + position]! << SLOT_SHIFT)
  }

  keyLength(slot: number): number {
    return (this.words[slot + SLOT_META]! ^ BIAS) >>> 16
  }

  sequence(slot: number): number {
    const high = (this.words[slot + SLOT_META]! ^ BIAS) & 0xffff
    const low = (this.words[slot + SLOT_SEQUENCE]! ^ BIAS) >>> 0
    return MAX_SEQUENCE - (high * 0x1_0000_0000 + low)
  }

  /** Which child of an inner node holds the target: the last one that starts at or before it. */
  #childPosition(node: number): number {
    const position = this.#search(node, 1)
    return this.#exact ? position : position - 1
  }

  /** First position from `low` on whose entry is at or after the target; sets `#exact`. */
  #search(node: number, low: number): number {
    const { words, bytes } = this
    const word0 = this.#word0
    const order = (node + NODE_ORDER) << 2
    const slots = node + NODE_SLOTS
    let high = words[node + NODE_COUNT]!
    this.#exact = false
    while (low < high) {
      const middle = (low + high) >>> 1
      const slot = slots + (bytes[order + middle]! << SLOT_SHIFT)
      const word = words[slot]!
      const comparison = word === word0 ? this.#compareRest(slot) : word < word0 ? -1 : 1
      if (comparison < 0) low = middle + 1
      else if (comparison > 0) high = middle
      else {
        this.#exact = true
        return middle
      }
    }
    return low
  }

  /** Order of the entry in `slot` against the target when the first words are equal. */
  #compareRest(slot: number): number {
    const { words } = this
    let a = words[slot + 1]!
    let b = this.#word1
    if (a !== b) return a < b ? -1 : 1
    a = words[slot + 2]!
    b = this.#word2
    if (a !== b) return a < b ? -1 : 1
    a = words[slot + 3]!
    b = this.#word3
    if (a !== b) return a < b ? -1 : 1
    a = words[slot + SLOT_META]!
    b = this.#meta
    if ((a ^ BIAS) >>> 16 > INLINE_KEY && (b ^ BIAS) >>> 16 > INLINE_KEY) {
      const tails = this.#compareTails(slot)
      if (tails !== 0) return tails
    }
    if (a !== b) {
      if ((a ^ b) >>> 16 === 0) this.#foundVersion(a < b)
      return a < b ? -1 : 1
    }
    a = words[slot + SLOT_SEQUENCE]!
    b = this.#sequenceLow
    if (a !== b) this.#foundVersion(a < b)
    return a === b ? 0 : a < b ? -1 : 1
  }

  #foundVersion(isNewer: boolean): void {
    if (isNewer) this.foundNewer = true
    else this.foundOlder = true
  }

  /**
   * Order of the two keys from byte 16 on, the shorter first when one runs out. Requires that both are longer, and that the entry lies
   * between those that `#sharedBelow` and `#sharedAbove` were learnt from.
   */
  #compareTails(slot: number): number {
    const { bytes } = this
    const target = this.#keyBytes
    const start = this.words[slot + SLOT_RECORD]! + RECORD_HEADER + INLINE_KEY
    const length = this.keyLength(slot) - INLINE_KEY
    const targetStart = this.#keyStart + INLINE_KEY
    const targetLength = this.#keyEnd - targetStart
    const least = length < targetLength ? length : targetLength
    let shared = this.#sharedBelow < this.#sharedAbove ? this.#sharedBelow : this.#sharedAbove
    while (shared < least && bytes[start + shared] === target[targetStart + shared]) shared++
    const difference = shared < least ? bytes[start + shared]! - target[targetStart + shared]! : length - targetLength
    if (difference < 0) this.#sharedBelow = shared
    else if (difference > 0) this.#sharedAbove = shared
    return difference
  }

  /** Writes the target into a free slot of `node`. */
  #write(node: number, position: number, record: number, last: number): void {
    const { words } = this
    const slot = this.#openSlot(node, position)
    words[slot] = this.#word0
    words[slot + 1] = this.#word1
    words[slot + 2] = this.#word2
    words[slot + 3] = this.#word3
    words[slot + SLOT_META] = this.#meta
    words[slot + SLOT_SEQUENCE] = this.#sequenceLow
    words[slot + SLOT_RECORD] = record
    words[slot + SLOT_LAST] = last
    this.leaf = node
    this.position = position
  }

  /** Takes a free slot and puts it into the order at `position`. Requires that the node is not full. */
  #openSlot(node: number, position: number): number {
    const { words, bytes } = this
    const count = words[node + NODE_COUNT]!
    const free = ~words[node + NODE_USED]!
    const lowest = free & -free
    const index = 31 - Math.clz32(lowest)
    const order = (node + NODE_ORDER) << 2
    for (let i = order + count; i > order + position; i--) bytes[i] = bytes[i - 1]!
    bytes[order + position] = index
    words[node + NODE_USED] = words[node + NODE_USED]! | lowest
    words[node + NODE_COUNT] = count + 1
    return node + NODE_SLOTS + (index << SLOT_SHIFT)
  }

  #newNode(): number {
    const { words } = this
    const node = this.nodeEnd
    invariant(node + NODE_WORDS <= words.length, 'a node inside the arena')
    this.nodeEnd = node + NODE_WORDS
    words[node + NODE_COUNT] = 0
    words[node + NODE_NEXT] = NONE
    words[node + NODE_PREVIOUS] = NONE
    words[node + NODE_USED] = 0
    return node
  }

  /** Moves the entries from position `at` on to a new node. */
  #splitNode(node: number, at: number): number {
    const { words } = this
    const right = this.#newNode()
    const count = words[node + NODE_COUNT]!
    let used = words[node + NODE_USED]!
    for (let position = at; position < count; position++) {
      const from = this.slotAt(node, position)
      const to = this.#openSlot(right, position - at)
      for (let i = 0; i < SLOT_WORDS; i++) words[to + i] = words[from + i]!
      used &= ~(1 << ((from - node - NODE_SLOTS) >>> SLOT_SHIFT))
    }
    words[node + NODE_USED] = used
    words[node + NODE_COUNT] = at
    this.splits++
    return right
  }

  #splitLeaf(node: number, at: number): number {
    const { words } = this
    const right = this.#splitNode(node, at)
    const next = words[node + NODE_NEXT]!
    words[right + NODE_NEXT] = next
    words[right + NODE_PREVIOUS] = node
    words[node + NODE_NEXT] = right
    if (next === NONE) this.lastLeaf = right
    else words[next + NODE_PREVIOUS] = right
    this.leafCount++
    return right
  }

  /** Makes `right`, split off from `left`, known to the parent at `level`; splits upwards as far as needed. */
  #link(left: number, right: number, level: number, onRightEdge: boolean): void {
    for (; level <= this.height; level++) {
      const node = this.#pathNodes[level]!
      const position = this.#pathPositions[level]! + 1
      if (this.words[node + NODE_COUNT]! < FANOUT) {
        this.#writeChild(node, position, right)
        return
      }
      const at = onRightEdge && position === FANOUT ? FANOUT : FANOUT / 2
      const sibling = this.#splitNode(node, at)
      this.innerCount++
      this.#writeChild(position >= at ? sibling : node, position >= at ? position - at : position, right)
      left = node
      right = sibling
    }
    const root = this.#newNode()
    this.innerCount++
    invariant(level < this.#pathNodes.length, 'a tree of bounded height')
    this.#writeChild(root, 0, left)
    this.#writeChild(root, 1, right)
    this.root = root
    this.height = level
  }

  /** Adds `child` to an inner node, under a copy of its first entry. */
  #writeChild(node: number, position: number, child: number): void {
    const { words } = this
    const slot = this.#openSlot(node, position)
    const first = this.slotAt(child, 0)
    for (let i = 0; i < SLOT_LAST; i++) words[slot + i] = words[first + i]!
    words[slot + SLOT_LAST] = child
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) ^ BIAS
}

function paddedWordAt(bytes: Uint8Array, at: number, end: number): number {
  let word = 0
  for (let i = 0; i < 4; i++) word = (word << 8) | (at + i < end ? bytes[at + i]! : 0)
  return word ^ BIAS
}
