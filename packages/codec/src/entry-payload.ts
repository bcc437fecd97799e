/**
 * The payload of an entry, as the WAL, memtables and tables keep it beside the internal key.
 *
 * | kind      | payload                                       |
 * |-----------|-----------------------------------------------|
 * | tombstone | empty                                         |
 * | value     | [attributes] value                            |
 * | pointer   | 12 bytes of value pointer, [attributes]       |
 *
 * Attributes are there only when the kind carries `KIND_ATTRIBUTES`: `userMeta` (1 byte), `expiresAt` (uvarint, Unix
 * seconds, 0 = never). An entry without either costs no byte for them.
 */
import { ByteReader } from './byte-reader.js'
import { KIND_ATTRIBUTES, KIND_POINTER, KIND_TOMBSTONE, baseKind } from './internal-key.js'
import { uvarintLength, writeUvarint } from './varint.js'
import { POINTER_LENGTH, readPointerLen } from './value-pointer.js'

/** Bytes that attributes take; 0 when both are 0. */
export function attributesLength(userMeta: number, expiresAt: number): number {
  return userMeta === 0 && expiresAt === 0 ? 0 : 1 + uvarintLength(expiresAt)
}

/** `kind` with the flag set if there is anything to carry. */
export function kindWithAttributes(kind: number, userMeta: number, expiresAt: number): number {
  return userMeta === 0 && expiresAt === 0 ? kind : kind | KIND_ATTRIBUTES
}

/** Writes attributes at `at` and returns the offset after them. Requires room for {@link attributesLength} bytes. */
export function writeAttributes(into: Uint8Array, at: number, userMeta: number, expiresAt: number): number {
  if (userMeta === 0 && expiresAt === 0) return at
  into[at] = userMeta
  return writeUvarint(into, at + 1, expiresAt)
}

/** What a payload carries beside its pointer: reused by the caller, filled by {@link readPayload}. */
export interface PayloadView {
  userMeta: number
  /** Unix seconds, 0 = never. */
  expiresAt: number
  /** For a value: where its bytes start and end in the buffer that was read. For the other kinds both are `end`. */
  valueStart: number
  valueEnd: number
}

/** Takes a payload apart. Throws `CorruptionError` when it is cut or malformed. */
export function readPayload(kind: number, bytes: Uint8Array, start: number, end: number, out: PayloadView): void {
  out.userMeta = 0
  out.expiresAt = 0
  out.valueStart = end
  out.valueEnd = end
  const base = baseKind(kind)
  if (base === KIND_TOMBSTONE) return
  if (base === KIND_POINTER && end - start < POINTER_LENGTH) throw new ByteReader(bytes, { start, end }).corrupt('a cut value pointer')
  if ((kind & KIND_ATTRIBUTES) === 0) {
    if (base !== KIND_POINTER) out.valueStart = start
    return
  }
  const reader = new ByteReader(bytes, { start: base === KIND_POINTER ? start + POINTER_LENGTH : start, end })
  out.userMeta = reader.u8()
  out.expiresAt = reader.uvarint()
  if (base !== KIND_POINTER) out.valueStart = reader.offset
}

/** Bytes that an entry stands for: of a pointer those of its record, of another entry those of key and payload, of a tombstone none. */
export function entryBytes(kind: number, keyLength: number, payload: Uint8Array, start: number, end: number): number {
  const base = baseKind(kind)
  if (base === KIND_TOMBSTONE) return 0
  return base === KIND_POINTER ? readPointerLen(payload, start) : keyLength + end - start
}

/** The expiry of an entry in Unix seconds, 0 = never. Throws `CorruptionError` when the payload is cut. */
export function readExpiresAt(kind: number, bytes: Uint8Array, start: number, end: number): number {
  if ((kind & KIND_ATTRIBUTES) === 0) return 0
  const reader = new ByteReader(bytes, { start: baseKind(kind) === KIND_POINTER ? start + POINTER_LENGTH : start, end })
  reader.u8()
  return reader.uvarint()
}
