/** A record of a value log, Badger's format: docs/format.md, "NNNNNN.vlog", "Compressed values". */
import { aesCtr } from './cipher.js'
import { crc32c } from './checksum.js'
import { lz4 } from './lz4.js'
import { Bad, check, MOST, Reader } from './reader.js'

/** What can be told without a key: lengths and checksum are right. */
export interface RawRecord {
  readonly at: number
  readonly len: number
  readonly meta: number
  readonly userMeta: number
  readonly expiresAt: bigint
  /** Where key and value are stored. */
  readonly body: number
  readonly keyLength: number
  readonly valueLength: number
}

/** A place in a logical file, with what decrypts it. */
export interface RecordPlace {
  readonly keyId: number
  readonly baseIV: Buffer
  readonly offset: number
}

export interface ValueRecord {
  readonly key: Buffer
  readonly version: number
  readonly value: Buffer
  readonly meta: number
  readonly userMeta: number
  readonly expiresAt: number
  readonly offset: number
  readonly len: number
}

export const COMPRESSED = 0x10
export const COMMITS = 0x20

/** The record at `at` that ends at or before `end`, or undefined. */
export function recordAt(bytes: Buffer, at: number, end: number): RawRecord | undefined {
  const r = new Reader(bytes, '', { at, end })
  try {
    const [meta, userMeta, keyLength, valueLength, expiresAt] = [r.u8(), r.u8(), r.uvarint(), r.uvarint(MOST, 5), longVarint(r)]
    if (keyLength < 8 || keyLength > 65_536 || valueLength > r.left) return undefined
    const body = r.at
    r.bytes(keyLength + valueLength)
    const covered = bytes.subarray(at, r.at)
    if (r.u32be() !== crc32c(covered)) return undefined
    return { at, len: r.at - at, meta, userMeta, expiresAt, body, keyLength, valueLength }
  } catch (err) {
    if (err instanceof Bad) return undefined
    throw err
  }
}

/** Up to ten bytes, 64 bits: what Badger may have written. */
function longVarint(r: Reader): bigint {
  let value = 0n
  for (let k = 0n; ; k++) {
    const byte = r.u8()
    value += BigInt(byte & 127) << (7n * k)
    r.check(k < 10n && (byte !== 0 || k === 0n), 'uvarint')
    if (byte < 128) return value
  }
}

/** Records from `at` on that touch each other, and where they end. */
export function recordsFrom(bytes: Buffer, at: number, end: number): { readonly records: readonly RawRecord[]; readonly end: number } {
  const records: RawRecord[] = []
  for (let record = recordAt(bytes, at, end); record !== undefined; record = recordAt(bytes, at, end)) {
    records.push(record)
    at += record.len
  }
  return { records, end: at }
}

/** Key and value as they were before they were encrypted. */
function clearOf(bytes: Buffer, record: RawRecord, place: RecordPlace, keys: ReadonlyMap<number, Buffer>, file: string): Buffer {
  const stored = bytes.subarray(record.body, record.body + record.keyLength + record.valueLength)
  if (place.keyId === 0) return stored
  const key = keys.get(place.keyId)
  if (key === undefined) throw new Bad(file, record.at, `no data key ${place.keyId}`)
  const offset = Buffer.alloc(4)
  offset.writeUInt32BE(place.offset)
  return aesCtr(key, Buffer.concat([place.baseIV, offset]), stored)
}

const versionIn = (clear: Buffer, { keyLength }: RawRecord): bigint => 2n ** 64n - 1n - clear.readBigUInt64BE(keyLength - 8)

/** What a record says its version is, possible or not. */
export const versionOf = (bytes: Buffer, record: RawRecord, place: RecordPlace, keys: ReadonlyMap<number, Buffer>, file: string): bigint => versionIn(clearOf(bytes, record, place, keys, file), record)

/** Key, version and value of a record. */
export function openRecord(bytes: Buffer, record: RawRecord, place: RecordPlace, keys: ReadonlyMap<number, Buffer>, file: string): ValueRecord {
  const need = (holds: boolean, what: string): void => check(holds, file, record.at, what)
  const stored = clearOf(bytes, record, place, keys, file)
  const version = versionIn(stored, record)
  need(version <= BigInt(MOST) && record.expiresAt <= BigInt(MOST), 'version or expiry above 2^53 - 1')
  let value = stored.subarray(record.keyLength)
  if ((record.meta & COMPRESSED) !== 0) {
    need(value.length >= 5, 'compressed value too short')
    const length = value.readUInt32LE(0)
    need(length <= 2 ** 30 && length <= 255 * (value.length - 4), 'length of a compressed value')
    need(length >= 64 && value.length <= (length * 7) / 8, 'compressed though it is not worth it')
    value = lz4(value.subarray(4), length, file, record.at)
  }
  const { meta, userMeta, len } = record
  return { key: Buffer.from(stored.subarray(0, record.keyLength - 8)), version: Number(version), value, meta, userMeta, expiresAt: Number(record.expiresAt), offset: place.offset, len }
}
