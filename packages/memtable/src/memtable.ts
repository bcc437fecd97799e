/**
 * Memtable: the newest entries of the tree, ordered, in one SharedArrayBuffer of fixed size.
 *
 * Guarantees: bounded (an entry that does not fit is refused, never cut); entries never change or move once added, so
 * the views a lookup or cursor hands out stay good for the life of the memtable; cursors stay correct while entries
 * are added; a sealed memtable can be read by another thread through `describe()` and `Memtable.attach()`.
 *
 * Nobody but its owner may write to the buffer. It leaves visibility (which sequences a reader may see), durability
 * and when to seal to the tree. One thread writes; other threads read only after it is sealed.
 */
import {
  InvalidArgumentError,
  KIND_ATTRIBUTES,
  KIND_POINTER,
  KIND_TOMBSTONE,
  MAX_KEY_LENGTH,
  MAX_SEQUENCE,
  POINTER_LENGTH,
  ReadOnlyError,
  attributesLength,
  baseKind,
  checkArgument,
  entryBytes,
  isCount,
  isKind,
  isSequence,
  isU32,
  readPointerFid,
  readPointerLen,
  writeAttributes,
  writePointer,
} from '@wk/codec'
import type { EntryCursor, LookupResult } from '@wk/codec'
import { MAX_CAPACITY, NODE_BYTES, RECORD_HEADER, SLOT_LAST, SLOT_RECORD } from './arena-layout.js'
import { ArenaTree } from './arena-tree.js'
import { MemtableCursor, invalidTarget } from './memtable-cursor.js'
import { checkDescription } from './memtable-description.js'
import type { MemtableDescription } from './memtable-description.js'

export interface MemtableOptions {
  /**
   * Bytes for entries and index together, rounded up to 64. Address space, not memory: pages count once written to.
   * From {@link MIN_CAPACITY} to just under 2 GiB.
   */
  capacity: number
  /**
   * A buffer to use again instead of a fresh one, whose pages cost 2 µs each at first touch. At least `capacity`
   * bytes. Nobody may read an earlier memtable in it any more.
   */
  buffer?: SharedArrayBuffer | undefined
}

/** Live references of a memtable's entries into one value-log file. */
export interface MemtableReferences {
  /** Entries that point into the file. */
  count: number
  /** Bytes of the records they point to. */
  bytes: number
}

/** Smallest capacity: a root, room to split it, and some records. */
export const MIN_CAPACITY = 4 * NODE_BYTES

/** Too small for any entry: see {@link Memtable.placeholder}. */
const PLACEHOLDER_CAPACITY = 2 * NODE_BYTES

/** Key bytes up to this count are copied by a loop: cheaper than `set` and a view. */
const SHORT_COPY = 40

export class Memtable {
  /** The arena. */
  readonly buffer: SharedArrayBuffer
  readonly #tree: ArenaTree
  readonly #bytes: Uint8Array
  readonly #recordEnd: number
  #recordStart: number
  #sealed = false
  #count = 0
  #tombstones = 0
  #firstSequence = MAX_SEQUENCE
  #lastSequence = 0
  #entryBytes = 0
  #shadowedBytes = 0
  #attributed = 0
  readonly #references = new Map<number, MemtableReferences>()
  #lastFid = -1
  #lastReferences: MemtableReferences = { count: 0, bytes: 0 }

  /** @throws InvalidArgumentError for a capacity out of its limits, or a buffer that is none or too short */
  constructor(options: MemtableOptions, description?: MemtableDescription) {
    checkArgument(typeof options === 'object' && options !== null, 'options as an object')
    checkArgument(isCount(options.capacity), 'a capacity as an integer')
    const capacity = Math.ceil(options.capacity / 64) * 64
    checkArgument((capacity >= MIN_CAPACITY || options.capacity === PLACEHOLDER_CAPACITY) && capacity <= MAX_CAPACITY, 'a memtable capacity within its limits')
    this.buffer = options.buffer ?? new SharedArrayBuffer(capacity)
    checkArgument(this.buffer instanceof SharedArrayBuffer && this.buffer.byteLength >= capacity, 'a shared buffer of at least the capacity')
    if (description !== undefined) checkDescription(description)
    this.#tree = new ArenaTree(this.buffer, description?.tree)
    this.#bytes = this.#tree.bytes
    this.#recordEnd = description?.recordEnd ?? capacity
    this.#recordStart = description?.recordStart ?? capacity
    if (description === undefined) return
    this.#sealed = true
    this.#count = description.count
    this.#tombstones = description.tombstones
    this.#firstSequence = description.firstSequence
    this.#lastSequence = description.lastSequence
    this.#entryBytes = description.entryBytes
    this.#shadowedBytes = description.shadowedBytes
    this.#attributed = description.attributed
    for (const { fid, count, bytes } of description.references) this.#references.set(fid, { count, bytes })
  }

