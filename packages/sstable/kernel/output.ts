/**
 * The table that a merge writes: the data block that is being filled, as `block-builder.ts` fills it, and what has come together for the
 * table beside its blocks: hashes of keys, references, sums.
 *
 * Hashes and references are fetched, at the latest when their room is full (`isFull`).
 */
import { allocate, commonPrefix, copyShort, roomFor, wordAt, writeUvarint } from './bytes'
import { Source } from './source'

const KIND_VALUE: u32 = 1
const KIND_POINTER: u32 = 2
const BASE_KIND: u32 = 3
const TRAILER_LENGTH: u32 = 7
/** Three lengths, the last one of up to five bytes. */
const LONGEST_HEADER: u32 = 3 + 3 + 5
/** Hashes and references that there is room for. */
const ROOM: u32 = 1024
/** Bytes a reference takes in the file, reckoned as `TableWriter` does. */
const REFERENCE_ESTIMATE: f64 = 5
const FILTER_HEADER_LENGTH: f64 = 2

/** Bytes after which a block ends, and entries between its restart points. */
let blockSize: f64 = 0
let restartInterval: u32 = 0
let bitsPerKey: f64 = 0

/** The block: entries, restart points apart until it is finished. */
export let block: usize = 0
let blockRoom: u32 = 0
export let blockLength: u32 = 0
export let blockEntries: u32 = 0
export let blockValueBytes: f64 = 0
let restarts: usize = 0
let restartRoom: u32 = 0
let restartCount: u32 = 0
let sinceRestart: u32 = 0

/** The key of the entry that was added last, and its inverted sequence number. */
export let lastKey: usize = 0
let lastKeyRoom: u32 = 0
export let lastKeyLength: u32 = 0
export let lastInverted: u64 = 0

/** Of the table so far. */
export let entries: f64 = 0
export let tombstones: f64 = 0
export let distinctKeys: f64 = 0
export let keyBytes: f64 = 0
export let valueBytes: f64 = 0
export let smallestInverted: u64 = 0
export let largestInverted: u64 = 0
let referencesOfTable: f64 = 0

/** Two lanes of each key's hash; fid, length and offset of each record. */
export let hashes: usize = 0
export let hashCount: u32 = 0
export let references: usize = 0
export let referenceCount: u32 = 0

/** False if there is no memory. */
export function beginOutput(size: f64, interval: u32, bits: f64): bool {
  blockSize = size
  restartInterval = interval
  bitsPerKey = bits
  blockRoom = 1 << 14
  block = allocate(blockRoom)
  restartRoom = 64
  restarts = allocate(restartRoom << 2)
  lastKeyRoom = 256
  lastKey = allocate(lastKeyRoom)
  hashes = allocate(ROOM << 3)
  references = allocate(ROOM * 12)
  hashCount = 0
  referenceCount = 0
  beginTable()
  return block != 0 && restarts != 0 && lastKey != 0 && hashes != 0 && references != 0
}

export function beginTable(): void {
  beginBlock()
  lastKeyLength = 0
  entries = 0
  tombstones = 0
  distinctKeys = 0
  keyBytes = 0
  valueBytes = 0
  smallestInverted = u64.MAX_VALUE
  largestInverted = 0
  referencesOfTable = 0
}

export function beginBlock(): void {
  blockLength = 0
  blockEntries = 0
  blockValueBytes = 0
  restartCount = 0
  sinceRestart = 0
}

/** Hashes and references were fetched. */
export function fetched(): void {
  hashCount = 0
  referenceCount = 0
}

export function isFull(): bool {
  return hashCount == ROOM || referenceCount == ROOM
}

export function isBlockFull(): bool {
  return blockBytes() >= blockSize
}

/** What the block, the filter and the references would take if the table were finished now. */
export function estimate(): f64 {
  return blockBytes() + FILTER_HEADER_LENGTH + Math.ceil((distinctKeys * bitsPerKey) / 8) + referencesOfTable * REFERENCE_ESTIMATE
}

function blockBytes(): f64 {
  return <f64>blockLength + <f64>(restartCount << 2) + 4
}

