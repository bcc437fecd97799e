/**
 * Memory of an instance, and what is done with bytes in it.
 *
 * Memory is handed out upwards and taken back as a whole when the next piece of work begins; what has grown out of its place leaves the place
 * behind (`roomFor`). Behind each place are {@link SLACK} bytes that anybody may read and
 * write over: short copies and comparisons go by words of eight bytes.
 *
 * Accesses at any place say so (`wordAt`, an alignment of 1): where there is no WebAssembly the module runs as a script, which
 * takes the others to be where their type belongs.
 */

/** Bytes behind each place. */
const SLACK: usize = 16
const PAGE_BITS: usize = 16
/** From here on room grows by a quarter, not by all of it. */
const LARGE: u64 = 1 << 26

let top: usize = 0

/** Takes all memory back. */
export function freeAll(): void {
  top = (__heap_base + 15) & ~15
}

/** `length` bytes; 0 if there are none left. */
export function allocate(length: u64): usize {
  const end = <u64>top + ((length + SLACK + 15) & ~15)
  const missing = <i64>end - (<i64>memory.size() << PAGE_BITS)
  if (missing > 0) {
    const pages = (missing + 0xffff) >> PAGE_BITS
    if (pages > 0x10000 || memory.grow(<i32>pages) < 0) return 0
  }
  const place = top
  top = <usize>end
  return place
}

/** Room for `length` bytes and more: where what grows takes its room from a series, the places that it has left behind are not many. */
export function roomFor(length: u64): u64 {
  let room: u64 = 256
  while (room < length) room += room < LARGE ? room : room / 4
  return room
}

/** The word of eight bytes at any place. */
export function wordAt(at: usize): u64 {
  return load<u64>(at, 0, 1)
}

/** Copies `length` bytes, and up to seven that follow them. */
export function copyShort(to: usize, from: usize, length: u32): void {
  if (length > 64) {
    memory.copy(to, from, length)
    return
  }
  for (let i: u32 = 0; i < length; i += 8) store<u64>(to + i, wordAt(from + i), 0, 1)
}

/** Number of leading bytes that the two have in common. */
export function commonPrefix(a: usize, aLength: u32, b: usize, bLength: u32): u32 {
  const limit = min(aLength, bLength)
  let i: u32 = 0
  while (i < limit) {
    const difference = wordAt(a + i) ^ wordAt(b + i)
    if (difference != 0) return min(limit, i + (<u32>ctz(difference) >> 3))
    i += 8
  }
  return limit
}

/** Byte order: negative, zero or positive as `a` sorts before, with or after `b`. */
export function compareKeys(a: usize, aLength: u32, b: usize, bLength: u32): i32 {
  const shared = commonPrefix(a, aLength, b, bLength)
  if (shared < aLength && shared < bLength) return <i32>load<u8>(a + shared) - <i32>load<u8>(b + shared)
  return <i32>aLength - <i32>bLength
}

/** The first eight bytes of a key as a number that sorts as they do, zeros behind its end. */
export function firstWord(key: usize, length: u32): u64 {
  const word = bswap(wordAt(key))
  return length >= 8 ? word : length == 0 ? 0 : word & (<u64>-1 << (64 - (<u64>length << 3)))
}

/** Writes a number in its shortest form. Returns the place behind it. */
export function writeUvarint(at: usize, value: u32): usize {
  while (value >= 0x80) {
    store<u8>(at++, value | 0x80)
    value >>= 7
  }
  store<u8>(at, value)
  return at + 1
}
