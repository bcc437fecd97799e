/**
 * Sorts the references of a table by file and offset, and writes its reference block (`reference-list.ts` has the format).
 *
 * A reference is an encoded pointer of twelve bytes: fid, length, offset. They are ordered a byte after the other, the lowest of the offset first,
 * and keep their order where they are equal; comparing them would take five times as long. A call takes up to a
 * millisecond, but for the first one that encodes, which counts all of them.
 */
import { allocate, freeAll, writeUvarint } from './bytes'

const WIDTH: usize = 12
const LENGTH: usize = 4
const OFFSET: usize = 8
/** Bytes of a group in memory: fid, count, sum of lengths. */
const GROUP_WIDTH: usize = 24
/** References that one call looks at. */
const STEP: u32 = 1 << 15
/** Bytes that order references: four of the offset, then four of the fid. */
const DIGITS: u32 = 8
const LONGEST_UVARINT: u64 = 5

let count: u32 = 0
let from: usize = 0
let to: usize = 0
/** The byte that they are being ordered by, and how far that has come. */
let digit: u32 = 0
let isPlacing: bool = false
let done: u32 = 0
/** How many have each value of the byte; then where the next one of it goes. */
const places: usize = memory.data(256 * 4, 4)

let groups: usize = 0
let groupTotal: u32 = 0
let encoded: usize = 0
let encodedEnd: usize = 0
let previousFid: u32 = 0
let previousOffset: u32 = 0

/** Where to put so many references; 0 if there is no memory. */
export function beginReferences(references: u32): usize {
  freeAll()
  count = references
  from = allocate(<u64>count * WIDTH)
  to = allocate(<u64>count * WIDTH)
  digit = 0
  startDigit()
  return to == 0 ? 0 : from
}

/** Orders them a bit further. Returns whether there is more to do. */
export function sortReferences(): bool {
  if (digit == DIGITS) return false
  const end = min(count, done + STEP)
  const place = placeOf(digit)
  if (isPlacing) placeAll(place, done, end)
  else countAll(place, done, end)
  done = end
  if (done < count) return true
  if (!isPlacing && !isOneValue()) {
    toPlaces()
    isPlacing = true
    done = 0
    return true
  }
  if (isPlacing) {
    const sorted = to
    to = from
    from = sorted
  }
  digit++
  startDigit()
  return digit < DIGITS
}

/** Where the byte lies in a reference. */
function placeOf(digit: u32): usize {
  return digit < 4 ? OFFSET + digit : digit - 4
}

function startDigit(): void {
  isPlacing = false
  done = 0
  memory.fill(places, 0, 256 * 4)
}

function countAll(place: usize, start: u32, end: u32): void {
  for (let i = start; i < end; i++) {
    const at = placeFor(load<u8>(from + <usize>i * WIDTH + place))
    store<u32>(at, load<u32>(at) + 1)
  }
}

/** Bytes that are the same everywhere order nothing. */
function isOneValue(): bool {
  return load<u32>(placeFor(load<u8>(from + placeOf(digit)))) == count
}

function toPlaces(): void {
  let sum: u32 = 0
  for (let value: u32 = 0; value < 256; value++) {
    const at = placeFor(value)
    const own = load<u32>(at)
    store<u32>(at, sum)
    sum += own
  }
}

function placeAll(place: usize, start: u32, end: u32): void {
  for (let i = start; i < end; i++) {
    const reference = from + <usize>i * WIDTH
    const at = placeFor(load<u8>(reference + place))
    const index = load<u32>(at)
    store<u32>(at, index + 1)
    const target = to + <usize>index * WIDTH
    store<u64>(target, load<u64>(reference, 0, 4), 0, 4)
    store<u32>(target + OFFSET, load<u32>(reference + OFFSET))
  }
}

function placeFor(value: u32): usize {
  return places + (<usize>value << 2)
}

/** Writes the block of the first references, then of those that follow, up to the last. Returns where it begins; 0 if there is no memory. */
export function encodeReferences(isFirst: bool): usize {
  if (isFirst && !beginBlock()) return 0
  const end = min(count, done + STEP)
  for (; done < end; done++) encodeReference(from + <usize>done * WIDTH)
  return encoded
}

function beginBlock(): bool {
  groupTotal = 0
  done = 0
  let all: u32 = 0
  for (let i: u32 = 0; i < count; i++) if (startsGroup(i)) all++
  groups = allocate(<u64>all * GROUP_WIDTH)
  encoded = allocate(2 * LONGEST_UVARINT * (<u64>count + all))
  encodedEnd = encoded
  previousFid = 0
  if (groups == 0 || encoded == 0) return false
  // Counts come before what they count.
  let group = groups - GROUP_WIDTH
  for (let i: u32 = 0; i < count; i++) {
    const reference = from + <usize>i * WIDTH
    if (startsGroup(i)) {
      group += GROUP_WIDTH
      store<f64>(group, load<u32>(reference))
      store<f64>(group + 8, 0)
      store<f64>(group + 16, 0)
    }
    store<f64>(group + 8, load<f64>(group + 8) + 1)
    store<f64>(group + 16, load<f64>(group + 16) + <f64>load<u32>(reference + LENGTH))
  }
  return true
}

function startsGroup(index: u32): bool {
  const reference = from + <usize>index * WIDTH
  return index == 0 || load<u32>(reference) != load<u32>(reference - WIDTH)
}

function encodeReference(reference: usize): void {
  const offset = load<u32>(reference + OFFSET)
  if (startsGroup(done)) {
    const group = groups + <usize>groupTotal * GROUP_WIDTH
    groupTotal++
    const fid = load<u32>(reference)
    encodedEnd = writeUvarint(writeUvarint(encodedEnd, fid - previousFid), <u32>load<f64>(group + 8))
    previousFid = fid
    previousOffset = 0
  }
  encodedEnd = writeUvarint(writeUvarint(encodedEnd, offset - previousOffset), load<u32>(reference + LENGTH))
  previousOffset = offset
}

/** Bytes of the block so far. */
export function encodedLength(): u32 {
  return <u32>(encodedEnd - encoded)
}

/** For each file three numbers of eight bytes: fid, references, sum of their lengths. */
export function groupsAt(): usize {
  return groups
}

export function groupCount(): u32 {
  return groupTotal
}
