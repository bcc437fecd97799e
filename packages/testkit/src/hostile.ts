/**
 * Hostile files: knows enough of every format to change a field where it hurts and to put the checksum right again, so that what
 * is behind the checksum is reached. Formats are those of docs/format.md; nothing of the packages that read them is used, so a
 * mistake there cannot hide here.
 */
import { FRAME_HEADER_LENGTH, crc32c, crc32cRange, parseFileName, placeSeed, readU32, writeFrameHeader, writeU32 } from '@wk/codec'
import type { DiskImage } from './disk-image.js'
import type { Rng } from './rng.js'

/** A part of a file with a checksum of its own. `sign` puts it right in changed bytes. */
export interface Part {
  /** Bytes that the checksum covers and that mean something: `[from, to)`. */
  readonly from: number
  readonly to: number
  readonly sign: (bytes: Uint8Array) => void
}

/** The numbers that a length, a count or an offset must not be believed to be, each as little- and big-endian words and as varints. */
export const HOSTILE_FIELDS: readonly Uint8Array[] = [
  ...[0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1].flatMap((value) => {
    const word = new Uint8Array(4)
    writeU32(word, 0, value)
    return [word, word.slice().reverse()]
  }),
  // Varints: 2^31 - 1, 2^31, 2^32 - 1, 2^53 - 1, 2^53, 0 in two bytes, one that does not end.
  ...['ffffffff07', '8080808008', 'ffffffff0f', 'ffffffffffffff0f', '8080808080808010', '8000', 'ffffffffffffffffffff'].map((hex) => Uint8Array.from(Buffer.from(hex, 'hex'))),
  Uint8Array.of(0),
  Uint8Array.of(1),
  Uint8Array.of(0x7f),
]

/** The parts of a file, from its name and its bytes. */
export function partsOf(name: string, bytes: Uint8Array): Part[] {
  const parsed = parseFileName(name)
  switch (parsed?.kind) {
    case 'wal':
    case 'manifest':
      return frames(bytes, parsed.number)
    case 'table':
      return blocks(bytes, parsed.number)
    case 'vlog':
      return records(bytes)
    case 'relocated':
      return [...records(bytes), ...runTable(bytes, parsed.number)]
    case 'runs':
      return runTable(bytes, parsed.number)
    default:
      return bytes.length === 0 ? [] : [{ from: 0, to: bytes.length, sign: () => {} }]
  }
}

/** Every field of every part set to every hostile value, with sums put right: a field is any place, for any could be one. */
export function* hostileFields(name: string, bytes: Uint8Array): Generator<Uint8Array> {
  for (const part of partsOf(name, bytes)) {
    for (let at = part.from; at < part.to; at++) {
      for (const value of HOSTILE_FIELDS) {
        if (at + value.length > part.to) continue
        const changed = bytes.slice()
        changed.set(value, at)
        part.sign(changed)
        yield changed
      }
    }
  }
}

/** One file changed at random: in half of the cases with knowledge of its parts ({@link partsOf}) and sums put right, else anyhow. */
export function mutate(bytes: Uint8Array, parts: readonly Part[], rng: Rng): Uint8Array {
  if (parts.length === 0 || rng.chance(0.5)) return mutateRaw(bytes, rng)
  const part = rng.pick(parts)
  const changed = bytes.slice()
  for (let left = rng.between(1, 3); left > 0; left--) {
    const at = rng.between(part.from, part.to - 1)
    const way = rng.below(4)
    if (way < 2) changed.set(rng.pick(HOSTILE_FIELDS).subarray(0, part.to - at), at)
    else if (way === 2) changed[at] = rng.below(256)
    // Self-overlap: a stretch of the part over another one of it.
    else changed.copyWithin(at, part.from, Math.min(part.to, part.from + part.to - at, part.from + rng.below(64)))
  }
  part.sign(changed)
  return changed
}

/** An image in which one to three files were changed. */
export function hostileImage(image: DiskImage, rng: Rng): DiskImage {
  const hostile = new Map(image)
  const names = [...image.keys()]
  for (let left = rng.chance(0.7) ? 1 : rng.between(2, 3); left > 0; left--) {
    const name = rng.pick(names)
    const bytes = hostile.get(name) ?? new Uint8Array(0)
    hostile.set(name, mutate(bytes, partsOf(name, bytes), rng))
  }
  return hostile
}

const NAMES = ['000012.wal', '000012.sst', '000012.vlog', '000012.rlog', '000012.runs', 'MANIFEST-000003', 'CURRENT', 'LOCK', 'VLOGSTATE', 'KEYREGISTRY', '000012.sst.tmp', 'CURRENT.tmp']
/** What is put into names: what looks like their parts, and what a path, a shell or another alphabet would make of them. */
const PIECES = ['0', '9', '-', '+', '.', '..', ' ', '\n', '\\', '%2f', '00000', '99999999999', 'e3', '0x', '.tmp', '.sst', '.SST', 'MANIFEST-', '１２', '\u200b', 'é', '\ufeff']

