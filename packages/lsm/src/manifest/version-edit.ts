/**
 * A version edit: what one atomic step changes, as it is written to the manifest.
 *
 * Everything in an edit becomes true together. Decoding checks every field against its bounds; whether the edit fits
 * the version it is applied to is checked by the version.
 */
import { ByteReader, ByteWriter, MAX_KEY_LENGTH, MAX_SEQUENCE, compareBytes } from '@wk/codec'
import type { TableSummary } from '@wk/sstable'
import type { DependencyPosition } from '../options.js'
import {
  TAG_ADD_TABLE,
  TAG_BASE,
  TAG_CLEAN_CLOSE,
  TAG_DEPENDENCY,
  TAG_DROPPED_TOMBSTONE,
  TAG_LAST_SEQUENCE,
  TAG_LOG_NUMBER,
  TAG_NEXT_FILE_NUMBER,
  TAG_REMOVE_TABLE,
  TAG_SEAL,
  TAG_UNFLUSHED,
} from './format.js'
import { MAX_LEVELS } from './version.js'
import type { LeveledTable, RemovedTable } from './version.js'

export interface CleanClose {
  /** Newest value-log file, 0 if there is none. */
  vlogFid: number
  /** Its size in bytes. */
  vlogSize: number
}

export interface VersionEdit {
  /** The first edit of a manifest: it does not build on anything. */
  base?: boolean
  /** Numbers below it may have been used. */
  nextFileNumber?: number
  /** Logs with smaller numbers are not needed any more. */
  logNumber?: number
  /** Sequence number of the last operation that is in tables. */
  lastSequence?: number
  /** Position up to which the value log was durable when the edit was written. */
  dependency?: DependencyPosition
  /** Position of the value log before which no record belongs to an operation after {@link lastSequence}. */
  unflushed?: DependencyPosition
  /**
   * Highest sequence number of a tombstone (or expired entry) that a compaction dropped for good. A base edit without it: unknown,
   * hence {@link lastSequence}.
   */
  droppedTombstone?: number
  added?: LeveledTable[]
  removed?: RemovedTable[]
  /** The last edit of a manifest: nothing was open or unflushed. */
  cleanClose?: CleanClose
}

/** What a frame of a manifest holds. */
export type ManifestRecord = { type: 'edit'; edit: VersionEdit } | { type: 'seal'; offset: number }

/** Fewest bytes of one reference of a table: bounds the count before anything is allocated. */
const MIN_REFERENCE_LENGTH = 3

export function encodeEdit(edit: VersionEdit, writer: ByteWriter): void {
  if (edit.base === true) writer.u8(TAG_BASE)
  if (edit.nextFileNumber !== undefined) writer.u8(TAG_NEXT_FILE_NUMBER).uvarint(edit.nextFileNumber)
  if (edit.logNumber !== undefined) writer.u8(TAG_LOG_NUMBER).uvarint(edit.logNumber)
  if (edit.lastSequence !== undefined) writer.u8(TAG_LAST_SEQUENCE).uvarint(edit.lastSequence)
  if (edit.dependency !== undefined) writer.u8(TAG_DEPENDENCY).uvarint(edit.dependency.fid).uvarint(edit.dependency.offset)
  if (edit.unflushed !== undefined) writer.u8(TAG_UNFLUSHED).uvarint(edit.unflushed.fid).uvarint(edit.unflushed.offset)
  if (edit.droppedTombstone !== undefined) writer.u8(TAG_DROPPED_TOMBSTONE).uvarint(edit.droppedTombstone)
  for (const { level, number } of edit.removed ?? []) writer.u8(TAG_REMOVE_TABLE).u8(level).uvarint(number)
  for (const { level, table } of edit.added ?? []) {
    writer.u8(TAG_ADD_TABLE).u8(level)
    encodeTable(table, writer)
  }
  if (edit.cleanClose !== undefined) writer.u8(TAG_CLEAN_CLOSE).uvarint(edit.cleanClose.vlogFid).uvarint(edit.cleanClose.vlogSize)
}

export function encodeSeal(offset: number, writer: ByteWriter): void {
  writer.u8(TAG_SEAL).uvarint(offset)
}

/** Reads the payload of a frame. Throws `CorruptionError`. */
export function decodeRecord(reader: ByteReader): ManifestRecord {
  const edit: VersionEdit = {}
  while (reader.remaining > 0) {
    const tag = reader.u8()
    if (tag === TAG_SEAL) {
      const offset = reader.uvarint()
      reader.expectEnd()
      return { type: 'seal', offset }
    }
    decodeField(tag, edit, reader)
  }
  return { type: 'edit', edit }
}