/** Adds the entry that the source stands at, or a tombstone in its place. Requires room in `isFull`'s sense. False if there is no memory. */
export function add(source: Source, isBuried: bool): bool {
  const key = source.key
  const keyLength = source.keyLength
  const kind = isBuried ? 0 : source.kind
  const valueLength = isBuried ? 0 : source.valueLength
  const same = commonPrefix(lastKey, lastKeyLength, key, keyLength)
  const isSameKey = same == keyLength && same == lastKeyLength && entries > 0
  const room = <u64>blockLength + LONGEST_HEADER + TRAILER_LENGTH + keyLength + valueLength
  if (room > blockRoom && !growBlock(room)) return false
  let shared = same
  if (blockEntries == 0 || sinceRestart == restartInterval) {
    if (restartCount == restartRoom && !growRestarts()) return false
    store<u32>(restarts + (<usize>restartCount << 2), blockLength)
    restartCount++
    sinceRestart = 0
    shared = 0
  }
  const unshared = keyLength - shared
  let at = block + blockLength
  if ((shared | unshared | valueLength) < 0x80) {
    store<u8>(at, shared)
    store<u8>(at + 1, unshared)
    store<u8>(at + 2, valueLength)
    at += 3
  } else at = writeUvarint(writeUvarint(writeUvarint(at, shared), unshared), valueLength)
  store<u64>(at, bswap((source.inverted << 16) | (<u64>kind << 8)), 0, 1)
  at += TRAILER_LENGTH
  copyShort(at, key + shared, unshared)
  at += unshared
  copyShort(at, source.value, valueLength)
  blockLength = <u32>(at - block) + valueLength
  sinceRestart++
  blockEntries++
  if (!isSameKey) {
    distinctKeys++
    if (bitsPerKey > 0) addHash(key, keyLength)
  }
  account(kind, source.value, keyLength, valueLength, source.inverted)
  if (keyLength > lastKeyRoom && !growLastKey(keyLength, same)) return false
  copyShort(lastKey + same, key + same, keyLength - same)
  lastKeyLength = keyLength
  lastInverted = source.inverted
  return true
}

/** Completes the block: `blockLength` bytes at `block`. False if there is no memory. */
export function finishBlock(): bool {
  const length = (restartCount << 2) + 4
  const room = <u64>blockLength + length
  if (room > blockRoom && !growBlock(room)) return false
  const at = block + blockLength
  memory.copy(at, restarts, restartCount << 2)
  store<u32>(at + (restartCount << 2), restartCount, 0, 1)
  blockLength += length
  return true
}

function account(kind: u32, value: usize, keyLength: u32, valueLength: u32, inverted: u64): void {
  entries++
  keyBytes += keyLength
  valueBytes += valueLength
  if (inverted < smallestInverted) smallestInverted = inverted
  if (inverted > largestInverted) largestInverted = inverted
  const base = kind & BASE_KIND
  if (base == KIND_VALUE) blockValueBytes += valueLength
  else if (base == KIND_POINTER) {
    const to = references + <usize>referenceCount * 12
    store<u64>(to, wordAt(value), 0, 4)
    store<u32>(to + 8, load<u32>(value + 8, 0, 1))
    referenceCount++
    referencesOfTable++
  } else tombstones++
}

/** The hash of `bloom-filter.ts`. */
function addHash(key: usize, length: u32): void {
  let a: u32 = 0x9747_b28c
  let b: u32 = 0x5bd1_e995
  let at: u32 = 0
  for (; at + 4 <= length; at += 4) {
    const word = load<u32>(key + at)
    a = mixA(a, word)
    b = mixB(b, word)
  }
  if (at < length) {
    const word = load<u32>(key + at) & ((<u32>1 << ((length - at) << 3)) - 1)
    a = mixA(a, word)
    b = mixB(b, word)
  }
  const to = hashes + (<usize>hashCount << 3)
  store<u32>(to, finish(a ^ length))
  store<u32>(to + 4, finish(b ^ length))
  hashCount++
}

function mixA(state: u32, word: u32): u32 {
  return rotl<u32>(state ^ (rotl<u32>(word * 0xcc9e2d51, 15) * 0x1b873593), 13) * 5 + 0xe6546b64
}

function mixB(state: u32, word: u32): u32 {
  return rotl<u32>(state ^ (rotl<u32>(word * 0x239b961b, 17) * 0xab0e9789), 19) * 5 + 0x561ccd1b
}

function finish(hash: u32): u32 {
  hash = (hash ^ (hash >> 16)) * 0x85ebca6b
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35
  return hash ^ (hash >> 16)
}

function growBlock(length: u64): bool {
  const room = roomFor(length)
  const grown = allocate(room)
  if (grown == 0) return false
  memory.copy(grown, block, blockLength)
  block = grown
  blockRoom = <u32>room
  return true
}

function growRestarts(): bool {
  const grown = allocate(<u64>restartRoom << 3)
  if (grown == 0) return false
  memory.copy(grown, restarts, restartRoom << 2)
  restarts = grown
  restartRoom <<= 1
  return true
}

function growLastKey(length: u32, kept: u32): bool {
  const room = roomFor(length)
  const grown = allocate(room)
  if (grown == 0) return false
  memory.copy(grown, lastKey, kept)
  lastKey = grown
  lastKeyRoom = <u32>room
  return true
}
