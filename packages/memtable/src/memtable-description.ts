/**
 * A sealed memtable as plain data: what goes from thread to thread in its place. Checked for its form when a memtable is attached to it; that the
 * arena holds what it says is the word of whoever made it.
 */
import { checkArgument, isCount, isSequence } from '@wk/codec'
import { MAX_CAPACITY, NODE_WORDS } from './arena-layout.js'
import { MAX_HEIGHT } from './arena-tree.js'
import type { TreeState } from './arena-tree.js'

/** A sealed memtable as plain data: may be posted to another thread. The buffer is shared, not copied. */
export interface MemtableDescription {
  buffer: SharedArrayBuffer
  tree: TreeState
  recordStart: number
  recordEnd: number
  count: number
  tombstones: number
  firstSequence: number
  lastSequence: number
  references: { fid: number; count: number; bytes: number }[]
  entryBytes: number
  shadowedBytes: number
  attributed: number
}

/** @throws InvalidArgumentError for what no `describe()` gives */
export function checkDescription(description: MemtableDescription): void {
  checkArgument(typeof description === 'object' && description !== null, 'a description of a memtable')
  const { buffer, tree, recordStart, recordEnd, references, firstSequence, lastSequence } = description
  checkArgument(buffer instanceof SharedArrayBuffer, 'a shared buffer')
  checkArgument(isCount(recordEnd) && recordEnd <= MAX_CAPACITY && recordEnd <= buffer.byteLength, 'an arena inside its buffer')
  checkArgument(isCount(recordStart) && recordStart <= recordEnd, 'records inside the arena')
  checkArgument(isSequence(firstSequence) && isSequence(lastSequence), 'sequence numbers within 48 bits')
  const { count, tombstones, entryBytes, shadowedBytes, attributed } = description
  for (const sum of [count, tombstones, entryBytes, shadowedBytes, attributed]) checkArgument(isCount(sum), 'sums of entries')
  checkTree(tree, recordStart)
  checkArgument(Array.isArray(references), 'a list of references')
  for (const reference of references) {
    checkArgument(typeof reference === 'object' && reference !== null, 'references as objects')
    checkArgument(isCount(reference.fid) && isCount(reference.count) && isCount(reference.bytes), 'sums of references')
  }
}

function checkTree(tree: TreeState, recordStart: number): void {
  checkArgument(typeof tree === 'object' && tree !== null, 'the state of a tree')
  const { root, height, firstLeaf, lastLeaf, leafCount, innerCount, nodeEnd } = tree
  for (const number of [height, leafCount, innerCount, nodeEnd]) checkArgument(isCount(number), 'the counts of a tree')
  checkArgument(height < MAX_HEIGHT, 'a tree of bounded height')
  checkArgument(nodeEnd * 4 <= recordStart, 'nodes before records')
  for (const node of [root, firstLeaf, lastLeaf]) checkArgument(isCount(node) && node + NODE_WORDS <= nodeEnd, 'nodes inside the arena')
  checkArgument((leafCount + innerCount) * NODE_WORDS === nodeEnd, 'as many nodes as there is room for')
}