/** A file name that is nearly one of ours, or still is: a piece put in, taken out, repeated, or in another case. Holds no `/` and no NUL. */
export function hostileName(rng: Rng): string {
  let name = rng.pick(NAMES)
  for (let left = rng.between(1, 3); left > 0; left--) {
    const at = rng.below(name.length + 1)
    const to = Math.min(name.length, at + rng.between(1, 4))
    const way = rng.below(5)
    if (way === 0) name = name.slice(0, at) + rng.pick(PIECES) + name.slice(at)
    else if (way === 1) name = name.slice(0, at) + rng.pick(PIECES) + name.slice(to)
    else if (way === 2) name = name.slice(0, at) + name.slice(to)
    else if (way === 3) name = name.slice(0, to) + name.slice(at)
    else name = rng.chance(0.5) ? name.toLowerCase() : name.toUpperCase()
  }
  return name === '' || name === '.' || name === '..' ? '0' : name
}

function mutateRaw(bytes: Uint8Array, rng: Rng): Uint8Array {
  const at = rng.below(bytes.length + 1)
  switch (rng.below(5)) {
    case 0:
      return bytes.slice(0, at)
    case 1:
      return bytes.slice().fill(rng.pick([0, 0xff]), at, at + rng.below(200))
    case 2: {
      const more = rng.bytes(rng.below(300))
      const longer = new Uint8Array(bytes.length + more.length)
      longer.set(bytes)
      longer.set(more, bytes.length)
      return longer
    }
    case 3:
      return bytes.slice().copyWithin(at, rng.below(bytes.length + 1), rng.below(bytes.length + 1))
    default: {
      const changed = bytes.slice()
      for (let left = rng.between(1, 4); left > 0 && bytes.length > 0; left--) changed[rng.below(bytes.length)] = rng.below(256)
      return changed
    }
  }
}

function frames(bytes: Uint8Array, number: number): Part[] {
  const parts: Part[] = []
  for (let at = 16; at + FRAME_HEADER_LENGTH < bytes.length; ) {
    const start = at
    const length = readU32(bytes, at + 4)
    if (length < 1 || at + FRAME_HEADER_LENGTH + length > bytes.length) break
    parts.push({ from: start + FRAME_HEADER_LENGTH, to: start + FRAME_HEADER_LENGTH + length, sign: (changed) => writeFrameHeader(changed, start, length, number, start) })
    at += FRAME_HEADER_LENGTH + length
  }
  return parts
}

/** Blocks of a table: their lengths are found by their sums. */
function blocks(bytes: Uint8Array, number: number): Part[] {
  const parts: Part[] = []
  const footer = bytes.length - 44
  for (let at = 0; at < footer; ) {
    const start = at
    let end = at + 1
    let sum = placeSeed(number, at)
    for (sum = crc32cRange(bytes, at, end, sum); end + 4 <= footer && readU32(bytes, end) !== sum; end++) sum = crc32cRange(bytes, end, end + 1, sum)
    if (end + 4 > footer) break
    const to = end
    parts.push({ from: start, to, sign: (changed) => writeU32(changed, to, crc32cRange(changed, start, to, placeSeed(number, start))) })
    at = end + 4
  }
  if (footer >= 0) parts.push({ from: footer, to: footer + 32, sign: (changed) => writeU32(changed, footer + 32, crc32cRange(changed, footer, footer + 32, placeSeed(number, footer))) })
  return parts
}

/** Records of a value log. */
function records(bytes: Uint8Array): Part[] {
  const parts: Part[] = []
  for (let at = 20; at < bytes.length; ) {
    let cursor = at + 2
    const uvarint = (): number => {
      let value = 0
      for (let scale = 1; cursor < bytes.length; scale *= 128) {
        const byte = bytes[cursor++] ?? 0
        value += (byte & 0x7f) * scale
        if (byte < 0x80) break
      }
      return value
    }
    const keyLength = uvarint()
    const valueLength = uvarint()
    uvarint()
    const start = at
    const to = cursor + keyLength + valueLength
    if (keyLength < 8 || to + 4 > bytes.length) break
    const sign = (changed: Uint8Array): void => new DataView(changed.buffer, changed.byteOffset).setUint32(to, crc32c(changed.subarray(start, to)))
    parts.push({ from: start, to, sign })
    at = to + 4
  }
  return parts
}

/** The run table of a relocated file, with its footer. */
function runTable(bytes: Uint8Array, number: number): Part[] {
  const footer = bytes.length - 40
  if (footer < 20) return []
  const table = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(footer, true))
  if (table < 20 || table > footer) return []
  return [{ from: table, to: footer + 24, sign: (changed) => writeU32(changed, footer + 24, crc32cRange(changed, table, footer + 24, placeSeed(number, table))) }]
}
