/**
 * What is on disk in a write-ahead log (`000012.wal`), and the file header that it shares with the manifest.
 *
 * | offset | size | field                                           |
 * |--------|------|-------------------------------------------------|
 * | 0      | 4    | magic: `WKWL`                                   |
 * | 4      | 4    | format version, u32 little-endian: 1            |
 * | 8      | 8    | file number, u64 little-endian                  |
 * | 16     |      | frames (`@wk/codec` frame.ts), one after another |
 *
 * Payload of a WAL frame, all numbers uvarints: first sequence, number of operations, then the promises (file number and
 * offset up to which WALs were durable before this frame was written; value-log file and offset likewise), then per
 * operation: kind (1 byte), key length, key, payload length, payload. Operation `i` has sequence `first + i`.
 *
 * One frame is one write group: all there or not at all. The byte-range tables are in docs/format.md.
 */
import { ByteReader, MAX_KEY_LENGTH, MAX_SEQUENCE, MAX_UVARINT_LENGTH, formatFileName, isKind, uvarintLength, writeU32, writeU64, writeUvarint } from '@wk/codec'
import type { NumberedFileKind } from '@wk/codec'

/** Bytes before the first frame. */
export const LOG_HEADER_LENGTH = 16

/** Largest payload of one frame. */
export const MAX_FRAME_LENGTH = 0x7fff_ffff

/** Fields before the operations of a WAL frame, each a uvarint. */
export const WAL_PREFIX_FIELDS = 6

/** Most bytes that they take. */
export const MAX_WAL_PREFIX_LENGTH = WAL_PREFIX_FIELDS * MAX_UVARINT_LENGTH

/** Fewest bytes an operation takes. */
export const MIN_OPERATION_LENGTH = 3

/** A kind of log file. */
export interface LogFormat {
  readonly kind: NumberedFileKind
  /** Four ASCII bytes. On disk, never change. */
  readonly magic: string
  readonly version: number
}

export const WAL_FORMAT: LogFormat = { kind: 'wal', magic: 'WKWL', version: 1 }

/** The sixteen bytes that begin a log file. */
export function encodeLogHeader(format: LogFormat, number: number): Uint8Array {
  const header = new Uint8Array(LOG_HEADER_LENGTH)
  for (let i = 0; i < 4; i++) header[i] = format.magic.charCodeAt(i)
  writeU32(header, 4, format.version)
  writeU64(header, 8, number)
  return header
}

/** Throws `CorruptionError` unless `bytes` begin with the header of file `number`. */
export function checkLogHeader(format: LogFormat, number: number, bytes: Uint8Array): void {
  const file = formatFileName(format.kind, number)
  const reader = new ByteReader(bytes, { file })
  for (let i = 0; i < 4; i++) if (reader.u8() !== format.magic.charCodeAt(i)) throw new ByteReader(bytes, { file }).corrupt('not the magic of a log')
  if (reader.u32() !== format.version) throw new ByteReader(bytes, { file, start: 4 }).corrupt('unknown format version')
  if (reader.u64() !== number) throw new ByteReader(bytes, { file, start: 8 }).corrupt('header of another file')
}

/** What comes before the operations of a WAL frame. */
export interface WalFramePrefix {
  firstSequence: number
  count: number
  /** WAL file that was durable up to `walOffset` (and every lower live one wholly) before the frame was written; 0 = no promise. */
  walFile: number
  walOffset: number
  /** Value-log file that was durable up to `dependencyOffset` (and every lower one wholly); 0 = no promise. */
  dependencyFid: number
  dependencyOffset: number
}

/** Bytes that a prefix takes. */
export function walPrefixLength(prefix: WalFramePrefix): number {
  return (
    uvarintLength(prefix.firstSequence) +
    uvarintLength(prefix.count) +
    uvarintLength(prefix.walFile) +
    uvarintLength(prefix.walOffset) +
    uvarintLength(prefix.dependencyFid) +
    uvarintLength(prefix.dependencyOffset)
  )
}

/** Writes a prefix at `at` and returns the offset after it. Requires room. */
export function writeWalPrefix(into: Uint8Array, at: number, prefix: WalFramePrefix): number {
  at = writeUvarint(into, at, prefix.firstSequence)
  at = writeUvarint(into, at, prefix.count)
  at = writeUvarint(into, at, prefix.walFile)
  at = writeUvarint(into, at, prefix.walOffset)
  at = writeUvarint(into, at, prefix.dependencyFid)
  return writeUvarint(into, at, prefix.dependencyOffset)
}

/** Reads a prefix. Throws `CorruptionError` when a field is out of its bounds. */
export function readWalPrefix(reader: ByteReader): WalFramePrefix {
  const firstSequence = reader.uvarint(MAX_SEQUENCE)
  const count = reader.uvarint()
  const prefix = {
    firstSequence,
    count,
    walFile: reader.uvarint(),
    walOffset: reader.uvarint(),
    dependencyFid: reader.uvarint(0xffff_ffff),
    dependencyOffset: reader.uvarint(0xffff_ffff),
  }
  if (firstSequence < 1 || count < 1) throw reader.corrupt('a WAL frame without sequence or operations')
  if (count > reader.remaining / MIN_OPERATION_LENGTH || firstSequence + count - 1 > MAX_SEQUENCE) throw reader.corrupt('more operations than fit')
  return prefix
}

/** One operation; the views share the frame's memory. */
export interface WalOperation {
  kind: number
  key: Uint8Array
  payload: Uint8Array
}

/** Reads one operation. Throws `CorruptionError` when it is malformed. */
export function readWalOperation(reader: ByteReader): WalOperation {
  const kind = reader.u8()
  if (!isKind(kind)) throw reader.corrupt('unknown kind of operation')
  const key = reader.view(reader.uvarint(MAX_KEY_LENGTH))
  const payload = reader.view(reader.uvarint(MAX_FRAME_LENGTH))
  return { kind, key, payload }
}