  /** An empty memtable without room for anything: stands where nobody has written yet, for no arena at all. */
  static placeholder(): Memtable {
    return new Memtable({ capacity: PLACEHOLDER_CAPACITY })
  }

  /** A memtable over another thread's sealed arena, itself sealed. @throws InvalidArgumentError for what no `describe()` gives */
  static attach(description: MemtableDescription): Memtable {
    checkDescription(description)
    return new Memtable({ capacity: description.recordEnd, buffer: description.buffer }, description)
  }

  /** Capacity that holds any `operations` entries whose keys and payloads have `bytes` bytes in all. @throws InvalidArgumentError for what are no counts */
  static capacityFor(operations: number, bytes: number): number {
    checkSizes(operations, bytes)
    return Math.max(MIN_CAPACITY, bytes + operations * RECORD_HEADER + (1 + splitBound(operations, 1, 0, 0)) * NODE_BYTES + 64)
  }

  /** Number of entries, tombstones and older versions included. */
  get count(): number {
    return this.#count
  }

  /** Number of tombstones among the entries. */
  get tombstones(): number {
    return this.#tombstones
  }

  /** Lowest sequence number added. Meaningless while `count` is 0. */
  get firstSequence(): number {
    return this.#firstSequence
  }

  /** Highest sequence number added. Meaningless while `count` is 0. */
  get lastSequence(): number {
    return this.#lastSequence
  }

  /** Bytes that the entries stand for: of a pointer those of its record, of another entry those of key and payload, of a tombstone none. */
  get entryBytes(): number {
    return this.#entryBytes
  }

  /** How many of them belong to entries that a newer one of the same key shadows in this memtable. */
  get shadowedBytes(): number {
    return this.#shadowedBytes
  }

  /** Number of entries with attributes: only they may expire. */
  get attributed(): number {
    return this.#attributed
  }

  /** Bytes of the arena in use by nodes and records. */
  get usedBytes(): number {
    return this.#tree.nodeEnd * 4 + (this.#recordEnd - this.#recordStart)
  }

  /** Bytes of the arena, used or not. */
  get capacity(): number {
    return this.#recordEnd
  }

  get sealed(): boolean {
    return this.#sealed
  }

  /** Ends adding, for ever. Requires nothing; sealing twice is allowed. */
  seal(): void {
    this.#sealed = true
  }

  /** Whether an entry with a key and payload of these lengths certainly fits. Conservative by at most a few nodes. @throws InvalidArgumentError for what are no lengths */
  hasRoom(keyLength: number, payloadLength: number): boolean {
    checkSizes(keyLength, payloadLength)
    return this.#fits(keyLength, payloadLength)
  }

  /** Whether `operations` entries certainly fit whose keys and payloads have `bytes` bytes in all. @throws InvalidArgumentError for what are no counts */
  hasRoomFor(operations: number, bytes: number): boolean {
    checkSizes(operations, bytes)
    const tree = this.#tree
    const nodes = splitBound(operations, tree.leafCount, tree.innerCount, tree.height)
    return bytes + operations * RECORD_HEADER + nodes * NODE_BYTES <= this.#recordStart - tree.nodeEnd * 4
  }

