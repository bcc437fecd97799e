/**
 * What a backup stream consists of (docs/format.md, Backup).
 *
 * Frames as in our logs, salted with the offset in the stream: what is missing, added or out of order does not verify. The first
 * payload is the head, the last one the end mark; those between hold records. How the stream is cut into chunks means nothing.
 */
import { ByteReader, ByteWriter, FRAME_HEADER_LENGTH, MAX_KEY_LENGTH, writeFrameHeader } from '@wk/codec'
import { MAX_VALUE_LENGTH } from './options.js'

/** Stands for the file number in the salt of a frame. */
export const BACKUP_SALT = 0

const MAGIC = new TextEncoder().encode('WKBACKUP')
const VERSION = 1

/** Kinds of payloads and records. In streams, never renumber. */
const HEAD = 1
const RECORDS = 2
const END = 3
const PUT = 1
const DELETION = 2

/** Highest version of a stream: loading one leaves as many numbers for writes to come. */
export const MAX_BACKUP_VERSION = 2 ** 47

/** Most bytes of a record beside its key and value. */
export const RECORD_OVERHEAD = 32

/** Most records of a frame: so many are encoded, or loaded, in one go. */
export const FRAME_RECORDS = 4096

/** Bytes of records after which a frame ends. */
export const FRAME_TARGET = 1024 * 1024

/** Most bytes of a payload: a record more than the target. */
export const MAX_BACKUP_PAYLOAD = FRAME_TARGET + MAX_KEY_LENGTH + MAX_VALUE_LENGTH + RECORD_OVERHEAD

/** A change: `value` is absent for a deletion. */
export interface BackupRecord {
  key: Uint8Array
  version: number
  value: Uint8Array | undefined
  userMeta: number
  /** Unix seconds, 0 = never. */
  expiresAt: number
}

/** What versions a stream covers: above `since`, up to `lastVersion`. */
export interface BackupHead {
  since: number
  lastVersion: number
}

/** One payload, decoded. */
export type BackupPayload = ({ type: 'head' } & BackupHead) | { type: 'records'; records: BackupRecord[] } | { type: 'end'; records: number }

/** Makes the frames of a stream, in order. Each result is the caller's own. */
export class BackupEncoder {
  #offset = 0

  head({ since, lastVersion }: BackupHead): Uint8Array {
    return this.#frame(64, (writer) => writer.u8(HEAD).raw(MAGIC).u8(VERSION).uvarint(since).uvarint(lastVersion))
  }

  records(records: readonly BackupRecord[]): Uint8Array {
    let bytes = 1
    for (const { key, value } of records) bytes += RECORD_OVERHEAD + key.length + (value?.length ?? 0)
    return this.#frame(bytes, (writer) => {
      writer.u8(RECORDS)
      for (const record of records) encodeRecord(record, writer)
    })
  }

  end(records: number): Uint8Array {
    return this.#frame(64, (writer) => writer.u8(END).uvarint(records))
  }

  #frame(capacity: number, encode: (writer: ByteWriter) => void): Uint8Array {
    const writer = new ByteWriter(FRAME_HEADER_LENGTH + capacity)
    writer.length = FRAME_HEADER_LENGTH
    encode(writer)
    writeFrameHeader(writer.bytes, 0, writer.length - FRAME_HEADER_LENGTH, BACKUP_SALT, this.#offset)
    this.#offset += writer.length
    return writer.bytes.subarray(0, writer.length)
  }
}

function encodeRecord({ key, version, value, userMeta, expiresAt }: BackupRecord, writer: ByteWriter): void {
  writer.u8(value === undefined ? DELETION : PUT).uvarint(version).lengthPrefixed(key)
  if (value !== undefined) writer.u8(userMeta).uvarint(expiresAt).lengthPrefixed(value)
}

/** Reads a payload whose frame has verified. The records are views of it. Throws `CorruptionError`. */
export function decodePayload(reader: ByteReader): BackupPayload {
  const type = reader.u8()
  if (type === HEAD) {
    if (!MAGIC.every((byte) => reader.u8() === byte) || reader.u8() !== VERSION) throw reader.corrupt('not a backup, or of another version')
    const payload = { type: 'head' as const, since: reader.uvarint(MAX_BACKUP_VERSION), lastVersion: reader.uvarint(MAX_BACKUP_VERSION) }
    if (payload.since > payload.lastVersion) throw reader.corrupt('a backup that ends before it begins')
    reader.expectEnd()
    return payload
  }
  if (type === END) {
    const records = reader.uvarint()
    reader.expectEnd()
    return { type: 'end', records }
  }
  if (type !== RECORDS) throw reader.corrupt('an unknown part of a backup')
  const records: BackupRecord[] = []
  const start = reader.offset
  while (reader.remaining > 0) {
    // It would have ended before: what is staged in one go stays as little as it was meant to be.
    if (records.length === FRAME_RECORDS || reader.offset - start > FRAME_TARGET) throw reader.corrupt('a part of a backup that goes on behind its end')
    records.push(decodeRecord(reader))
  }
  return { type: 'records', records }
}

function decodeRecord(reader: ByteReader): BackupRecord {
  const type = reader.u8()
  if (type !== PUT && type !== DELETION) throw reader.corrupt('an unknown record of a backup')
  const version = reader.uvarint(MAX_BACKUP_VERSION)
  const key = reader.view(reader.uvarint(MAX_KEY_LENGTH))
  if (type === DELETION) return { key, version, value: undefined, userMeta: 0, expiresAt: 0 }
  const userMeta = reader.u8()
  const expiresAt = reader.uvarint()
  return { key, version, userMeta, expiresAt, value: reader.view(reader.uvarint(MAX_VALUE_LENGTH)) }
}
