/**
 * How an arena is laid out: nodes grow from its start upwards, records from its end downwards, one gap between them.
 *
 * A node is 272 words of 4 bytes:
 *
 * | words    | field                                                                             |
 * |----------|-----------------------------------------------------------------------------------|
 * | 0        | number of entries, at most 32                                                     |
 * | 1, 2     | next and previous leaf (word index), -1 for none; unused in an inner node         |
 * | 3        | slots in use, one bit each                                                        |
 * | 4..11    | order: byte i is the slot of the i-th smallest entry                              |
 * | 16..271  | 32 slots of 8 words                                                               |
 *
 * A slot: words 0 to 3 the first 16 key bytes (big-endian, padded with zeros), word 4 key length (16 bits) over the
 * upper 16 bits of the inverted sequence, word 5 its lower 32 bits, word 6 the record's byte offset, word 7 the
 * length of the payload (leaf) or the child (inner node). Words 0 to 5 are stored with the sign bit flipped, so that
 * signed comparison, the fast one in V8, is unsigned order.
 *
 * A record: kind (1 byte), key, payload. It is written once and never moves.
 *
 * It knows no operations; `arena-tree.ts` has them. An arena lives in memory only, so the layout may change freely.
 */

/** Entries in a node: as many as there are bits in the word of used slots. */
export const FANOUT = 32

export const NODE_WORDS = 272
export const NODE_BYTES = NODE_WORDS * 4

export const NODE_COUNT = 0
export const NODE_NEXT = 1
export const NODE_PREVIOUS = 2
export const NODE_USED = 3
export const NODE_ORDER = 4
export const NODE_SLOTS = 16

export const SLOT_SHIFT = 3
export const SLOT_WORDS = 1 << SLOT_SHIFT
export const SLOT_META = 4
export const SLOT_SEQUENCE = 5
export const SLOT_RECORD = 6
/** Payload length in a leaf, child in an inner node. */
export const SLOT_LAST = 7

/** Bytes of a record before the key. */
export const RECORD_HEADER = 1

/** Key bytes inside a slot. */
export const INLINE_KEY = 16

/** Flips the sign bit. */
export const BIAS = 0x8000_0000 | 0

/** No node. */
export const NONE = -1

/** Largest arena: word and byte offsets stay small integers. */
export const MAX_CAPACITY = 0x7fff_ffc0