  /**
   * Adds an entry; key and payload are copied. Requires `hasRoom`, not sealed, and a (key, sequence) pair that is new. A breach changes nothing.
   * @throws InvalidArgumentError for a breach, and arguments of the wrong kind; ReadOnlyError once sealed
   */
  add(key: Uint8Array, sequence: number, kind: number, value: Uint8Array, valueStart = 0, valueEnd: number = value?.length): void {
    // One question each here and in `#reserve`, not a call for every condition: calls count towards what V8 compiles into one piece.
    if (!(value instanceof Uint8Array) || !isU32(valueStart) || !isU32(valueEnd) || valueStart > valueEnd || valueEnd > value.length) throw refusal('a payload inside its bytes, a Uint8Array')
    if (!isKind(kind)) throw refusal('a known kind')
    const length = valueEnd - valueStart
    const base = baseKind(kind)
    if (base === KIND_POINTER && length < POINTER_LENGTH) throw refusal('a pointer entry with a pointer')
    const record = this.#reserve(key, sequence, kind, length)
    copy(value, valueStart, valueEnd, this.#bytes, record + RECORD_HEADER + key.length)
    this.#insert(key, sequence, record, length)
    this.#weigh(entryBytes(kind, key.length, value, valueStart, valueEnd), key.length)
    if (kind !== base) this.#attributed++
    if (base === KIND_TOMBSTONE) this.#tombstones++
    else if (base === KIND_POINTER) this.#refer(readPointerFid(value, valueStart), readPointerLen(value, valueStart))
  }

  /** {@link Memtable.add} of a pointer entry, encoded straight into the arena. `kind` is the pointer kind, flagged if there are attributes. */
  addPointer(
    key: Uint8Array,
    sequence: number,
    kind: number,
    fid: number,
    offset: number,
    len: number,
    userMeta = 0,
    expiresAt = 0,
  ): void {
    if (!isU32(fid) || !isU32(offset) || !isU32(len)) throw refusal('the fields of a pointer within 32 bits')
    if ((userMeta !== 0 || expiresAt !== 0) && !(isU32(userMeta) && userMeta <= 0xff && isCount(expiresAt))) throw refusal('a byte of user meta, and an expiry in seconds')
    const attributes = attributesLength(userMeta, expiresAt)
    if (kind !== (attributes === 0 ? KIND_POINTER : KIND_POINTER | KIND_ATTRIBUTES)) throw refusal('a pointer kind that fits its attributes')
    const record = this.#reserve(key, sequence, kind, POINTER_LENGTH + attributes)
    const at = record + RECORD_HEADER + key.length
    writePointer(this.#bytes, at, fid, offset, len)
    writeAttributes(this.#bytes, at + POINTER_LENGTH, userMeta, expiresAt)
    this.#insert(key, sequence, record, POINTER_LENGTH + attributes)
    this.#weigh(len, key.length)
    if (attributes !== 0) this.#attributed++
    this.#refer(fid, len)
  }

  /**
   * Finds the newest entry of `key` with a sequence number of at most `sequence`, tombstones included, and fills
   * `out`. Returns whether there is one. The views in `out` stay good for the life of the memtable.
   * @throws InvalidArgumentError for arguments of the wrong kind
   */
  get(key: Uint8Array, sequence: number, out: LookupResult): boolean {
    // No more than costs nothing: a call less is a piece more of the search that is compiled into one. That the sequence number is whole is left to the caller.
    if (!(key instanceof Uint8Array) || typeof sequence !== 'number' || !(sequence >= 0 && sequence <= MAX_SEQUENCE) || !out) throw invalidTarget()
    const tree = this.#tree
    tree.aim(key, 0, key.length, sequence)
    const slot = tree.seek()
    if (slot < 0 || !tree.isTargetKey(slot)) {
      out.found = false
      return false
    }
    const record = tree.words[slot + SLOT_RECORD]!
    const start = record + RECORD_HEADER + key.length
    out.found = true
    out.sequence = tree.sequence(slot)
    out.kind = this.#bytes[record]!
    out.valueBytes = this.#bytes
    out.valueStart = start
    out.valueEnd = start + tree.words[slot + SLOT_LAST]!
    return true
  }

  /** A cursor beside all entries. It sees entries added later; they may be added while it stands anywhere. */
  cursor(): EntryCursor {
    return new MemtableCursor(this.#tree)
  }

  /** What the entries reference in the value log, by file. The caller's own copy. */
  references(): Map<number, MemtableReferences> {
    const copied = new Map<number, MemtableReferences>()
    for (const [fid, { count, bytes }] of this.#references) copied.set(fid, { count, bytes })
    return copied
  }

  /** The memtable as plain data for another thread. @throws InvalidArgumentError unless it is sealed */
  describe(): MemtableDescription {
    checkArgument(this.#sealed, 'a memtable that is sealed before it is shared')
    return {
      buffer: this.buffer,
      tree: this.#tree.state(),
      recordStart: this.#recordStart,
      recordEnd: this.#recordEnd,
      count: this.#count,
      tombstones: this.#tombstones,
      firstSequence: this.#firstSequence,
      lastSequence: this.#lastSequence,
      references: [...this.#references].map(([fid, { count, bytes }]) => ({ fid, count, bytes })),
      entryBytes: this.#entryBytes,
      shadowedBytes: this.#shadowedBytes,
      attributed: this.#attributed,
    }
  }

  #fits(keyLength: number, payloadLength: number): boolean {
    const tree = this.#tree
    return RECORD_HEADER + keyLength + payloadLength + (tree.height + 2) * NODE_BYTES <= this.#recordStart - tree.nodeEnd * 4
  }

  /** Checks key, sequence number and room, and writes the record up to the key. Returns where; nothing counts before `#insert`. */
  #reserve(key: Uint8Array, sequence: number, kind: number, payloadLength: number): number {
    if (this.#sealed) throw new ReadOnlyError('the memtable is sealed')
    if (!(key instanceof Uint8Array) || key.length > MAX_KEY_LENGTH || !isSequence(sequence)) throw refusal('a key as a Uint8Array within its limit, and a sequence number within 48 bits')
    if (!this.#fits(key.length, payloadLength)) throw refusal('room for the entry')
    const record = this.#recordStart - RECORD_HEADER - key.length - payloadLength
    this.#bytes[record] = kind
    copy(key, 0, key.length, this.#bytes, record + RECORD_HEADER)
    return record
  }

  #insert(key: Uint8Array, sequence: number, record: number, payloadLength: number): void {
    this.#tree.aim(key, 0, key.length, sequence)
    this.#tree.insert(record, payloadLength)
    this.#recordStart = record
    this.#count++
    if (sequence < this.#firstSequence) this.#firstSequence = sequence
    if (sequence > this.#lastSequence) this.#lastSequence = sequence
  }

  /** Counts the entry that was inserted last. */
  #weigh(bytes: number, keyLength: number): void {
    const tree = this.#tree
    this.#entryBytes += bytes
    if (tree.foundNewer) this.#shadowedBytes += bytes
    else if (tree.foundOlder) {
      const slot = tree.slotAfter()
      const record = tree.words[slot + SLOT_RECORD]!
      const start = record + RECORD_HEADER + keyLength
      this.#shadowedBytes += entryBytes(this.#bytes[record]!, keyLength, this.#bytes, start, start + tree.words[slot + SLOT_LAST]!)
    }
  }

  #refer(fid: number, len: number): void {
    if (fid !== this.#lastFid) {
      let sum = this.#references.get(fid)
      if (sum === undefined) {
        sum = { count: 0, bytes: 0 }
        this.#references.set(fid, sum)
      }
      this.#lastFid = fid
      this.#lastReferences = sum
    }
    this.#lastReferences.count++
    this.#lastReferences.bytes += len
  }
}

function refusal(expected: string): InvalidArgumentError {
  return new InvalidArgumentError(`expected: ${expected}`)
}

function checkSizes(a: number, b: number): void {
  // The second question is for what is larger than any arena, and costs more.
  checkArgument((isU32(a) && isU32(b)) || (isCount(a) && isCount(b)), 'sizes as integers from 0')
}

function copy(from: Uint8Array, start: number, end: number, into: Uint8Array, at: number): void {
  if (end - start <= SHORT_COPY) for (let i = start; i < end; i++) into[at++] = from[i]!
  else into.set(start === 0 && end === from.length ? from : from.subarray(start, end), at)
}

/**
 * Nodes to have free for `inserts` entries, so that `hasRoom` holds before each of them. A full leaf splits at its next entry, so each leaf there is may
 * split for a single entry. After that, 17 entries bring about two splits at most: one at the right edge, which leaves
 * a full leaf behind, and one of that leaf; a seventh is reckoned. The same holds a level up, with splits as entries.
 */
function splitBound(inserts: number, leaves: number, inners: number, height: number): number {
  let added = Math.min(inserts, leaves + Math.ceil(inserts / 7))
  let nodes = added
  let level = 0
  for (; level < height || added > 1; level++) {
    added = level < height ? Math.min(added, inners + Math.ceil(added / 7)) : Math.ceil(added / 7)
    nodes += added
  }
  // The last entry, too, is asked for a whole path and a new root; one node more for a leaf that was half full.
  return nodes + level + 4
}