function decodeField(tag: number, edit: VersionEdit, reader: ByteReader): void {
  switch (tag) {
    case TAG_BASE:
      edit.base = true
      return
    case TAG_NEXT_FILE_NUMBER:
      edit.nextFileNumber = reader.uvarint()
      return
    case TAG_LOG_NUMBER:
      edit.logNumber = reader.uvarint()
      return
    case TAG_LAST_SEQUENCE:
      edit.lastSequence = reader.uvarint(MAX_SEQUENCE)
      return
    case TAG_DEPENDENCY:
      edit.dependency = { fid: reader.uvarint(0xffff_ffff), offset: reader.uvarint() }
      return
    case TAG_UNFLUSHED:
      edit.unflushed = { fid: reader.uvarint(0xffff_ffff), offset: reader.uvarint(0xffff_ffff) }
      return
    case TAG_DROPPED_TOMBSTONE:
      edit.droppedTombstone = reader.uvarint(MAX_SEQUENCE)
      return
    case TAG_ADD_TABLE:
      ;(edit.added ??= []).push({ level: decodeLevel(reader), table: decodeTable(reader) })
      return
    case TAG_REMOVE_TABLE:
      ;(edit.removed ??= []).push({ level: decodeLevel(reader), number: reader.uvarint() })
      return
    case TAG_CLEAN_CLOSE:
      edit.cleanClose = { vlogFid: reader.uvarint(0xffff_ffff), vlogSize: reader.uvarint() }
      return
    default:
      throw reader.corrupt('unknown field of a version edit')
  }
}

function decodeLevel(reader: ByteReader): number {
  const level = reader.u8()
  if (level >= MAX_LEVELS) throw reader.corrupt('level out of range')
  return level
}

function encodeTable(table: TableSummary, writer: ByteWriter): void {
  writer.uvarint(table.number).uvarint(table.size).uvarint(table.entries).uvarint(table.tombstones).uvarint(table.expiring)
  if (table.expiring > 0) writer.uvarint(table.expiredQuarterAt)
  writer.lengthPrefixed(table.smallestKey).lengthPrefixed(table.largestKey)
  writer.uvarint(table.smallestSequence).uvarint(table.largestSequence).uvarint(table.keyBytes).uvarint(table.valueBytes)
  writer.uvarint(table.references.length)
  let before = 0
  for (const { fid, count, bytes } of table.references) {
    writer.uvarint(fid - before).uvarint(count).uvarint(bytes)
    before = fid
  }
}

function decodeTable(reader: ByteReader): TableSummary {
  const counts = {
    number: reader.uvarint(),
    size: reader.uvarint(),
    entries: reader.uvarint(),
    tombstones: reader.uvarint(),
    expiring: reader.uvarint(),
  }
  const table = {
    ...counts,
    expiredQuarterAt: counts.expiring > 0 ? reader.uvarint() : 0,
    smallestKey: reader.copy(reader.uvarint(MAX_KEY_LENGTH)),
    largestKey: reader.copy(reader.uvarint(MAX_KEY_LENGTH)),
    smallestSequence: reader.uvarint(MAX_SEQUENCE),
    largestSequence: reader.uvarint(MAX_SEQUENCE),
    keyBytes: reader.uvarint(),
    valueBytes: reader.uvarint(),
    references: decodeReferences(reader),
  }
  if (table.number < 1) throw reader.corrupt('a table without number')
  if (compareBytes(table.smallestKey, table.largestKey) > 0 || table.smallestSequence > table.largestSequence) {
    throw reader.corrupt('bounds of a table in the wrong order')
  }
  if (table.entries < 1 || table.tombstones > table.entries || table.expiring > table.entries) throw reader.corrupt('counts of a table that do not fit')
  return table
}

function decodeReferences(reader: ByteReader): { fid: number; count: number; bytes: number }[] {
  const count = reader.uvarint(Math.floor(reader.remaining / MIN_REFERENCE_LENGTH))
  const references: { fid: number; count: number; bytes: number }[] = []
  let fid = 0
  for (let i = 0; i < count; i++) {
    const step = reader.uvarint(0xffff_ffff)
    fid += step
    if ((step < 1 && i > 0) || fid > 0xffff_ffff) throw reader.corrupt('references of a table out of order')
    references.push({ fid, count: reader.uvarint(), bytes: reader.uvarint() })
  }
  return references
}
